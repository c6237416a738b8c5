"""List, create, rename, archive, delete, setup: by role, from outside, and signed out."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent
from core.models import Job, OutboxItem
from projects.models import ApiKey, Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(acme: SimpleNamespace) -> Project:
    return ProjectFactory(organization=acme.organization, slug="bot", name="Bot")


def names(response: Any) -> list[str]:
    return [project.name for project in response.context["projects"]]


def test_list_shows_the_organizations_projects(
    acme: SimpleNamespace, globex: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    ProjectFactory(organization=acme.organization, name="Archive", archived=True)
    ProjectFactory(organization=acme.organization, name="Gone", deleting=True)
    ProjectFactory(organization=globex.organization, name="Foreign")
    client = client_of(acme.viewer)
    response = client.get("/projects/")
    assert names(response) == ["Bot"]
    assert "Foreign" not in response.content.decode()
    assert names(client.get("/projects/?status=archived")) == ["Archive"]
    assert "New project</a>" not in response.content.decode().split("<main")[0].split("<header")[1]


def test_list_is_searched_sorted_and_answers_htmx_with_the_part(
    acme: SimpleNamespace, client_of: Any
) -> None:
    for name in ("Alpha", "Beta", "Gamma"):
        ProjectFactory(organization=acme.organization, name=name, slug=name.lower())
    client = client_of(acme.member)
    assert names(client.get("/projects/?sort=-name")) == ["Gamma", "Beta", "Alpha"]
    assert names(client.get("/projects/?sort=nonsense")) == ["Alpha", "Beta", "Gamma"]
    response = client.get("/projects/?q=ET%00A", headers={"HX-Request": "true"})
    assert names(response) == ["Beta"]
    assert (
        response.content.decode().lstrip().startswith('<section class="card" id="project-results"')
    )
    assert "HX-Request" in response["Vary"]
    assert "No project has that name" in client.get("/projects/?q=zzz").content.decode()


def test_list_has_a_query_budget(
    acme: SimpleNamespace, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    for project in ProjectFactory.create_batch(30, organization=acme.organization):
        ApiKeyFactory(project=project)
    client = client_of(acme.owner)
    with django_assert_max_num_queries(9):
        assert len(names(client.get("/projects/"))) == 30


def test_list_without_login_denied() -> None:
    assert Client().get("/projects/")["Location"] == "/accounts/login/?next=/projects/"


def test_member_creates_a_project(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.member)
    assert client.get("/projects/new/").status_code == 200
    response = client.post("/projects/new/", {"name": "Support Bot", "slug": ""})
    assert response["Location"] == "/projects/support-bot/setup/"
    project = Project.objects.get()
    assert (project.name, project.slug, project.organization) == (
        "Support Bot",
        "support-bot",
        acme.organization,
    )
    event = AuditEvent.objects.get()
    assert (event.action, event.actor) == ("project.created", acme.member.user)


def test_same_name_gets_another_slug_but_a_typed_slug_is_kept(
    acme: SimpleNamespace, globex: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    ProjectFactory(organization=globex.organization, slug="theirs")
    client = client_of(acme.member)
    client.post("/projects/new/", {"name": "Bot"})
    assert Project.objects.exclude(pk=bot.pk).get(name="Bot").slug.startswith("bot-")
    taken = client.post("/projects/new/", {"name": "Another", "slug": "bot"})
    assert taken.status_code == 422
    assert "taken in this organisation" in taken.content.decode()
    other = client.post("/projects/new/", {"name": "Free here", "slug": "theirs"})
    assert other["Location"] == "/projects/theirs/setup/"


@pytest.mark.parametrize(
    "data",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"name": "a\x00b"},
        {"name": "Fine", "slug": "new"},
        {"name": "Fine", "slug": "spend"},
        {"name": "Fine", "slug": "Upper"},
        {"name": "Fine", "slug": "a b"},
        {"name": "Fine", "slug": "01a1fcf8-fefe-76e8-9614-08fcc0292c91"},
    ],
)
def test_unusable_project_denied(
    acme: SimpleNamespace, client_of: Any, data: dict[str, str]
) -> None:
    assert client_of(acme.owner).post("/projects/new/", data).status_code == 422
    assert Project.objects.count() == 0


def test_name_that_makes_a_reserved_slug_gets_a_suffix(
    acme: SimpleNamespace, client_of: Any
) -> None:
    client_of(acme.owner).post("/projects/new/", {"name": "New"})
    assert Project.objects.get().slug.startswith("new-")


def test_creation_denied(acme: SimpleNamespace, client_of: Any) -> None:
    viewer = client_of(acme.viewer)
    assert viewer.get("/projects/new/").status_code == 403
    assert viewer.post("/projects/new/", {"name": "Mine"}).status_code == 403
    assert Client().post("/projects/new/", {"name": "Mine"}).status_code == 302
    assert Project.objects.count() == 0


def test_admin_renames(acme: SimpleNamespace, bot: Project, client_of: Any) -> None:
    response = client_of(acme.admin).post("/projects/bot/settings/", {"name": "Robot"})
    assert response["Location"] == "/projects/bot/settings/"
    bot.refresh_from_db()
    assert (bot.name, bot.slug) == ("Robot", "bot")
    assert AuditEvent.objects.get().data["from"] == "Bot"


def test_admin_archives_and_reopens(acme: SimpleNamespace, bot: Project, client_of: Any) -> None:
    client = client_of(acme.admin)
    for archived, status in (("1", "archived"), ("0", "active")):
        client.post("/projects/bot/settings/archive/", {"archived": archived})
        bot.refresh_from_db()
        assert bot.status == status
        assert client.get("/projects/bot/settings/danger/").status_code == 200
        assert client.get("/projects/bot/setup/").status_code == 200
    actions = AuditEvent.objects.order_by("created_at").values_list("action", flat=True)
    assert list(actions) == ["project.archived", "project.unarchived"]


def test_admin_deletes_after_typing_the_slug(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    ApiKeyFactory(project=bot)
    client = client_of(acme.admin)
    wrong = client.post("/projects/bot/settings/danger/", {"confirm": "bott"})
    assert wrong.status_code == 422
    assert Project.objects.get().status == "active"
    response = client.post("/projects/bot/settings/danger/", {"confirm": "bot"})
    job = Job.objects.get()
    assert response["Location"] == f"/projects/deletions/{job.pk}/"
    assert OutboxItem.objects.get().topic == "projects.purge"
    assert Project.objects.get().status == "deleting"
    assert client.get("/projects/bot/settings/").status_code == 404
    page = client.get(response["Location"])
    assert "Delete project Bot" in page.content.decode()
    assert "Delete project Bot" in client.get("/projects/").content.decode()
    client.post("/projects/new/", {"name": "Bot"})
    assert Project.objects.filter(slug="bot").exists()  # the name is free at once


def test_progress_of_a_foreign_deletion_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    client_of(acme.owner).post("/projects/bot/settings/danger/", {"confirm": "bot"})
    url = f"/projects/deletions/{Job.objects.get().pk}/"
    assert client_of(globex.owner).get(url).status_code == 404
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("settings/", {"name": "Mine"}),
        ("settings/archive/", {"archived": "1"}),
        ("settings/danger/", {"confirm": "bot"}),
    ],
)
def test_change_denied(
    acme: SimpleNamespace,
    globex: SimpleNamespace,
    bot: Project,
    client_of: Any,
    path: str,
    data: dict[str, str],
) -> None:
    url = f"/projects/bot/{path}"
    for who, status in [(acme.viewer, 403), (acme.member, 403), (globex.owner, 404)]:
        assert client_of(who).post(url, data).status_code == status
    assert Client().post(url, data).status_code == 302
    bot.refresh_from_db()
    assert (bot.name, bot.status) == ("Bot", "active")
    assert (Job.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_viewer_reads_the_general_settings_only(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    client = client_of(acme.viewer)
    page = client.get("/projects/bot/settings/").content.decode()
    assert "Danger zone" not in page
    assert "API keys" not in page
    assert 'name="name"' not in page
    assert client.get("/projects/bot/settings/api-keys/").status_code == 403
    assert client.get("/projects/bot/settings/danger/").status_code == 403


def test_setup_makes_a_key_on_demand_and_fills_it_in(
    acme: SimpleNamespace, bot: Project, client_of: Any, settings: Any
) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.acme.example"
    client = client_of(acme.member)
    before = client.get("/projects/bot/setup/").content.decode()
    assert "llmlab_sk_YOUR_KEY" in before
    assert ApiKey.objects.count() == 0
    response = client.post("/projects/bot/setup/")
    key = ApiKey.objects.get()
    page = response.content.decode()
    assert (key.name, key.scopes, key.created_by) == ("Setup", ["ingest"], acme.member.user)
    assert page.count(key.prefix) == 6  # the key itself and five snippets
    assert page.count("llmlab_sk_YOUR_KEY") == 6  # it may not call models
    assert "no-store" in response["Cache-Control"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=&quot;https://llmlab.acme.example&quot;" in page
    assert "https://llmlab.acme.example/sdks/llmlab-" in page
    assert "https://llmlab.acme.example/api/v1/projects/bot/traces" in page
    part = client.post("/projects/bot/setup/", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<section class="card" id="setup-steps"')


def test_setup_makes_a_key_to_call_models_with(
    acme: SimpleNamespace, bot: Project, client_of: Any, settings: Any
) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.acme.example"
    page = client_of(acme.member).post("/projects/bot/setup/", {"way": "gateway"}).content.decode()
    key = ApiKey.objects.get()
    assert key.scopes == ["gateway"]
    assert page.count(key.prefix) == 7  # the key itself and six pieces of code
    assert 'value="gateway" checked' in page
    assert "base_url=&quot;https://llmlab.acme.example/v1&quot;" in page
    chosen = client_of(acme.viewer).get("/projects/bot/setup/?way=gateway").content.decode()
    assert 'value="gateway" checked' in chosen


def test_setup_waits_until_the_first_trace(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    client = client_of(acme.member)
    waiting = client.get("/projects/bot/setup/").content.decode()
    assert 'hx-trigger="every 2s"' in waiting
    Project.objects.update(first_trace_at=bot.created_at)
    done = client.get("/projects/bot/setup/").content.decode()
    assert 'hx-trigger="every 2s"' not in done
    assert 'href="/projects/bot/traces/"' in done


def test_setup_key_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    viewer = client_of(acme.viewer)
    assert viewer.get("/projects/bot/setup/").status_code == 200
    assert viewer.post("/projects/bot/setup/").status_code == 403
    assert client_of(globex.owner).post("/projects/bot/setup/").status_code == 404
    assert Client().post("/projects/bot/setup/").status_code == 302
    assert ApiKey.objects.count() == 0


def test_pages_have_no_inline_script_or_style(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    ApiKeyFactory(project=bot)
    MembershipFactory(organization=acme.organization)
    client = client_of(acme.owner)
    pages = [
        "/projects/",
        "/projects/new/",
        "/projects/bot/setup/",
        "/projects/bot/settings/",
        "/projects/bot/settings/api-keys/",
        "/projects/bot/settings/api-keys/new/",
        "/projects/bot/settings/danger/",
        "/organizations/acme/members/",
        "/organizations/acme/settings/",
        "/organizations/new/",
        "/me/",
    ]
    for url in pages:
        response = client.get(url)
        html = response.content.decode()
        assert response.status_code == 200, url
        assert html.count("<h1") == 1, url
        for forbidden in (" style=", "<script>", " onclick=", "hx-on"):
            assert forbidden not in html, (url, forbidden)
        ids = [part.split('"')[0] for part in html.split(' id="')[1:]]
        assert len(ids) == len(set(ids)), (url, sorted(i for i in ids if ids.count(i) > 1))
