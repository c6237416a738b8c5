"""An incident by keyboard: found under Firing, acknowledged, snoozed and commented on; then on a phone at night."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from tests.factories.alerts import AlertEventFactory, AlertFactory, ChannelFactory, DeliveryFactory
from tests.functional.browser import PageFor, audit, expect
from tests.world import make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_late_answer_takes_nothing_away_that_somebody_writes(
    transactional_db: None, page_for: PageFor
) -> None:
    """The page asks again by itself; what comes back after somebody began to write is dropped."""
    world = make_world()
    event = AlertEventFactory.create(organization=world.organization, title="Errors at 7.5%")
    page = page_for(world.people["member"])
    page.goto(f"/organizations/{world.organization.slug}/alerts/events/{event.pk}/")
    with page.expect_response(f"**/events/{event.pk}/"):
        page.evaluate(
            """() => {
              document.dispatchEvent(new Event("bell:count"));
              document.querySelector("#comment-words").value = "They know.";
              document.querySelector("#incident").dataset.before = "1";
            }"""
        )
    page.evaluate("new Promise((later) => setTimeout(later, 300))")
    expect(page.get_by_label("Comment")).to_have_value("They know.")
    expect(page.locator("#incident")).to_have_attribute("data-before", "1")
    page.get_by_label("Comment").fill("")
    page.get_by_role("button", name="1 day").focus()
    page.evaluate("document.dispatchEvent(new Event('bell:count'))")
    # htmx knows the new buttons once its mark of new elements is gone.
    expect(page.locator("#incident:not([data-before], .htmx-added)")).to_be_visible()
    _an_act_ends_a_refresh_and_keeps_what_is_typed(page)
    _the_keyboard_is_not_thrown_off_its_place(page)


def _an_act_ends_a_refresh_and_keeps_what_is_typed(page: Any) -> None:
    """What was asked for before an act is older than its answer, and must not be what is shown."""
    page.evaluate(
        """() => {
          window.ended = 0;
          document.addEventListener("htmx:sendAbort", () => { window.ended += 1; });
          document.dispatchEvent(new Event("bell:count"));
          document.querySelector("#act-take").click();
          document.querySelector("#comment-words").value = "I look";
        }"""
    )
    expect(page.locator("#incident:not(.htmx-added) [name=take_back]")).to_be_visible()
    assert page.evaluate("window.ended") == 1
    expect(page.get_by_label("Comment")).to_have_value("I look")
    # Two acts at once: both are done, both answers are shown.
    page.evaluate(
        """() => {
          document.querySelector("#act-snooze-1d").click();
          document.querySelector("#act-comment").click();
        }"""
    )
    expect(page.get_by_role("button", name="End the snooze")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("I look")
    expect(page.get_by_label("Comment")).to_have_value("")


def _the_keyboard_is_not_thrown_off_its_place(page: Any) -> None:
    place = page.get_by_text("What these do")
    page.keyboard.press("Tab")
    place.focus()
    page.evaluate(
        """() => {
          window.asked = 0;
          document.addEventListener("htmx:beforeRequest", (event) => {
            if (event.target.localName === "live-part") window.asked += 1;
          });
          document.dispatchEvent(new Event("bell:count"));
        }"""
    )
    assert page.evaluate("window.asked") == 0
    expect(place).to_be_focused()


def test_an_incident_is_opened_taken_snoozed_and_talked_about(
    transactional_db: None, page_for: PageFor
) -> None:
    world, now = make_world(), timezone.now()
    rule = AlertFactory.create(
        organization=world.organization, name="Errors", note="Ask the provider first."
    )
    points = [
        {"at": (now - dt.timedelta(minutes=60 - n)).isoformat(), "value": str(n / 8)}
        for n in range(60)
    ]
    cause = {"dimension": "model", "value": "gpt-5", "words": "20 of 30 calls", "share": "0.67"}
    event = AlertEventFactory.create(
        organization=world.organization,
        alert=rule,
        title="Errors at 7.5%",
        severity="critical",
        evidence={
            "points": points, "causes": [cause], "rows": [["Failed", "30 of 400"]],
            "url": "/projects/checkout/traces/?status=error", "url_label": "See the failed calls",
        },
    )  # fmt: skip
    channel = ChannelFactory.create(organization=world.organization, name="On call")
    DeliveryFactory.create(
        event=event, channel=channel, state="dead", attempts=1, error="410 Gone", status_code=410,
        tries=[{"at": now.isoformat(), "status": 410, "ms": 12, "error": "Gone"}],
    )  # fmt: skip
    page = page_for(world.people["admin"])
    page.goto("/alerts/")
    page.wait_for_url("**/alerts/")
    expect(page.locator("#firing-results")).to_contain_text("Errors at 7.5%")
    assert audit(page) == []
    page.get_by_role("link", name="Errors at 7.5%").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/events/{event.pk}/")
    incident = page.locator("#incident")
    assert audit(page) == []
    page.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(incident).to_contain_text("looks after it")
    # The button that took it is the one that takes it back, and keeps the focus.
    expect(page.get_by_role("button", name="Take back")).to_be_focused()
    page.get_by_role("button", name="1 day").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="End the snooze")).to_be_visible()
    page.get_by_label("Comment").fill("The provider says they know.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".timeline")).to_contain_text("The provider says they know.")
    expect(page.get_by_label("Comment")).to_have_value("")
    page.get_by_text("Each try").focus()
    page.keyboard.press("Enter")
    expect(incident).to_contain_text("12 ms")
    assert audit(page) == []
    phone = page_for(world.people["member"], theme="dark", width=390)
    phone.goto(f"/organizations/{world.organization.slug}/alerts/events/{event.pk}/acknowledge/")
    phone.get_by_role("button", name="I look after it").click()
    expect(phone.locator("#incident")).to_contain_text("looks after it")
    assert audit(phone) == []
    event.refresh_from_db()
    assert (event.state, event.acknowledged_by) == ("acknowledged", world.people["member"])
