"""What Langfuse's SDKs read: its shapes, the project's own data, and nobody else's."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.langfuse_events import at, basic, created, ended, event, send
from tests.traces.uploads import everything, key_for
from traces.models import Score, SessionRow

pytestmark = pytest.mark.django_db
BASE = "/api/public/"


@pytest.fixture
def reader(project: Project) -> str:
    return key_for(project, scopes=["ingest", "read"])[1]


def ask(client: Client, raw: str, path: str, method: str = "GET", **body: Any) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body else b""
    response = client.generic(
        method, BASE + path, data, "application/json", headers={"Authorization": basic(raw)}
    )
    return response.status_code, json.loads(response.content)


@pytest.fixture
def filled(client: Client, project: Project, reader: str) -> None:
    trace = event(
        "trace-create",
        0,
        id="t1",
        name="refund",
        userId="u1",
        tags=["a"],
        input="?",
        timestamp=at(0),
    )
    score = event("score-create", 3, id="sc", traceId="t1", observationId="g1", name="good", value=1,
                  dataType="BOOLEAN", comment="yes")  # fmt: skip
    send(client, reader, trace, created(), ended(), score)
    send(client, reader, event("trace-create", 9, id="t2", name="other", timestamp=at(9)))


def test_health_and_projects(client: Client, project: Project, key: str) -> None:
    assert client.get(BASE + "health").json()["status"] == "OK"
    status, answer = ask(client, key, "projects")
    assert (status, answer["data"][0]["id"]) == (200, str(project.pk))
    assert ask(client, "llmlab_sk_wrong", "projects")[0] == 401


@pytest.mark.usefixtures("filled")
def test_traces(client: Client, reader: str) -> None:
    status, answer = ask(client, reader, "traces?limit=1")
    assert (status, [one["id"] for one in answer["data"]]) == (200, ["t2"])
    assert answer["meta"] == {"page": 1, "limit": 1, "totalItems": 2, "totalPages": 2}
    assert [o["id"] for o in ask(client, reader, "traces?limit=1&page=2")[1]["data"]] == ["t1"]
    for query in ("userId=u1", "name=refund", "tags=a", f"toTimestamp={at(5)}"):
        assert [o["id"] for o in ask(client, reader, f"traces?{query}")[1]["data"]] == ["t1"]
    status, one = ask(client, reader, "traces/t1")
    assert (one["name"], one["input"], one["latency"], one["totalCost"]) == (
        "refund",
        "?",
        2.0,
        0.00045,
    )
    assert [o["id"] for o in one["observations"]] == ["g1"]
    assert [(s["id"], s["value"], s["stringValue"], s["dataType"]) for s in one["scores"]] == [
        ("sc", 1.0, "True", "BOOLEAN")
    ]
    assert ask(client, reader, "traces/none")[0] == 404


@pytest.mark.usefixtures("filled")
def test_observations(client: Client, reader: str) -> None:
    for path in ("observations?type=GENERATION", "observations?traceId=t1&type=GENERATION"):
        [one] = ask(client, reader, path)[1]["data"]
        assert (one["id"], one["type"], one["model"], one["parentObservationId"]) == (
            "g1", "GENERATION", "gpt-5-mini", None,
        )  # fmt: skip
        assert one["usageDetails"] == {"input": 1000, "output": 100, "total": 1100}
        assert one["calculatedTotalCost"] == 0.00045
    status, one = ask(client, reader, "observations/g1")
    assert (status, one["output"][0]["content"]) == (200, "So much.")
    assert ask(client, reader, "observations/none")[0] == 404


@pytest.mark.usefixtures("filled")
def test_scores_are_made_read_and_deleted(client: Client, project: Project, reader: str) -> None:
    status, made = ask(client, reader, "scores", "POST", traceId="t1", name="tone", value="warm")
    assert status == 200
    status, one = ask(client, reader, f"scores/{made['id']}")
    assert (one["stringValue"], one["dataType"]) == ("warm", "CATEGORICAL")
    assert {o["name"] for o in ask(client, reader, "v2/scores?traceId=t1")[1]["data"]} == {
        "good",
        "tone",
    }
    assert ask(client, reader, f"scores/{made['id']}", "DELETE")[0] == 202
    assert Score.objects.filter(project=project).count() == 1
    for body in (
        {"name": "x"},
        {"name": "x", "value": 1},
        {"traceId": "t1", "value": 1},
        {"traceId": "a b", "name": "n", "value": 1},
    ):
        status, answer = ask(client, reader, "scores", "POST", **body)
        assert (status, set(answer)) == (400, {"message", "error", "code"})


@pytest.mark.parametrize(
    ("mode", "reason", "metadata"),
    [
        ("off", "", {"n": 1}),
        ("masked", "asked [email]", {"from": "it was [email]", "n": 1}),
        ("plain", "asked jane@example.com", {"from": "it was jane@example.com", "n": 1}),
    ],
)
def test_a_score_keeps_what_the_project_allows(
    client: Client, project: Project, reader: str, mode: str, reason: str, metadata: dict[str, Any]
) -> None:
    Project.objects.filter(pk=project.pk).update(content_capture=mode)
    given = {"from": "it was jane@example.com", "n": 1}
    body = {"traceId": "t1", "name": "tone", "value": 1, "metadata": given}
    status, made = ask(client, reader, "scores", "POST", comment="asked jane@example.com", **body)
    assert status == 200
    stored = Score.objects.get(project=project, score_id=made["id"])
    assert (stored.reason, stored.metadata) == (reason, metadata)


@pytest.mark.usefixtures("filled")
def test_an_archived_project_keeps_its_scores_as_they_are(
    client: Client, project: Project, reader: str
) -> None:
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    before = everything(), Score.objects.count()
    assert ask(client, reader, "scores", "POST", traceId="t1", name="n", value=1)[0] == 403
    assert ask(client, reader, "scores/sc", "DELETE")[0] == 403
    assert ask(client, reader, "scores/sc")[0] == 200
    assert (everything(), Score.objects.count()) == before


def test_sessions(client: Client, project: Project, reader: str) -> None:
    now = timezone.now()
    SessionRow.objects.create(
        project=project, session_id="s1", first_at=now, last_at=now, computed_at=now
    )
    send(client, reader, event("trace-create", 0, id="t1", sessionId="s1"))
    assert [o["id"] for o in ask(client, reader, "sessions")[1]["data"]] == ["s1"]
    assert [o["id"] for o in ask(client, reader, "sessions/s1")[1]["traces"]] == ["t1"]
    assert ask(client, reader, "sessions/none")[0] == 404


@pytest.mark.parametrize(
    "path", ["v2/prompts/hello", "prompts", "media", "datasets/x", "metrics/daily"]
)
def test_what_is_not_kept_is_said(client: Client, reader: str, path: str) -> None:
    status, answer = ask(client, reader, path)
    assert (status, answer["error"]) == (404, "LangfuseNotFoundError")
    assert answer["message"].startswith("LLMLab does not keep ")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "page=0", "page=9999&limit=100", "fromTimestamp=x"]
)
@pytest.mark.parametrize("path", ["traces", "observations", "sessions", "scores"])
def test_odd_parameters_are_named(client: Client, reader: str, path: str, query: str) -> None:
    query = query.replace(
        "fromTimestamp", "fromStartTime" if path == "observations" else "fromTimestamp"
    )
    status, answer = ask(client, reader, f"{path}?{query}")
    assert (status, query.partition("=")[0] in answer["message"]) == (400, True)


@pytest.mark.usefixtures("filled")
def test_other_projects_and_keys_without_the_scope_see_nothing(
    client: Client, project: Project, key: str
) -> None:
    stranger = key_for(ProjectFactory(), scopes=["ingest", "read"])[1]
    weak = key_for(project, scopes=["ingest"])[1]
    before = everything(), Score.objects.count()
    for path in ("traces/t1", "observations/g1", "scores/sc"):
        assert ask(client, stranger, path)[0] == 404
        assert ask(client, weak, path)[0] == 403
    assert ask(client, stranger, "scores/sc", "DELETE")[0] == 404
    assert [
        ask(client, stranger, path)[1]["data"]
        for path in ("traces", "observations", "scores", "sessions")
    ] == [[]] * 4
    assert (everything(), Score.objects.count()) == before
