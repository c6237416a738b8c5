"""The frame around every page: only links the reader has a use for, and nothing that breaks without a project."""

import re

import pytest
from django.test import Client

from accounts.models import Role, User
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def _links(html: str, start: str, end: str) -> list[str]:
    part = html[html.index(start) : html.index(end, html.index(start))]
    return re.findall(r'<a[^>]* href="(/[^"]*)"', part)


def _page(user: User, url: str = "/me/") -> str:
    client = Client()
    client.force_login(user)
    return client.get(url).content.decode()


def test_menu_leads_to_the_readers_project() -> None:
    membership = MembershipFactory.create(role=Role.OWNER)
    ProjectFactory.create(organization=membership.organization, slug="support", name="Support")
    html = _page(membership.user)
    organization = membership.organization.slug
    found = _links(html, 'id="menu"', "</aside>")
    # The organisation's cost pages, after Models & prices' project ones or before: each area tests its own.
    money = f"/organizations/{organization}/"
    # The gateway's entry leads to the first of its tabs, a project's or the organisation's.
    assert any("/gateway/" in one for one in found)
    found = [one for one in found if "/support/gateway/" not in one]
    own = [
        one for one in found if not one.startswith(money) or one.endswith(("members/", "settings/"))
    ]
    assert f"{money}costs/" in {one.rpartition("calculator/")[0] or one for one in found}
    assert own == [
        "/projects/",
        "/projects/support/traces/",  # what Search leads to without JavaScript
        "/projects/support/dashboard/",
        "/projects/support/traces/",
        *(
            f"/projects/support/{page}/"
            for page in ("sessions", "users", "errors", "scores", "collections", "models")
        ),
        "/projects/",
        "/projects/support/exports/",
        "/jobs/",
        "/projects/support/ingestion/",
        "/projects/support/setup/",
        "/projects/support/settings/",
        "/me/",
        f"/organizations/{organization}/members/",
        f"/organizations/{organization}/settings/",
        "/projects/",
    ]


def test_without_a_project_the_menu_offers_projects_and_the_account() -> None:
    html = _page(UserFactory.create())
    assert _links(html, 'id="menu"', "</aside>") == [
        "/projects/",
        "/projects/",
        "/jobs/",
        "/me/",
        "/projects/",
    ]
    assert "Choose a project" in html


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/projects/support/dashboard/", "Dashboard"),
        ("/projects/support/dashboard/arrangement/", "Dashboard"),
        ("/projects/support/traces/", "Traces"),
        ("/projects/support/search/", "Traces"),
        ("/projects/support/sessions/", "Sessions"),
        ("/projects/support/users/", "Users"),
        ("/projects/support/errors/", "Errors"),
        ("/projects/support/scores/", "Scores"),
        ("/projects/support/collections/", "Collections"),
        ("/projects/support/models/", "Models & prices"),
        ("/organizations/{organization}/prices/", "Models & prices"),
        ("/organizations/{organization}/costs/", "Costs"),
        ("/organizations/{organization}/costs/reports/", "Costs"),
        ("/projects/", "Projects"),
        ("/projects/support/exports/", "Exports"),
        ("/jobs/", "Jobs"),
        ("/projects/support/setup/", "Setup & docs"),
        ("/projects/support/settings/data/", "Settings"),
        ("/projects/support/settings/scores/", "Settings"),
        ("/projects/support/settings/shares/", "Settings"),
        ("/me/", "Profile"),
        ("/organizations/{organization}/members/", "Members"),
        ("/organizations/{organization}/settings/", "Organisation settings"),
    ],
)
def test_menu_marks_exactly_the_item_one_is_at(path: str, item: str) -> None:
    membership = MembershipFactory.create(role=Role.OWNER)
    ProjectFactory.create(organization=membership.organization, slug="support", name="Support")
    html = _page(membership.user, path.format(organization=membership.organization.slug))
    menu = html[html.index('id="menu"') : html.index("</aside>")]
    marked = re.findall(r'aria-current="page"[^>]*>(?:<svg.*?</svg>)?([^<]*)', menu)
    assert marked == [item]


def test_only_operators_see_the_admin_link() -> None:
    assert "/admin/" not in _page(UserFactory.create())
    assert "/admin/" in _page(UserFactory.create(operator=True))


def test_switcher_lists_own_projects_by_organisation_and_no_others() -> None:
    mine = MembershipFactory.create()
    other = MembershipFactory.create(user=mine.user)
    ProjectFactory.create(organization=mine.organization, name="Alpha <b>")
    ProjectFactory.create(organization=other.organization, name="Beta")
    ProjectFactory.create(name="Stranger")
    html = _page(mine.user)
    dialog = html[html.index('id="project-switcher"') : html.index('id="shortcut-sheet"')]
    assert dialog.count("data-filter-group") == 2
    assert "Alpha &lt;b&gt;" in dialog
    assert "Beta" in dialog
    assert "Stranger" not in html


def test_log_out_is_a_post_with_a_token() -> None:
    html = _page(UserFactory.create())
    form = html[html.index('<form method="post" action="/accounts/logout/">') :]
    assert "csrfmiddlewaretoken" in form[: form.index("</form>")]


def test_current_page_is_marked_once_per_menu() -> None:
    membership = MembershipFactory.create()
    ProjectFactory.create(organization=membership.organization)
    html = _page(membership.user, "/projects/")
    marked = re.findall(r'<a[^>]*href="([^"]+)"[^>]*aria-current="page"', html)
    assert marked == ["/projects/"]  # the phone's bar has no place for it
