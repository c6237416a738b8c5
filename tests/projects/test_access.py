"""The one way to a project: members of its organisation only, everything else is the same 404."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from accounts.models import Role
from core.errors import DomainError, NotFoundError
from projects.access import project_for
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def test_member_finds_a_project_by_slug_and_by_id(
    acme: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    project = ProjectFactory(organization=acme.organization, slug="bot")
    with django_assert_num_queries(1):
        by_slug = project_for(acme.viewer.user, "bot")
        assert (by_slug.pk, by_slug.role, by_slug.ref) == (project.pk, Role.VIEWER, "bot")
        assert by_slug.organization.slug == "acme"
    by_id = project_for(acme.owner.user, str(project.pk), Role.OWNER)
    assert (by_id.pk, by_id.role, by_id.ref) == (project.pk, Role.OWNER, str(project.pk))


@pytest.mark.parametrize(
    "ref",
    ["bot", "", "nowhere", "\x00", "a" * 5000, "00000000-0000-0000-0000-000000000000", "..%2f"],
)
def test_unknown_and_foreign_are_the_same_404(
    acme: SimpleNamespace, globex: SimpleNamespace, ref: str
) -> None:
    ProjectFactory(organization=globex.organization, slug="bot")
    with pytest.raises(NotFoundError) as caught:
        project_for(acme.owner.user, ref)
    assert caught.value.detail == "There is no such project, or you have no access to it."


def test_nobody_and_deleting_projects_are_404(acme: SimpleNamespace) -> None:
    ProjectFactory(organization=acme.organization, slug="bot")
    ProjectFactory(organization=acme.organization, slug="gone", deleting=True)
    with pytest.raises(NotFoundError):
        project_for(AnonymousUser(), "bot")
    with pytest.raises(NotFoundError):
        project_for(acme.owner.user, "gone")


@pytest.mark.parametrize(
    ("role", "needed", "is_allowed"),
    [
        ("viewer", Role.VIEWER, True),
        ("viewer", Role.MEMBER, False),
        ("member", Role.MEMBER, True),
        ("member", Role.ADMIN, False),
        ("admin", Role.ADMIN, True),
        ("admin", Role.OWNER, False),
        ("owner", Role.OWNER, True),
    ],
)
def test_role_too_low_is_403(
    acme: SimpleNamespace, role: str, needed: Role, is_allowed: bool
) -> None:
    ProjectFactory(organization=acme.organization, slug="bot")
    user = getattr(acme, role).user
    if is_allowed:
        assert project_for(user, "bot", needed).role == role
        return
    with pytest.raises(DomainError) as caught:
        project_for(user, "bot", needed)
    assert (caught.value.status, caught.value.code) == (403, "forbidden")


def test_ambiguous_slug_goes_to_the_current_organization(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    MembershipFactory(organization=globex.organization, user=acme.owner.user)
    ours = ProjectFactory(organization=acme.organization, slug="bot", name="Ours")
    theirs = ProjectFactory(organization=globex.organization, slug="bot", name="Theirs")
    client = client_of(acme.owner)
    for slug, project in [("globex", theirs), ("acme", ours)]:
        client.post(f"/organizations/{slug}/switch/")
        response = client.get("/projects/bot/settings/")
        assert response.context["project"].pk == project.pk
        assert response.context["project"].ref == str(project.pk)  # links stay with this project
    listed = {project.name: project.ref for project in response.context["shell"].projects}
    assert listed == {"Ours": str(ours.pk), "Theirs": str(theirs.pk)}


def test_entry_points_lead_to_the_last_used_project(acme: SimpleNamespace, client_of: Any) -> None:
    ProjectFactory(organization=acme.organization, slug="aaa", name="Aaa")
    ProjectFactory(organization=acme.organization, slug="bbb", name="Bbb")
    client = client_of(acme.viewer)
    assert client.get("/")["Location"] == "/projects/aaa/dashboard/"
    client.get("/projects/bbb/settings/")
    targets = {
        "/": "/projects/bbb/dashboard/",
        "/dashboard/?range=7d": "/projects/bbb/dashboard/?range=7d",
        "/traces/": "/projects/bbb/traces/",
        "/setup/": "/projects/bbb/setup/",
        "/settings/": "/projects/bbb/settings/",
        "/projects/bbb/": "/projects/bbb/dashboard/",
    }
    for url, target in targets.items():
        assert client.get(url)["Location"] == target
    client.get("/projects/aaa/settings/", headers={"HX-Request": "true"})  # a panel does not count
    assert client.get("/")["Location"] == "/projects/bbb/dashboard/"
    Project.objects.filter(slug="bbb").update(status=Project.Status.DELETING)
    assert client.get("/")["Location"] == "/projects/aaa/dashboard/"


def test_entry_points_without_a_project_or_login(
    acme: SimpleNamespace, client_of: Any, django_user_model: Any
) -> None:
    assert Client().get("/")["Location"] == "/accounts/login/"
    assert Client().get("/dashboard/")["Location"] == "/accounts/login/?next=/dashboard/"
    assert client_of(acme.member).get("/")["Location"] == "/projects/new/"
    assert client_of(acme.viewer).get("/")["Location"] == "/projects/"
    loner = SimpleNamespace(user=django_user_model.objects.create_user("loner@example.com"))
    for url in ("/", "/projects/", "/projects/new/"):
        assert client_of(loner).get(url)["Location"] == "/organizations/new/"


def test_unknown_pages_are_404(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.owner)
    for path in ["", "setup/", "settings/", "settings/api-keys/", "settings/danger/"]:
        assert client.get(f"/projects/nowhere/{path}").status_code == 404
    assert client.get(f"/projects/deletions/{uuid.uuid4()}/").status_code == 404


def test_shell_reads_nothing_until_asked(
    acme: SimpleNamespace, rf: Any, django_assert_num_queries: Any
) -> None:
    from projects.context_processors import shell

    ProjectFactory(organization=acme.organization, slug="bot")
    request = rf.get("/me/")
    request.user, request.session = acme.viewer.user, {}
    with django_assert_num_queries(0):
        context = shell(request)["shell"]
    with django_assert_num_queries(1):
        assert (context.project.slug, context.organization.slug, context.role) == (
            "bot",
            "acme",
            Role.VIEWER,
        )
        assert len(context.projects) == 1
    request.user = AnonymousUser()
    with django_assert_num_queries(0):
        nobody = shell(request)["shell"]
        assert (nobody.project, nobody.organization, nobody.role, nobody.projects) == (
            None,
            None,
            None,
            [],
        )
