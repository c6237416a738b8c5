"""Whatever comes to Langfuse's batch door: never a 5xx, each answer in Langfuse's shape, no good event lost."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects.models import Project
from tests.traces.corpus import Case, langfuse
from tests.traces.langfuse_events import PATH, at, basic, created, event, send, send_body
from tests.traces.spans import assert_ledger_is_exact
from tests.traces.uploads import JSON, START, everything
from traces.langfuse.events import TYPES
from traces.models import Span

pytestmark = pytest.mark.django_db
CASES = langfuse.cases(START)
FAMILIES = sorted({case.name.split("/")[1] for case in CASES})


def assert_shape(status: int, content: bytes, case: str = "") -> dict[str, Any]:
    """A result per event, or `{"message", "error", "code"}`."""
    answer: dict[str, Any] = json.loads(content)
    if status == 207:
        assert set(answer) == {"successes", "errors"}, case
        assert all(set(one) == {"id", "status"} for one in answer["successes"]), case
        names = {"id", "status", "message", "error"}
        assert all(set(one) == names and one["message"] for one in answer["errors"]), case
        assert {one["status"] for one in answer["successes"]} <= {201}, case
        assert {one["status"] for one in answer["errors"]} <= {400, 409}, case
    else:
        assert set(answer) == {"message", "error", "code"}, case
        assert all(answer.values()), case
    return answer


def sent(client: Client, key: str, case: Case) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Encoding": case.encoding} if case.encoding else {}
    response = send_body(client, key, case.body, **headers)
    return response.status_code, assert_shape(response.status_code, response.content, case.name)


@pytest.mark.parametrize("family", FAMILIES)
def test_malformed_batches_meet_their_fate(
    client: Client, project: Project, key: str, family: str
) -> None:
    # Of the large families every third: tests/traces/test_corpus.py reads them all.
    family_cases = [case for case in CASES if case.name.split("/")[1] == family]
    for case in family_cases[:: 3 if len(family_cases) > 60 else 1]:
        status, answer = sent(client, key, case)
        assert status in case.statuses, (case.name, answer)
        if case.rejected is not None:
            assert len(answer["errors"]) == case.rejected, (case.name, answer)
        if b'"good"' in case.body and status == 207:
            assert "good" in {one["id"] for one in answer["successes"]}, (case.name, answer)
    assert_ledger_is_exact(project)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods_are_refused_in_langfuses_shape(
    client: Client, key: str, method: str
) -> None:
    response = getattr(client, method)(PATH, headers={"Authorization": basic(key)})
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert assert_shape(405, response.content)["error"] == "MethodNotAllowedError"


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic OjpB", "Basic /////w==", "Bearer", "Bearer a b", "Digest x", "\xff", "Basic AAAA",
     "Bearer " + "x" * 5_000],
)  # fmt: skip
def test_wrong_keys_are_refused_in_langfuses_shape(client: Client, header: str) -> None:
    before = everything()
    body = json.dumps({"batch": [created()]})
    response: Any = client.generic("POST", PATH, body, JSON, headers={"Authorization": header})
    assert response.status_code == 401
    assert assert_shape(401, response.content)["error"] == "UnauthorizedError"
    assert everything() == before


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([at(0), at(5), "t1", "g1", "\x00", "\ud800", 2**63, -(2**70), 1e308, "9" * 500])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted({"id", "traceId", *langfuse._TEXT, *langfuse._STEP, *langfuse._SAID, *langfuse._SCORE,
    "startTime", "endTime", "completionStartTime", "timestamp", "parentObservationId", "stringValue"})  # fmt: skip
bodies = values | st.dictionaries(st.sampled_from(FIELDS), values, max_size=6)
events = values | st.fixed_dictionaries(
    {"id": st.just("e") | values, "type": st.sampled_from(sorted(TYPES)) | values, "body": bodies},
    optional={"timestamp": st.just(at(3)) | values},
)


@given(batch=st.lists(events, max_size=4), number=st.integers(0, 10**9))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_batch_breaks_the_door(
    client: Client, project: Project, key: str, batch: list[Any], number: int
) -> None:
    good = event("span-create", 1, id=f"good-{number}", traceId=f"good-{number}-t", startTime=at(1))
    response = send(client, key, *batch, good)
    answer = assert_shape(response.status_code, response.content)
    if (
        response.status_code == 207
    ):  # a body may be refused as a whole: a key twice, a lone surrogate
        assert len(answer["successes"]) + len(answer["errors"]) == len(batch) + 1
        assert good["id"] in {one["id"] for one in answer["successes"]}
        assert Span.objects.filter(project=project, span_id=f"good-{number}").exists()
