"""The cost explorer in Chromium: from a question to its traces, and to a report that is sent."""

import re

import pytest

from costs.models import CostReport, ReportSchedule
from tests.functional.browser import PageFor, audit, expect
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


def choose(page: object, menu: str, label: str) -> None:
    """One option of a menu of the bar, by keyboard."""
    page.locator(f"#{menu}-menu").press("Enter")  # type: ignore[attr-defined]
    page.locator(f"details:has(> #{menu}-menu) a.menu-item").get_by_text(label, exact=True).first.press("Enter")  # type: ignore[attr-defined]  # fmt: skip


def test_a_question_is_asked_narrowed_saved_and_scheduled(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["member"])
    page.goto(f"/organizations/{world.names['organization']}/costs/?range=7d&by=model&compare=none")
    expect(page.locator("#explorer-h")).to_have_text("Cost by model per day")
    assert audit(page) == []
    choose(page, "by-2", "Environment")
    expect(page.locator("#explorer-table-h")).to_have_text("Model × Environment")
    expect(page).to_have_url(re.compile("by=model&by=environment"))
    choose(page, "measure", "Calls")
    expect(page.locator("#explorer-h")).to_have_text("Calls by model per day")
    assert audit(page) == []
    # The filter's values come from the engine, and stay in the address.
    page.locator("#filter-menu").click()
    page.locator("#filter-options").get_by_role("link", name="Provider").click()
    page.locator('#filter-options input[name="provider"]').first.check()
    page.locator("#filter-options").get_by_role("button", name="Apply").click()
    expect(page.locator(".chip.on")).to_contain_text("Provider")
    page.go_back()
    expect(page.locator(".chip.on")).to_have_count(0)
    page.get_by_role("link", name="Save as report").click()
    page.fill("#id_name", "Calls by model")
    page.get_by_role("button", name="Save report").click()
    expect(page.locator("h1")).to_have_text("Calls by model")
    page.get_by_role("button", name="Send it by e-mail").click()
    expect(page.locator("main")).to_contain_text("Mondays at 08:00")
    assert audit(page) == []
    assert CostReport.objects.get(name="Calls by model").author == world.people["member"]
    assert ReportSchedule.objects.filter(report__name="Calls by model").count() == 1


def test_phones_and_dark_rooms(page_for: PageFor, world: World) -> None:
    base = f"/organizations/{world.names['organization']}/costs"
    page = page_for(world.people["owner"], theme="dark", width=390)
    report = f"/reports/{world.names['report_id']}/"
    pivot = "/?range=7d&by=model&by=agent&compare=previous"
    for path in (pivot, "/reports/", "/filters/", report):
        page.goto(base + path)
        assert audit(page) == [], path


def test_without_a_script_links_do(page_for: PageFor, world: World) -> None:
    page = page_for(world.people["member"], java_script_enabled=False)
    page.goto(f"/organizations/{world.names['organization']}/costs/?range=7d&by=model&compare=none")
    choose(page, "by-1", "Agent")
    expect(page.locator("#explorer-h")).to_have_text("Cost by agent per day")
    page.locator("#explorer-table a.fig").first.click()
    expect(page).to_have_url(re.compile("/traces/|/costs/"))
