"""An incident fires while somebody looks at another page: the bell counts, is opened and read, by keyboard alone."""

import re
from typing import Any

import pytest
from django.utils import timezone

from alerts.models import AlertEvent, EventRead, NotificationPreference
from alerts.signals import events_changed
from tests.factories.alerts import AlertEventFactory
from tests.functional.browser import PageFor, audit, expect
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What a hidden tab sees, without hiding it; and a place for what it shows.
PRETEND = """window.shown = [];
window.Notification = class {
  constructor(title, options) { window.shown.push([title, options.tag]); }
  addEventListener() {}
  static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } };
Object.defineProperty(document, 'hidden', { get: () => window.pretendHidden === true });"""


def fire(world: World, title: str, severity: str = "error") -> AlertEvent:
    """What the engine does: an incident that people are told of, and the news of it."""
    now = timezone.now()
    event = AlertEventFactory(
        organization=world.organization, title=title, severity=severity, told_at=now, fired_at=now
    )
    events_changed.send(
        sender=None, organization_id=world.organization.pk, event_ids=[event.pk], now=now
    )
    return event


def test_the_bell_counts_up_live_and_is_read_by_keyboard(
    transactional_db: None, page_for: PageFor
) -> None:
    world = make_world()
    AlertEvent.objects.all().delete()
    person = world.people["viewer"]
    NotificationPreference.objects.create(
        user=person, organization=world.organization, has_browser=True, browser_severity="error"
    )
    page = page_for(person)
    page.context.add_init_script(PRETEND)
    with page.expect_websocket(lambda socket: "/ws/alerts/" in socket.url):
        page.goto("/projects/checkout/settings/")
    bell, favicon = page.locator("a.bell"), page.locator("link[rel=icon]")
    expect(page.locator("[data-bell-state]")).to_have_attribute("data-unread", "0")
    expect(page).to_have_title(re.compile(r"^[^(]"))
    page.evaluate("window.pretendHidden = true")
    fire(world, "Checkout fails too often")
    expect(bell).to_have_text(re.compile("1 unread"))
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    expect(favicon).to_have_attribute("href", re.compile("favicon-alert"))
    expect(page.locator("#nav-alerts")).to_have_text("1 firing")
    fire(world, "Somewhat slow", "warning")
    expect(bell).to_have_text(re.compile("2 unread"))
    assert [one[0] for one in page.evaluate("window.shown")] == ["Checkout fails too often"]
    page.evaluate("window.pretendHidden = false")

    bell.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#alert-inbox")
    expect(panel.get_by_role("link", name="Somewhat slow")).to_be_visible()
    assert audit(page) == []
    panel.get_by_role("button", name="Mark as read: Somewhat slow").focus()
    page.keyboard.press("Enter")
    expect(bell).to_have_text(re.compile("1 unread"))
    expect(panel.locator(".inbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(bell).to_be_focused()

    page.keyboard.press("g")
    page.keyboard.press("w")
    page.wait_for_url("**/alerts/")
    expect(bell).to_have_text(re.compile("1 unread"))
    page.goto(f"/organizations/{world.organization.slug}/alerts/inbox/")
    assert audit(page) == []
    _second_page_hears_of_reading(page, page_for, person)
    expect(bell).not_to_have_text(re.compile("unread"))
    expect(page).to_have_title(re.compile(r"^Inbox"))
    assert EventRead.objects.count() == 0  # one mark for all of them took its place

    page.goto(f"/organizations/{world.organization.slug}/alerts/preferences/")
    expect(page.locator("[data-permission]")).to_have_text("This browser shows them.")
    page.get_by_label("Digest by e-mail").select_option("daily")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    expect(page.locator("#main")).to_contain_text("every day at 08:00")
    assert audit(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=0.9)


def _second_page_hears_of_reading(page: Any, page_for: PageFor, person: Any) -> None:
    """Everything marked as read on a phone: the desk's bell is told by its socket."""
    phone = page_for(person, width=390, theme="dark")
    phone.goto(page.url)
    expect(phone.locator("#tab-alerts")).to_have_text("2 firing")
    assert audit(phone) == []
    phone.get_by_role("button", name="Mark all read").click()
    expect(phone.get_by_role("button", name="Mark all read")).to_have_count(0)
