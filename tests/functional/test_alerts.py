"""A rule by keyboard: from a ready-made one, with its past beside it, saved and found in the list."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts.models import Alert
from costs.services.record_costs import ensure_partitions, record_costs
from costs.usage import ChargeableCall
from tests.functional.browser import PageFor, audit, expect
from tests.world import make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_rule_is_made_from_a_ready_made_one_seen_on_its_past_and_saved(
    transactional_db: None, page_for: PageFor
) -> None:
    world = make_world()
    now = timezone.now()
    hours = [now - dt.timedelta(hours=n) for n in range(2, 30)]
    ensure_partitions({at.date() for at in hours})
    calls = [
        ChargeableCall(
            record_id=f"c{place}-{number}", occurred_at=at, client_cost_usd=Decimal(1), model="gpt-5",
            is_error=place == 10 and number < 10,
        )
        for place, at in enumerate(hours)
        for number in range(20)
    ]  # fmt: skip
    record_costs(project_id=world.project.pk, calls=calls, now=now)
    Alert.objects.all().delete()
    page = page_for(world.people["admin"])
    page.goto(f"/organizations/{world.organization.slug}/alerts/rules/")
    results = page.locator("#rule-results")
    expect(results).to_contain_text("Add all recommended")
    assert audit(page) == []
    results.get_by_role("link", name="See its last 30 days for Error rate").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/rules/new/?starter=errors")
    preview = page.locator("#rule-preview")
    expect(preview).to_contain_text("It would have fired once in the last 30 days.")
    expect(preview).to_contain_text("Critical 20.0%")
    assert audit(page) == []
    page.get_by_label("Limit 2 in percent").fill("60")
    expect(preview).to_contain_text("Critical 60.0%")
    page.get_by_role("button", name="Add a limit").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Limit 3 in percent")).to_be_focused()
    page.keyboard.type("90")
    expect(preview).to_contain_text("Critical 90.0%")
    page.get_by_role("button", name="Remove limit 3").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add a limit")).to_be_focused()
    expect(page.get_by_label("Limit 3 in percent")).to_have_count(0)
    expect(preview).not_to_contain_text("Critical 90.0%")
    page.get_by_label("Name").fill("Failing calls")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rules/*-*/")
    expect(page.locator("#main")).to_contain_text("It has not fired.")
    assert audit(page) == []
    page.get_by_role("button", name="Mute 1 h").click()
    expect(page.locator("#main")).to_contain_text("Muted until")
    page.get_by_role("navigation", name="Alerts").get_by_role("link", name="Rules").click()
    expect(results).to_contain_text("Failing calls")
    page.get_by_role("searchbox", name="Search rules").fill("nothing like it")
    expect(results).to_contain_text("No rule matches")
    assert audit(page) == []
    assert Alert.objects.get().levels[1]["limit"] == "60"
