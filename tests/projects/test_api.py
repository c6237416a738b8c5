"""`/api/v1/projects…`: keys stay in their project, people in their role; one error shape."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Role
from core.models import Job
from projects.authentication import authenticate_key, hash_key
from projects.models import ApiKey, Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

NOWHERE = uuid.UUID("01a1fd0d-0000-7000-8000-000000000000")
pytestmark = pytest.mark.django_db
API = "/api/v1/projects"
ALL = ["ingest", "read", "gateway", "admin"]


@pytest.fixture
def bot(acme: SimpleNamespace) -> Project:
    return ProjectFactory(organization=acme.organization, slug="bot", name="Bot")


@pytest.fixture
def theirs(globex: SimpleNamespace) -> Project:
    return ProjectFactory(organization=globex.organization, slug="theirs")


class Caller:
    """A program with a key (or none)."""

    def __init__(self, raw: str | None) -> None:
        self.client = Client(headers={"authorization": f"Bearer {raw}"} if raw else {})

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        extra = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(f"{API}{path}", **extra)


def with_key(project: Project, scopes: list[str], number: int = 1) -> Caller:
    ApiKeyFactory(project=project, raw=raw_key(number), scopes=scopes)
    return Caller(raw_key(number))


def by_session(client: Client) -> Caller:
    caller = Caller(None)
    caller.client = client
    return caller


def test_key_lists_only_its_own_project(
    acme: SimpleNamespace, bot: Project, theirs: Project
) -> None:
    ProjectFactory(organization=acme.organization)
    answer = with_key(bot, ["read"])("get", "").json()
    assert (answer["next"], answer["previous"]) == (None, None)
    assert [project["slug"] for project in answer["results"]] == ["bot"]
    assert answer["results"][0] == {
        "id": str(bot.pk),
        "slug": "bot",
        "name": "Bot",
        "organization": "acme",
        "status": "active",
        "first_trace_at": None,
        "content_capture": "encrypted",
        "masking": {},
        "retention_days": None,
        "payload_retention_days": None,
        "retention_max_bytes": None,
        "created_at": bot.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_person_pages_through_their_projects(
    acme: SimpleNamespace, theirs: Project, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    made = {str(p.pk) for p in ProjectFactory.create_batch(5, organization=acme.organization)}
    ProjectFactory(organization=acme.organization, deleting=True)
    client = client_of(acme.viewer)
    seen: list[str] = []
    url: str | None = f"{API}?limit=2"
    while url:
        with django_assert_max_num_queries(3):
            answer = client.get(url).json()
        assert len(answer["results"]) <= 2
        seen += [project["id"] for project in answer["results"]]
        url = answer["next"]
    assert len(seen) == 5
    assert set(seen) == made
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=%00", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=cD14", "cursor"),
        ("cursor=cD0lMDA", "cursor"),
    ],
)
def test_bad_page_is_400(acme: SimpleNamespace, client_of: Any, query: str, field: str) -> None:
    response = client_of(acme.viewer).get(f"{API}?{query}")
    assert response.status_code == 400
    assert response.json()["fields"] == [field]


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_spellings_answer(
    acme: SimpleNamespace, bot: Project, client_of: Any, slash: str
) -> None:
    call = with_key(bot, ALL)
    assert call("get", slash).status_code == 200
    assert call("get", f"/bot{slash}").status_code == 200
    assert call("get", f"/{bot.pk}{slash}").status_code == 200
    assert call("post", f"/bot/keys{slash}", {"name": "k", "scopes": ["read"]}).status_code == 201


def test_key_of_another_project_is_404(bot: Project, theirs: Project) -> None:
    call = with_key(bot, ALL)
    for ref in ("theirs", str(theirs.pk), "nowhere", str(uuid.uuid4())):
        for method, path in [("get", f"/{ref}"), ("get", f"/{ref}/keys"), ("delete", f"/{ref}")]:
            response = call(method, path)
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert Project.objects.filter(status="deleting").count() == 0


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "", "read"),
        ("get", "/bot", "read"),
        ("patch", "/bot", "admin"),
        ("delete", "/bot", "admin"),
        ("get", "/bot/keys", "admin"),
        ("post", "/bot/keys", "admin"),
        ("delete", f"/bot/keys/{NOWHERE}", "admin"),
        ("post", f"/bot/keys/{NOWHERE}/rotation", "admin"),
    ],
)
def test_missing_scope_is_403(bot: Project, method: str, path: str, scope: str) -> None:
    call = with_key(bot, [other for other in ALL if other != scope])
    response = call(method, path, {} if method in ("post", "patch") else None)
    assert response.status_code == 403
    assert response.json() == {
        "detail": f"This API key lacks the scope {scope}.",
        "code": "missing_scope",
        "fields": [],
    }
    assert Project.objects.get().status == "active"


@pytest.mark.parametrize("path", ["", "/bot", "/bot/keys"])
@pytest.mark.parametrize("raw", [None, "", "llmlab_sk_wrong", "x" * 5000, "' OR 1=1--"])
def test_anonymous_is_401(bot: Project, path: str, raw: str | None) -> None:
    response = Caller(raw)("get", path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="llmlab"'
    assert set(response.json()) == {"detail", "code", "fields"}
    assert "wrong" not in response.json()["detail"]


@pytest.mark.parametrize("trait", ["revoked", "expired"])
def test_dead_key_is_401_even_with_a_session(
    acme: SimpleNamespace, bot: Project, client_of: Any, trait: str
) -> None:
    ApiKeyFactory(project=bot, raw=raw_key(1), **{trait: True})
    client = client_of(acme.owner)
    response = client.get(f"{API}/bot", headers={"authorization": f"Bearer {raw_key(1)}"})
    assert (response.status_code, response.json()["code"]) == (401, "authentication_failed")


def test_person_creates_a_project(acme: SimpleNamespace, client_of: Any) -> None:
    call = by_session(client_of(acme.member))
    response = call("post", "", {"name": "Robot"})
    assert response.status_code == 201
    assert (response.json()["slug"], response.json()["organization"]) == ("robot", "acme")
    taken = call("post", "", {"name": "Robot", "slug": "robot"})
    assert (taken.status_code, taken.json()["fields"]) == (409, ["slug"])


def test_person_of_two_organizations_names_one(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    MembershipFactory(organization=globex.organization, user=acme.owner.user, role=Role.VIEWER)
    call = by_session(client_of(acme.owner))
    assert call("post", "", {"name": "x"}).json()["fields"] == ["organization"]
    assert call("post", "", {"name": "x", "organization": "acme"}).status_code == 201
    assert call("post", "", {"name": "x", "organization": "globex"}).status_code == 403
    assert call("post", "", {"name": "x", "organization": "initech"}).status_code == 404
    assert Project.objects.count() == 1


def test_creation_denied(acme: SimpleNamespace, bot: Project, client_of: Any) -> None:
    refused = with_key(bot, ALL)("post", "", {"name": "Robot"})
    assert refused.status_code == 403
    assert "belongs to one project" in refused.json()["detail"]
    assert by_session(client_of(acme.viewer))("post", "", {"name": "Robot"}).status_code == 403
    assert Caller(None)("post", "", {"name": "Robot"}).status_code == 401
    no_token = Client(enforce_csrf_checks=True)
    no_token.force_login(acme.owner.user)
    response = no_token.post(API, {"name": "Robot"}, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert Project.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "x" * 81}, ["name"]),
        ({"name": "a\x00"}, ["name"]),
        ({"name": ["a"]}, ["name"]),
        ({"name": "x", "id": "y", "created_at": 1}, ["created_at", "id"]),
        ({"name": "x", "slug": "new"}, ["slug"]),
        ({"name": "x", "slug": "UPPER"}, ["slug"]),
        ([], []),
        ("text", []),
    ],
)
def test_bad_body_is_400(
    acme: SimpleNamespace, client_of: Any, body: Any, fields: list[str]
) -> None:
    response = by_session(client_of(acme.owner))("post", "", body)
    assert response.status_code == 400
    assert response.json()["fields"] == fields
    assert Project.objects.count() == 0


def test_form_encoded_body_is_415(acme: SimpleNamespace, client_of: Any) -> None:
    response = client_of(acme.owner).post(API, {"name": "Robot"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert Project.objects.count() == 0


def test_admin_key_renames_archives_and_reopens(bot: Project) -> None:
    call = with_key(bot, ALL)
    answer = call("patch", "/bot", {"name": "Robot", "status": "archived"}).json()
    assert (answer["name"], answer["status"], answer["slug"]) == ("Robot", "archived", "bot")
    assert call("patch", "/bot", {"status": "active"}).json()["status"] == "active"
    assert call("patch", "/bot", {"slug": "x"}).json()["fields"] == ["slug"]
    assert call("patch", "/bot", {"status": "deleting"}).json()["fields"] == ["status"]
    event = AuditEvent.objects.get(action="project.renamed")
    assert event.actor_label.startswith("API key ")
    assert raw_key(1) not in event.actor_label


def test_deletion_stops_the_key_at_once(bot: Project) -> None:
    call = with_key(bot, ALL)
    response = call("delete", "/bot")
    job = Job.objects.get()
    assert (response.status_code, response.json()) == (202, {"job": str(job.pk), "state": "queued"})
    assert call("get", "/bot").status_code == 401


@pytest.mark.parametrize(
    ("who", "status"), [("owner", 200), ("admin", 200), ("member", 403), ("viewer", 403)]
)
def test_change_needs_the_role_admin(
    acme: SimpleNamespace, bot: Project, client_of: Any, who: str, status: int
) -> None:
    call = by_session(client_of(getattr(acme, who)))
    assert call("get", "/bot").status_code == 200
    assert call("patch", "/bot", {"name": "Robot"}).status_code == status
    bot.refresh_from_db()
    assert bot.name == ("Robot" if status == 200 else "Bot")


def test_foreign_person_is_404(bot: Project, globex: SimpleNamespace, client_of: Any) -> None:
    call = by_session(client_of(globex.owner))
    for method, path in [("get", "/bot"), ("delete", "/bot"), ("get", "/bot/keys")]:
        assert call(method, path).status_code == 404
    assert Project.objects.get().status == "active"


def test_key_is_created_listed_rotated_and_revoked(bot: Project) -> None:
    call = with_key(bot, ALL)
    made = call("post", "/bot/keys", {"name": "CI", "scopes": ["read"]})
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    raw = made.json()["key"]
    key = ApiKey.objects.get(key_hash=hash_key(raw))
    assert made.json()["prefix"] == raw[:18]
    listed = call("get", "/bot/keys")
    assert {row["id"] for row in listed.json()["results"]} == set(
        map(str, ApiKey.objects.values_list("pk", flat=True))
    )
    assert raw not in listed.content.decode()
    assert key.key_hash not in listed.content.decode()

    rotated = call("post", f"/bot/keys/{key.pk}/rotation", {"overlap": "1h"})
    assert (rotated.status_code, rotated.json()["scopes"]) == (201, ["read"])
    assert authenticate_key(raw, now=timezone.now()) is not None
    assert call("delete", f"/bot/keys/{key.pk}").status_code == 204
    assert authenticate_key(raw, now=timezone.now()) is None
    assert authenticate_key(rotated.json()["key"], now=timezone.now()) is not None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"scopes": ["read"]}, ["name"]),
        ({"name": "x"}, ["scopes"]),
        ({"name": "x", "scopes": []}, ["scopes"]),
        ({"name": "x", "scopes": ["root"]}, ["scopes.0"]),
        ({"name": "x", "scopes": "read"}, ["scopes"]),
        ({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, ["expires_at"]),
        (
            {"name": "x", "scopes": ["read"], "expires_at": "0001-01-01T00:00:00+14:00"},
            ["expires_at"],
        ),
        ({"name": "x", "scopes": ["read"], "expires_at": 5}, ["expires_at"]),
        ({"name": "x", "scopes": ["read"], "key_hash": "0"}, ["key_hash"]),
    ],
)
def test_bad_key_is_400(bot: Project, body: dict[str, Any], fields: list[str]) -> None:
    response = with_key(bot, ALL)("post", "/bot/keys", body)
    assert response.status_code == 400
    assert response.json()["fields"] == fields
    assert ApiKey.objects.count() == 1


def test_member_manages_keys_up_to_their_role(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    powerful = ApiKeyFactory(project=bot, scopes=["admin"])
    call = by_session(client_of(acme.member))
    assert call("post", "/bot/keys", {"name": "x", "scopes": ["ingest"]}).status_code == 201
    for method, path, body in [
        ("post", "/bot/keys", {"name": "x", "scopes": ["admin"]}),
        ("delete", f"/bot/keys/{powerful.pk}", None),
        ("post", f"/bot/keys/{powerful.pk}/rotation", {}),
    ]:
        assert call(method, path, body).status_code == 403
    assert by_session(client_of(acme.viewer))("get", "/bot/keys").status_code == 403
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


def test_key_of_another_project_cannot_be_touched(bot: Project, theirs: Project) -> None:
    call = with_key(bot, ALL)
    foreign = ApiKeyFactory(project=theirs)
    assert call("delete", f"/bot/keys/{foreign.pk}").status_code == 404
    assert call("post", f"/bot/keys/{foreign.pk}/rotation", {}).status_code == 404
    foreign.refresh_from_db()
    assert (foreign.revoked_at, foreign.expires_at) == (None, None)


def test_wrong_method_has_the_error_shape(bot: Project) -> None:
    response = with_key(bot, ALL)("put", "/bot", {"name": "x"})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
