"""What the bell counts, for whom, and what makes it stop or count again."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from alerts.inbox import selectors, services
from alerts.models import AlertEvent, EventRead, NotificationPreference
from tests.factories.accounts import MembershipFactory
from tests.factories.alerts import AlertEventFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(member: Membership, name: str, **more: Any) -> str:
    return reverse(f"alerts:{name}", kwargs={"slug": member.organization.slug, **more})


def bell(member: Membership) -> selectors.Bell:
    return selectors.bell_of(member, selectors.preference_of(member), timezone.now())


def set_preference(member: Membership, **fields: Any) -> None:
    NotificationPreference.objects.update_or_create(
        user=member.user, organization=member.organization, defaults=fields
    )


def test_counts_what_was_told_and_not_read(member, fire):
    fire()
    read = fire(ago=5)
    EventRead.objects.create(user=member.user, event=read, read_at=timezone.now())
    fire(told_at=None, waiting_since=None)  # in a maintenance window
    fire(ago=31 * 24 * 60)  # too old
    fire(ago=46 * 24 * 60)  # before they joined
    AlertEventFactory(told_at=timezone.now())  # of others
    found = bell(member)
    assert found.unread == 1
    assert found.count == "1"


def test_what_fired_before_the_person_joined_is_read(member, fire):
    fire(ago=60)
    newcomer = MembershipFactory(organization=member.organization)
    assert bell(newcomer).unread == 0
    fire(ago=-1)
    assert bell(newcomer).unread == 1


def test_less_severe_ones_are_left_out(member, fire):
    for severity in ("info", "warning", "error", "critical"):
        fire(severity=severity)
    assert bell(member).unread == 4
    set_preference(member, inbox_severity="error")
    found = bell(member)
    assert (found.unread, found.open, found.worst) == (2, 2, "critical")


def test_worst_is_of_what_is_open_and_firing_of_what_nobody_took(member, fire):
    fire(severity="critical", state="resolved", resolved_at=timezone.now())
    fire(severity="warning", state="acknowledged")
    fire(severity="info")
    found = bell(member)
    assert (found.unread, found.open, found.firing, found.worst) == (3, 2, 1, "warning")


def test_a_higher_severity_makes_a_read_one_unread(member, fire):
    event = fire(ago=10)
    read_at = timezone.now() - dt.timedelta(minutes=5)
    EventRead.objects.create(user=member.user, event=event, read_at=read_at)
    set_preference(member, read_before=read_at)
    assert bell(member).unread == 0
    AlertEvent.objects.filter(pk=event.pk).update(waiting_since=timezone.now())
    assert bell(member).unread == 1


def test_counts_no_further_than_it_shows(member, fire):
    for _ in range(101):
        fire()
    found = bell(member)
    assert (found.unread, found.count) == (100, "99+")


def test_news_are_open_and_severe_enough_for_the_browser(member, fire):
    fire(severity="warning")
    loud = fire(severity="critical")
    fire(severity="critical", state="resolved")
    assert bell(member).news == []
    set_preference(member, has_browser=True, browser_severity="error")
    assert bell(member).news == [loud]


def test_bell_fills_the_menus_too_with_a_bounded_number_of_queries(
    client, member, fire, django_assert_num_queries
):
    for number in range(12):
        fire(title=f"Errors {number}")
    set_preference(member, has_browser=True, browser_severity="info")
    with django_assert_num_queries(6):
        page = client.get(url(member, "bell"), headers=HTMX).content.decode()
    assert 'data-unread="12" data-open="12"' in page
    assert page.count("data-news=") == selectors.MOST_NEWS
    assert 'id="nav-alerts" hx-swap-oob="true"><span class="badge bad">12' in page
    assert 'id="tab-alerts" hx-swap-oob="true"><span class="bell-count" data-tone="bad">12' in page


def test_a_page_with_the_bell_pays_no_query_for_it(client, member, fire):
    fire()
    with CaptureQueriesContext(connection) as asked:
        page = client.get(f"/organizations/{member.organization.slug}/members/").content.decode()
    assert f'hx-get="{url(member, "bell")}" hx-trigger="load, bell:count from:body"' in page
    assert f'data-socket="/ws/alerts/{member.organization.slug}/"' in page
    assert not [one["sql"] for one in asked if "alerts_" in one["sql"]]


def test_without_htmx_the_bell_leads_to_the_inbox_and_signed_out_pages_are_told_quietly(
    member, client
):
    assert client.get(url(member, "bell"))["Location"] == url(member, "inbox")
    stranger = Client()
    assert stranger.get(url(member, "bell"), headers=HTMX).status_code == 401
    assert "/accounts/login/" in stranger.get(url(member, "bell"))["Location"]


def test_inbox_shows_newest_first_and_pages(client, member, fire, django_assert_max_num_queries):
    for number in range(25):
        fire(ago=number + 1, title=f"Errors no. {number:02}.")
    with django_assert_max_num_queries(9):
        page = client.get(url(member, "inbox")).content.decode()
    assert page.index("no. 00.") < page.index("no. 19.")
    assert "no. 20." not in page
    after = page.split("after=")[1].split('"')[0]
    older = client.get(f"{url(member, 'inbox')}?after={after}").content.decode()
    assert "no. 19." not in older
    assert "no. 20." in older
    assert "no. 24." in older
    part = client.get(url(member, "inbox"), headers=HTMX).content.decode()
    assert part.lstrip().startswith('<div class="inbox"')


def test_marking_one_and_all(client, member, fire):
    first, second, third = fire(ago=3), fire(ago=2), fire(ago=-5)
    other = MembershipFactory(organization=member.organization)
    answer = client.post(url(member, "inbox_event_read", event_id=first.pk), {"x": 1}, headers=HTMX)
    assert answer["HX-Trigger"] == "bell:count"
    assert answer.content.decode().count("(unread)") == 2
    assert bell(member).unread == 2
    until = (timezone.now() - dt.timedelta(minutes=1)).isoformat()
    answer = client.post(url(member, "inbox_read"), {"until": until})
    assert answer["Location"] == url(member, "inbox")
    page = selectors.inbox_page(member, selectors.preference_of(member), now=timezone.now())
    assert [(one.pk, one.is_unread) for one in page.rows] == [
        (third.pk, True),
        (second.pk, False),
        (first.pk, False),
    ]
    assert not EventRead.objects.filter(user=member.user, read_at__lte=until).exists()
    assert bell(other).unread == 1  # somebody else's reading is not theirs


def test_an_old_mark_does_not_take_a_newer_one_back(client, member, fire):
    fire(ago=5)
    client.post(url(member, "inbox_read"))
    client.post(url(member, "inbox_read"), {"until": "2020-01-01T00:00:00Z"})
    assert bell(member).unread == 0


def test_unread_alone_can_be_asked_for_and_bad_questions_are_refused(client, member, fire):
    event = fire(title="Read already")
    client.post(url(member, "inbox_event_read", event_id=event.pk))
    page = client.get(url(member, "inbox"), {"show": "unread"}).content.decode()
    assert "Read already" not in page
    assert "Everything is read" in page
    for query in ({"show": "x"}, {"after": "x"}):
        assert client.get(url(member, "inbox"), query).status_code == 400
    for until in ("x", "2026-01-01T00:00:00", "9" * 99):
        answer = client.post(url(member, "inbox_read"), {"until": until}, headers=HTMX)
        assert (answer.status_code, answer.json()["fields"]) == (400, ["until"])
    assert bell(member).unread == 0


def test_an_incident_of_others_cannot_be_marked(client, member, fire):
    foreign = AlertEventFactory(told_at=timezone.now())
    assert client.post(url(member, "inbox_event_read", event_id=foreign.pk)).status_code == 404
    stranger = Client()
    stranger.force_login(MembershipFactory().user)
    own = fire()
    for address in (
        url(member, "inbox_read"),
        url(member, "inbox_event_read", event_id=own.pk),
    ):
        assert stranger.post(address).status_code == 404
    assert not EventRead.objects.exists()
    assert not NotificationPreference.objects.exists()


def test_reading_again_says_nothing_to_pages_that_read_themselves_again(
    member, fire, django_assert_num_queries, monkeypatch
):
    told: list[Any] = []
    monkeypatch.setattr(services.hints, "tell_person", lambda *whom: told.append(whom))
    event = fire()
    for _ in range(3):
        services.mark_read(user=member.user, event=event, now=timezone.now())
    assert told == [(member.organization_id, member.user_id)]
    with django_assert_num_queries(1):
        services.mark_read(user=member.user, event=event, now=timezone.now())
    event.waiting_since = timezone.now()  # it became more severe
    services.mark_read(user=member.user, event=event, now=timezone.now())
    assert len(told) == 2
