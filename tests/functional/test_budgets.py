"""A budget by keyboard: drafted with its past beside it, saved, found on its page, in the list and on the dashboard."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from costs.models import Budget
from costs.services.record_costs import ensure_partitions, record_costs
from costs.usage import ChargeableCall
from tests.functional.browser import PageFor, audit, expect
from tests.world import make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_budget_is_drafted_with_its_past_saved_and_followed(
    transactional_db: None, page_for: PageFor
) -> None:
    world = make_world()
    now = timezone.now()
    times = [now - dt.timedelta(days=days) for days in (2, 1, 0)]
    ensure_partitions(at.date() for at in times)
    calls = [
        ChargeableCall(
            record_id=f"b{number}",
            occurred_at=at,
            client_cost_usd=Decimal(30),
            model="gpt-5",
            user_id="ada",
        )
        for number, at in enumerate(times)
    ]
    record_costs(project_id=world.project.pk, calls=calls, now=now)
    Budget.objects.all().delete()
    page = page_for(world.people["admin"])
    page.goto("/projects/checkout/dashboard/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/budgets/")
    expect(page.locator("#budget-results")).to_contain_text("No budgets yet")
    page.locator("#budget-results").get_by_role("link", name="New budget").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/budgets/new/")
    expect(page.locator("#budget-preview")).to_contain_text("Complete the form")
    page.get_by_label("Name").fill("Ada, daily")
    page.get_by_label("Amount in US dollars").fill("40")
    page.get_by_label("Period", exact=True).select_option("daily")
    page.get_by_label("Counts the calls of").select_option("user")
    page.get_by_label("Which one").fill("ada")
    preview = page.locator("#budget-preview")
    expect(preview).to_contain_text("It would have fired 3 times in the last 90 days.")
    assert audit(page) == []
    page.get_by_label("Amount in US dollars").fill("30")
    expect(preview).to_contain_text("It would have fired 9 times in the last 90 days.")
    page.keyboard.press("Enter")
    page.wait_for_url("**/budgets/*-*/")
    expect(page.locator("#main")).to_contain_text("The money was gone on")
    assert audit(page) == []
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#main")).to_contain_text("Paused: it neither tells nor blocks.")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#main")).to_contain_text("The money was gone on")
    page.goto("/projects/checkout/dashboard/")
    panel = page.locator("#panel-budget")
    expect(panel).to_contain_text("Ada, daily")
    expect(panel).to_contain_text("left of $30.00 a day")
