"""The list's API: the query language, saved views, many at once; keys, roles and tenants."""

import pytest
from django.test import Client

from accounts.models import AuditEvent, Role
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.factories.traces import TraceFactory
from traces import bulk
from traces.models import SavedView, Trace

pytestmark = pytest.mark.django_db
BASE = "/api/v1/projects/shop"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


def key_client(project: Project, scope: str, raw: str = "llmlab_sk_list") -> Client:
    owner = MembershipFactory(organization=project.organization, role=Role.MEMBER).user
    ApiKeyFactory(project=project, raw=f"{raw}_{scope}", scopes=[scope], created_by=owner)
    return Client(headers={"Authorization": f"Bearer {raw}_{scope}"})


@pytest.fixture
def reader(project: Project) -> Client:
    return key_client(project, "read")


@pytest.fixture
def admin(project: Project) -> Client:
    return key_client(project, "admin")


def post(client: Client, path: str, data: object):
    return client.post(f"{BASE}/{path}", data, content_type="application/json")


def test_the_list_takes_the_query_language(reader, project):
    TraceFactory(project=project, trace_id="a", failed=True, model_names=["claude-haiku"])
    TraceFactory(project=project, trace_id="b", environment="dev")
    found = reader.get(
        f"{BASE}/traces", {"q": "(status:error OR env:dev) -env:dev model:claude-*"}
    ).json()
    assert [one["trace_id"] for one in found["results"]] == ["a"]
    assert [
        one["trace_id"]
        for one in reader.get(f"{BASE}/traces?release=(none)&environment=dev").json()["results"]
    ] == ["b"]


def test_a_part_that_cannot_be_read_is_a_400_that_names_it(reader, project):
    response = reader.get(f"{BASE}/traces", {"q": "status:melted tag:x"})
    assert response.status_code == 400
    assert response.json()["fields"] == ["q"]
    assert (
        "'status:melted': status is 'melted'; it must be one of ok, error, running"
        in response.json()["detail"]
    )


def test_views_are_made_changed_and_deleted(admin, reader, project):
    made = post(
        admin,
        "views",
        {
            "name": "Dear",
            "query": "range=7d&q=cost:>1",
            "is_shared": True,
            "layout": {"columns": ["name", "cost"]},
        },
    )
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["query"], body["is_shared"], body["layout"]) == (
        "Dear", "range=7d&q=cost%3A%3E1", True, {"columns": ["name", "cost"]},
    )  # fmt: skip
    assert [one["id"] for one in reader.get(f"{BASE}/views").json()["results"]] == [body["id"]]
    changed = admin.patch(
        f"{BASE}/views/{body['id']}",
        {"name": "Dearest", "is_default": True},
        content_type="application/json",
    )
    assert (changed.status_code, changed.json()["name"], changed.json()["is_default"]) == (
        200,
        "Dearest",
        True,
    )
    assert post(admin, "views", {"name": "Dearest"}).status_code in (201, 409)
    assert admin.delete(f"{BASE}/views/{body['id']}").status_code == 204
    assert reader.get(f"{BASE}/views/{body['id']}").status_code == 404


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"query": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "x", "query": "q=colour:blue"}, "q"),
        ({"name": "x", "layout": {"columns": ["nonsense"]}}, "layout"),
        ({"name": "x", "colour": 1}, "colour"),
    ],
)
def test_bad_views_are_refused_by_field(admin, project, data, field):
    response = post(admin, "views", data)
    assert response.status_code == 400
    assert any(name.startswith(field) for name in response.json()["fields"])
    assert not SavedView.objects.exists()


def test_private_views_are_nobody_elses(admin, reader, project):
    person = MembershipFactory(organization=project.organization, role=Role.VIEWER).user
    view = SavedView.objects.create(project=project, author=person, name="mine")
    assert reader.get(f"{BASE}/views").json()["results"] == []
    assert admin.delete(f"{BASE}/views/{view.pk}").status_code == 404
    assert post(reader, "views", {"name": "x"}).status_code == 403
    stranger = key_client(ProjectFactory(), "admin", raw="llmlab_sk_stranger")
    assert stranger.delete(f"{BASE}/views/{view.pk}").status_code == 404
    assert SavedView.objects.count() == 1


def test_many_are_tagged_by_ids_or_query(admin, project):
    TraceFactory(project=project, trace_id="a", failed=True)
    TraceFactory(project=project, trace_id="b")
    stranger = TraceFactory(trace_id="a")
    assert post(
        admin, "trace-actions", {"action": "tag", "tag": "x", "ids": ["a", "nope"]}
    ).json() == {"changed": 1, "job": None}
    answer = post(admin, "trace-actions", {"action": "tag", "tag": "y", "query": "q=status:error"})
    assert (answer.status_code, answer.json()["changed"]) == (200, 1)
    assert Trace.objects.get(project=project, trace_id="a").tags == ["x", "y"]
    assert Trace.objects.get(project=stranger.project, trace_id="a").tags == []
    assert AuditEvent.objects.filter(action="traces.tagged").count() == 2
    assert post(admin, "trace-actions", {"action": "delete", "ids": ["b"]}).json()["changed"] == 1
    assert set(Trace.objects.filter(project=project).values_list("trace_id", flat=True)) == {"a"}


def test_more_than_a_few_become_a_job(admin, project, monkeypatch):
    monkeypatch.setattr(bulk, "DIRECT", 1)
    TraceFactory(project=project)
    TraceFactory(project=project)
    answer = post(admin, "trace-actions", {"action": "tag", "tag": "x", "query": "range=24h"})
    assert answer.status_code == 202
    assert admin.get(f"{BASE}/jobs/{answer.json()['job']}").status_code in (200, 403)


@pytest.mark.parametrize(
    "data",
    [
        {"action": "tag", "tag": "x"},
        {"action": "tag", "tag": "x", "ids": ["a"], "query": ""},
        {"action": "tag", "ids": ["a"]},
        {"action": "melt", "ids": ["a"]},
        {"action": "tag", "tag": "x", "query": "q=colour:blue"},
        {"action": "tag", "tag": "x", "ids": "a"},
    ],
)
def test_bad_actions_change_nothing(admin, project, data):
    TraceFactory(project=project, trace_id="a")
    assert post(admin, "trace-actions", data).status_code == 400
    assert Trace.objects.get(project=project).tags == []


def test_reading_keys_and_viewers_change_nothing(reader, project):
    TraceFactory(project=project, trace_id="a")
    viewer = Client()
    viewer.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    for client in (reader, viewer):
        assert post(client, "trace-actions", {"action": "delete", "ids": ["a"]}).status_code == 403
    assert post(Client(), "trace-actions", {"action": "delete", "ids": ["a"]}).status_code == 401
    assert Trace.objects.filter(project=project).count() == 1
