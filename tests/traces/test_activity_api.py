"""Sessions, users and errors over the API."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from projects.models import ApiKey, Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, llm
from tests.traces.test_activity_pages import failing
from tests.traces.test_search_index import asked, read, store
from tests.traces.uploads import key_for
from traces.activity.refs import ref_of
from traces.models import ErrorGroup

pytestmark = pytest.mark.django_db
API = "/api/v1/projects/shop"


@pytest.fixture
def project(acme: Any) -> Project:
    project = ProjectFactory(organization=acme.organization, slug="shop")
    store(
        project,
        llm("a", trace_id="t1", session_id="a/b", user_id="mina", input=asked("Hi"), output="Hello"),
        llm("b", trace_id="t2", session_id="a/b", started_at=START + dt.timedelta(minutes=1)),
        llm("c", trace_id="t3", session_id="s2", model="nobody-knows-it", user_id="mina"),
        failing(1, user_id="mina", release="1.0"),
    )  # fmt: skip
    read(project)
    return project


def headers(project: Project, *scopes: str) -> dict[str, str]:
    key = key_for(project, scopes=list(scopes))[1]
    return {"Authorization": f"Bearer {key}"}


def get(project: Project, path: str, status: int = 200) -> Any:
    response = Client().get(f"{API}/{path}", headers=headers(project, ApiKey.Scope.READ))
    assert response.status_code == status, response.content[:300]
    return response.json()


def test_sessions_in_pages(project: Project) -> None:
    body = get(project, "sessions?sort=-turns&limit=1")
    assert [(row["session"], row["turns_count"], row["cost_usd"]) for row in body["results"]] == [
        ("a/b", 2, "0.000900000000")
    ]
    assert body["previous"] is None
    path = body["next"].split("/projects/shop/")[1]
    [row] = get(project, path)["results"]
    assert (row["session"], row["cost_usd"], row["unpriced_calls"]) == ("s2", None, 1)


def test_a_session_with_its_turns(project: Project) -> None:
    body = get(project, f"sessions/{ref_of('a/b')}")
    assert [(t["number"], t["trace_id"], t["running_cost_usd"]) for t in body["turns"]] == [
        (1, "t1", "0.000450000000"),
        (2, "t2", "0.000900000000"),
    ]
    assert (body["turns"][0]["input"], body["turns"][0]["output"]) == ("Hi", "Hello")
    assert body["next"] is None
    get(project, "sessions/none", 404)


def test_what_a_session_cost_so_far_is_unknown_until_something_has_a_price(
    project: Project,
) -> None:
    path = f"sessions/{ref_of('s2')}"
    [turn] = get(project, path)["turns"]
    assert (turn["cost_usd"], turn["running_cost_usd"]) == (None, None)
    store(
        project, llm("e", trace_id="t5", session_id="s2", started_at=START + dt.timedelta(hours=1))
    )
    read(project)
    turns = get(project, path)["turns"]
    assert [turn["running_cost_usd"] for turn in turns] == [None, "0.000450000000"]


def test_users(project: Project) -> None:
    [row] = get(project, "users")["results"]
    assert (row["user"], row["trace_count"], row["session_count"], row["error_count"]) == (
        "mina", 3, 2, 1,
    )  # fmt: skip
    assert get(project, "users/mina") == row


def test_an_error_is_read_and_changed(project: Project) -> None:
    [row] = get(project, "errors")["results"]
    assert (row["error_type"], row["pattern"], row["count"]) == (
        "Timeout", "Timed out after <n> s", 1,
    )  # fmt: skip
    path = f"errors/{row['fingerprint']}"
    assert get(project, path)["trace_ids"] == ["e1"]

    def patch(body: dict[str, Any], scope: str = "ingest") -> Any:
        return Client().patch(
            f"{API}/{path}", body, content_type="application/json", headers=headers(project, scope)
        )

    assert patch({"status": "resolved"}, "read").status_code == 403
    assert patch({"status": "gone"}).status_code == 400
    assert patch({"status": "resolved", "extra": 1}).json()["fields"] == ["extra"]
    assert ErrorGroup.objects.get(project=project).status == "open"
    answer = patch({"status": "resolved", "in_next_release": True}).json()
    assert (answer["status"], answer["resolved_release"]) == ("resolved", "1.0")
    assert get(project, "errors")["results"] == []
    assert len(get(project, "errors?status=all")["results"]) == 1


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("sessions?sort=x", "sort"),
        ("users?has=x", "has"),
        ("errors?status=x", "status"),
        ("sessions?limit=0", "limit"),
        ("users?cursor=zz", "cursor"),
        ("users?cursor=a.zz", "cursor"),
        ("errors?colour=red", "colour"),
        ("errors?range=yesterday", "range"),
    ],
)
def test_bad_input_is_named(project: Project, path: str, field: str) -> None:
    assert field in get(project, path, 400)["fields"]


@pytest.mark.parametrize("path", ["sessions", "users", "errors", "sessions/s2", "users/mina"])
def test_reading_denied(project: Project, globex: Any, client_of: Any, path: str) -> None:
    assert Client().get(f"{API}/{path}").status_code == 401
    assert client_of(globex.owner).get(f"{API}/{path}").status_code == 404
    ingest = headers(project, ApiKey.Scope.INGEST)
    assert Client().get(f"{API}/{path}", headers=ingest).status_code == 403
