"""Everyone arranges their own dashboard: show, hide, order, size, reset; with and without JavaScript."""

import re

import pytest
from django.test import Client

from accounts.models import Role
from core.errors import DomainError
from costs import board, views
from projects.models import Preference, Project
from tests.costs.test_dashboard import HTMX, text_of
from tests.factories.accounts import MembershipFactory
from tests.factories.costs import ProjectUsageFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
ADDRESS = "/projects/copilot/dashboard/arrangement/"
DEFAULT = [panel.key for panel in board.CATALOGUE if panel.is_default]


@pytest.fixture
def project() -> Project:
    found = ProjectFactory.create(slug="copilot")
    ProjectUsageFactory.create(project=found)
    return found


@pytest.fixture
def viewer(client: Client, project: Project) -> Client:
    member = MembershipFactory.create(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


def panels_on(client: Client) -> list[tuple[str, str]]:
    """(panel, size) as the dashboard shows them."""
    page = client.get("/projects/copilot/dashboard/?range=7d").content.decode()
    board_part = page[page.index('<div class="board">') :]
    return re.findall(r'<div class="w-(\w+)">.*?id="panel-([\w-]+)"', board_part, flags=re.S)


def keys_on(client: Client) -> list[str]:
    return [key for _, key in panels_on(client)]


def step(client: Client, action: str, panel: str = "", value: str = "", **more: object):
    return client.post(ADDRESS, {"action": action, "panel": panel, "value": value}, **more)


def test_default_panels_in_their_order(viewer: Client) -> None:
    assert keys_on(viewer) == DEFAULT


def test_a_viewer_hides_shows_moves_and_sizes(viewer: Client) -> None:
    assert step(viewer, "hide", "figures").status_code == 302
    step(viewer, "show", "cache")
    step(viewer, "move", "cache", "top")
    step(viewer, "move", "spend", "down")
    step(viewer, "size", "cache", "full")
    found = panels_on(viewer)
    assert found[0] == ("full", "cache")
    assert [key for _, key in found] == [
        "cache", "mix", "spend", *(key for key in DEFAULT if key not in ("figures", "mix", "spend"))
    ]  # fmt: skip
    assert Preference.objects.get().key == "dashboard.panels"


def test_reset_forgets_the_arrangement(viewer: Client) -> None:
    step(viewer, "hide", "figures")
    step(viewer, "reset")
    assert not Preference.objects.exists()
    assert keys_on(viewer) == DEFAULT


def test_hiding_everything_says_how_to_come_back(viewer: Client) -> None:
    for key in DEFAULT:
        step(viewer, "hide", key)
    page = viewer.get("/projects/copilot/dashboard/")
    assert "Every panel is hidden" in text_of(page)
    assert ADDRESS in page.content.decode()


def test_an_arrangement_is_one_persons_in_one_project(viewer: Client, project: Project) -> None:
    step(viewer, "hide", "spend")
    colleague = Client()
    colleague.force_login(MembershipFactory.create(organization=project.organization).user)
    assert keys_on(colleague) == DEFAULT
    other = ProjectFactory.create(organization=project.organization, slug="other")
    ProjectUsageFactory.create(project=other)
    page = viewer.get("/projects/other/dashboard/").content.decode()
    assert 'id="panel-spend"' in page


def test_htmx_swaps_the_list_and_a_page_keeps_the_dashboards_state(viewer: Client) -> None:
    part = step(viewer, "hide", "mix", headers=HTMX)
    assert part.status_code == 200
    assert part.content.decode().lstrip().startswith('<div id="arrangement"')
    assert 'id="show-mix"' in part.content.decode()
    page = viewer.get(f"{ADDRESS}?range=7d&group=model").content.decode()
    assert 'href="/projects/copilot/dashboard/?range=7d&amp;group=model"' in page
    answer = viewer.post(f"{ADDRESS}?range=7d&group=model", {"action": "reset"})
    assert answer["Location"] == f"{ADDRESS}?range=7d&group=model"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "show", "panel": "gold"}, "panel is 'gold'; no such panel."),
        ({"action": "paint", "panel": "spend"}, "action is 'paint'; it must be one of show"),
        ({"action": "size", "panel": "spend", "value": "huge"}, "a size is one of third"),
        ({"action": "move", "panel": "spend", "value": "left"}, "a panel moves up, down, top"),
    ],
)
def test_impossible_steps_are_refused_and_change_nothing(
    viewer: Client, fields: dict[str, str], words: str
) -> None:
    answer = viewer.post(ADDRESS, fields)
    assert answer.status_code == 400
    assert words in text_of(answer)
    assert not Preference.objects.exists()


def test_other_tenants_and_anonymous_are_kept_out(client: Client, project: Project) -> None:
    client.force_login(MembershipFactory.create().user)
    assert client.get(ADDRESS).status_code == 404
    assert step(client, "hide", "spend").status_code == 404
    assert step(Client(), "hide", "spend").status_code == 302
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"panels": "spend"},
        {
            "panels": [
                None,
                3,
                {"key": ["spend"]},
                {"key": "gone", "size": "half"},
                {"size": "full"},
            ]
        },
    ],
)
def test_arrangements_of_other_releases_never_break_the_page(kept: dict[str, object]) -> None:
    found = [panel.key for panel in board.listed(views.available(), kept)]
    assert found == ([] if isinstance(kept.get("panels"), list) else DEFAULT)


def test_unknown_size_falls_back_to_the_panels_own() -> None:
    found = board.listed(views.available(), {"panels": [{"key": "spend", "size": "giant"}]})
    assert [(panel.key, panel.size) for panel in found] == [("spend", "wide")]


def test_moving_past_the_ends_stays_there() -> None:
    shown = list(views.available()[:2])
    keys = [panel.key for panel in shown]
    for action, value, key in (("move", "up", keys[0]), ("move", "down", keys[1])):
        found = board.arranged(views.available(), shown, action=action, key=key, value=value)
        assert [panel.key for panel in found] == keys
    with pytest.raises(DomainError, match="no such panel"):
        board.arranged(views.available(), shown, action="hide", key="")


def test_hidden_panels_cost_nothing(viewer: Client, django_assert_max_num_queries) -> None:
    for key in DEFAULT:
        step(viewer, "hide", key)
    viewer.get("/projects/copilot/dashboard/")  # the session remembers the project
    with django_assert_max_num_queries(6):
        viewer.get("/projects/copilot/dashboard/?full=1")
