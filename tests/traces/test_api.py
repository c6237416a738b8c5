"""The read API of traces and steps: shapes, filters, pages, keys, tenants."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.factories.traces import SpanFactory, TraceFactory, payload_for

pytestmark = pytest.mark.django_db
BASE = "/api/v1/projects/shop"


@pytest.fixture
def project() -> Project:
    project = ProjectFactory(slug="shop")
    ApiKeyFactory(project=project, raw=raw_key(1), scopes=["read"])
    return project


@pytest.fixture
def api(client: Client) -> Any:
    def get(path: str, *, key: int | None = 1, **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {raw_key(key)}"} if key is not None else {}
        return client.get(
            path if path.startswith("http") else f"{BASE}{path}", params, headers=headers
        )

    return get


def walk(api: Any, path: str, **params: Any) -> list[list[str]]:
    """The ids of every page."""
    pages, answer = [], api(path, **params).json()
    while True:
        pages.append([one.get("id") or one["trace_id"] for one in answer["results"]])
        if not answer["next"]:
            return pages
        answer = api(answer["next"]).json()


def test_an_unknown_cost_is_null_and_never_zero(api, project):
    TraceFactory(project=project, call_count=2, unpriced_calls=1, cost_usd=Decimal(0))
    (one,) = api("/traces").json()["results"]
    assert (one["cost_usd"], one["unpriced_calls"]) == (None, 1)


def test_trace_has_its_sums_with_money_as_text(api, project):
    TraceFactory(
        project=project,
        trace_id="t1",
        cost_usd=Decimal("0.000000000001"),
        model_names=["m"],
        tags=["a"],
    )
    answer = api("/traces")
    assert answer.status_code == 200
    (one,) = answer.json()["results"]
    assert one["cost_usd"] == "0.000000000001"
    assert (one["trace_id"], one["models"], one["tags"], one["step_count"]) == (
        "t1",
        ["m"],
        ["a"],
        1,
    )


def test_pages_hold_every_trace_once_while_new_ones_arrive(api, project):
    at = timezone.now() - dt.timedelta(minutes=5)
    for n in range(5):
        TraceFactory(project=project, trace_id=f"t{n}", started_at=at - dt.timedelta(minutes=n))
    first = api("/traces", limit=2).json()
    TraceFactory(project=project, trace_id="late")
    second = api(first["next"]).json()
    assert [one["trace_id"] for one in second["results"]] == ["t2", "t3"]
    back = api(second["previous"]).json()
    assert [one["trace_id"] for one in back["results"]] == ["t0", "t1"]
    assert walk(api, "/traces", limit=2, sort="started")[0] == ["t4", "t3"]


def test_filters_are_the_pages_own(api, project):
    TraceFactory(project=project, trace_id="a", failed=True)
    TraceFactory(project=project, trace_id="b", environment="production")
    assert walk(api, "/traces", status="error") == [["a"]]
    assert walk(api, "/traces", environment="(none)") == [["a"]]


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/traces", {"range": "soon"}, "range"),
        ("/traces", {"status": "melted"}, "status"),
        ("/traces", {"min_cost": "-1"}, "min_cost"),
        ("/traces", {"sort": "trace_id"}, "sort"),
        ("/traces", {"limit": "0"}, "limit"),
        ("/traces", {"limit": "²"}, "limit"),
        ("/traces", {"cursor": "a.!!!"}, "cursor"),
        ("/traces", {"cursor": "zz"}, "cursor"),
        ("/traces", {"colour": "blue"}, "colour"),
        ("/traces", {"after": "x"}, "after"),
        ("/spans", {"type": "llm", "status": "x"}, "status"),
        ("/spans", {"type": "robot"}, "type"),
        ("/spans", {"range": "1..2"}, "range"),
        ("/spans", {"cursor": "bad"}, "cursor"),
        ("/spans", {"kind": "llm"}, "kind"),
        ("/traces/t1", {"include": "all"}, "include"),
    ],
)
def test_unreadable_parameters_are_named(api, project, path, params, field):
    answer = api(path, **params)
    assert answer.status_code == 400
    assert answer.json()["fields"] == [field]
    assert answer.json()["detail"]


def test_one_trace_with_its_steps_and_only_on_request_what_was_said(api, project):
    trace = TraceFactory(project=project, trace_id="t1")
    span = SpanFactory(trace=trace, span_id="a", cost_usd=None, price_status="unpriced")
    SpanFactory(
        trace=trace,
        span_id="b",
        parent_span_id="a",
        started_at=trace.started_at + dt.timedelta(seconds=1),
    )
    payload_for(span, input="hello")
    plain = api("/traces/t1").json()
    assert [(one["id"], one["parent_id"]) for one in plain["steps"]] == [("a", None), ("b", "a")]
    assert plain["steps"][0]["cost_usd"] is None
    assert "payload" not in plain["steps"][0]
    assert plain["steps_truncated"] is False
    full = api("/traces/t1", include="payloads").json()
    assert [one["payload"] for one in full["steps"]] == [{"input": "hello"}, None]


def test_long_traces_are_cut_and_say_so(api, project, monkeypatch):
    monkeypatch.setattr("traces.api.MAX_STEPS", 2)
    trace = TraceFactory(project=project, trace_id="t1")
    for _ in range(3):
        SpanFactory(trace=trace)
    answer = api("/traces/t1").json()
    assert (len(answer["steps"]), answer["steps_truncated"]) == (2, True)


def test_steps_across_traces_by_type_model_and_time(api, project):
    trace = TraceFactory(project=project, trace_id="t1")
    at = trace.started_at
    SpanFactory(trace=trace, span_id="a", request_model="m1", started_at=at)
    SpanFactory(
        trace=trace, span_id="b", response_model="m1", started_at=at + dt.timedelta(seconds=1)
    )
    SpanFactory(
        trace=trace,
        span_id="c",
        kind="tool",
        status="error",
        started_at=at + dt.timedelta(seconds=2),
    )
    SpanFactory(
        trace=TraceFactory(project=project),
        span_id="old",
        started_at=timezone.now() - dt.timedelta(days=3),
    )
    assert walk(api, "/spans", limit=2) == [["c", "b"], ["a"]]
    assert walk(api, "/spans", model="m1") == [["b", "a"]]
    assert walk(api, "/spans", type="tool", status="error") == [["c"]]
    assert walk(api, "/spans", trace_id="t1", limit=1) == [["c"], ["b"], ["a"]]
    assert api("/spans", trace_id="nope").status_code == 404


@pytest.mark.parametrize("path", ["/traces", "/traces/t1", "/spans"])
def test_without_a_reading_key_of_this_project_access_is_denied(api, client, project, path):
    TraceFactory(project=project, trace_id="t1")
    ApiKeyFactory(project=project, raw=raw_key(2), scopes=["ingest"])
    ApiKeyFactory(raw=raw_key(3), scopes=["read"])
    ApiKeyFactory(project=project, raw=raw_key(4), scopes=["read"], revoked=True)
    assert api(path, key=None).status_code == 401
    assert api(path, key=2).status_code == 403
    assert api(path, key=3).status_code == 404
    assert api(path, key=4).status_code == 401
    client.force_login(MembershipFactory().user)
    assert api(path, key=None).status_code == 404
    client.force_login(MembershipFactory(organization=project.organization, viewer=True).user)
    assert api(path, key=None).status_code == 200


def test_trace_of_another_project_is_unknown(api, project):
    SpanFactory(trace=TraceFactory(trace_id="t1"))
    answer = api("/traces/t1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert walk(api, "/traces", range="30d") == [[]]
    assert walk(api, "/spans", range="30d") == [[]]


def test_lists_need_few_queries(api, project, django_assert_max_num_queries):
    trace = TraceFactory(project=project, trace_id="t1")
    for _ in range(20):
        payload_for(SpanFactory(trace=trace), input="x")
        TraceFactory(project=project)
    for path, most in (("/traces", 6), ("/spans", 6), ("/traces/t1?include=payloads", 8)):
        with django_assert_max_num_queries(most):
            assert api(path).status_code == 200
