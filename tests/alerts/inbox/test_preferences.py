"""What a person chooses, by page and by API, and who may choose it: only they."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from alerts.inbox.digest_mail import token_of
from alerts.models import EventRead, NotificationPreference
from tests.factories.accounts import MembershipFactory
from tests.factories.alerts import AlertEventFactory

pytestmark = pytest.mark.django_db
CHOSEN = {
    "inbox_severity": "warning",
    "has_browser": "on",
    "browser_severity": "critical",
    "digest": "weekly",
    "digest_hour": "7",
    "digest_weekday": "4",
}


def page_of(member: Membership) -> str:
    return reverse("alerts:preferences", args=[member.organization.slug])


def api(member: Membership, path: str) -> str:
    return f"/api/v1/organizations/{member.organization.slug}/alerts/{path}"


def put(client: Client, member: Membership, **fields: Any) -> Any:
    return client.put(api(member, "preferences"), json.dumps(fields), "application/json")


def test_form_is_kept_and_says_when_the_next_digest_is_due(client, member):
    member.user.time_zone = "Asia/Kolkata"
    member.user.save()
    assert client.post(page_of(member), CHOSEN).status_code == 302
    saved = NotificationPreference.objects.get(user=member.user)
    assert (saved.inbox_severity, saved.has_browser, saved.digest_weekday) == ("warning", True, 4)
    assert saved.digest_next_at is not None
    assert f"{saved.digest_next_at:%H:%M %A}" == "01:30 Friday"
    page = client.get(page_of(member)).content.decode()
    assert "every Friday at 07:00 (Asia/Kolkata)" in page


def test_page_asks_few_queries(client, member, django_assert_max_num_queries):
    with django_assert_max_num_queries(9):
        client.get(page_of(member))


def test_a_wrong_choice_is_told_at_its_field(client, member):
    answer = client.post(page_of(member), {**CHOSEN, "digest_hour": "24"})
    assert answer.status_code == 422
    assert 'id="id_digest_hour_error"' in answer.content.decode()
    assert not NotificationPreference.objects.exists()


def test_api_reads_defaults_and_changes_what_is_named(client, member):
    assert client.get(api(member, "preferences")).json() == {
        "inbox_severity": "info",
        "has_browser": False,
        "browser_severity": "warning",
        "digest": "none",
        "digest_hour": 8,
        "digest_weekday": 0,
        "time_zone": "UTC",
        "digest_next_at": None,
        "read_before": None,
    }
    answer = put(client, member, digest="daily", digest_hour=0)
    assert (answer.status_code, answer.json()["digest_hour"]) == (200, 0)
    assert answer.json()["digest_next_at"].endswith("T00:00:00Z")
    assert put(client, member, inbox_severity="error").json()["digest"] == "daily"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inbox_severity", "loud"), ("browser_severity", None), ("has_browser", "yes"), ("digest", 1),
        ("digest_hour", 24), ("digest_hour", True), ("digest_hour", "8"), ("digest_weekday", -1),
        ("colour", "red"),
    ],
)  # fmt: skip
def test_api_refuses_what_may_not_be_and_names_it(client, member, field, value):
    answer = put(client, member, **{field: value})
    assert (answer.status_code, answer.json()["fields"]) == (400, [field])
    assert client.put(api(member, "preferences"), "[]", "application/json").status_code == 400
    assert not NotificationPreference.objects.exists()


def test_api_inbox_lists_pages_and_marks(client, member, fire):
    events = [fire(ago=number) for number in range(1, 4)]
    first = client.get(api(member, "inbox"), {"limit": 2}).json()
    assert (first["unread"], first["open"], first["worst"]) == (3, 3, "warning")
    assert [one["id"] for one in first["results"]] == [str(events[0].pk), str(events[1].pk)]
    assert first["results"][0]["is_unread"] is True
    second = client.get(first["next"]).json()
    assert ([one["id"] for one in second["results"]], second["next"]) == ([str(events[2].pk)], None)

    def mark(**body: Any) -> Any:
        return client.post(api(member, "inbox/read"), json.dumps(body), "application/json")

    assert mark(events=[str(events[0].pk)]).json() == {"unread": 2}
    assert len(client.get(api(member, "inbox"), {"show": "unread"}).json()["results"]) == 2
    foreign = AlertEventFactory(told_at=timezone.now())
    assert mark(events=[str(events[1].pk), str(foreign.pk)]).status_code == 404
    wrong = (
        {"events": []},
        {"events": ["x"]},
        {"until": "x"},
        {"events": [], "until": "x"},
        {"a": 1},
    )
    for body in wrong:
        assert mark(**body).status_code == 400
    assert EventRead.objects.count() == 1
    assert mark(until=(timezone.now() - dt.timedelta(seconds=150)).isoformat()).json() == {"unread": 1}  # fmt: skip
    assert mark().json() == {"unread": 0}


def test_link_of_an_email_stops_digests_and_takes_them_up_again(client, member):
    put(client, member, digest="weekly", inbox_severity="error")
    saved = NotificationPreference.objects.get()
    anyone = Client(enforce_csrf_checks=True)
    address = reverse("alerts:digest_unsubscribe", args=[token_of(saved)])
    assert "Stop these e-mails" in anyone.get(address).content.decode()
    page = anyone.post(address, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert 'name="again" value="weekly"' in page
    saved.refresh_from_db()
    assert (saved.digest, saved.digest_next_at, saved.inbox_severity) == ("none", None, "error")
    anyone.post(address, {"again": "weekly"})
    saved.refresh_from_db()
    assert saved.digest == "weekly"
    assert saved.digest_next_at is not None
    assert anyone.post(address, {"again": "hourly"}).status_code == 400
    assert anyone.get(address[:-3] + "xx/").status_code == 404
    anyone.post(address)
    member.delete()
    assert anyone.post(address, {"again": "weekly"}).status_code == 404
    saved.refresh_from_db()
    assert saved.digest == "none"


def test_strangers_choose_nothing_here(member):
    stranger = Client()
    stranger.force_login(MembershipFactory().user)
    assert stranger.post(page_of(member), CHOSEN).status_code == 404
    assert put(stranger, member, digest="daily").status_code == 404
    assert Client().post(page_of(member), CHOSEN).status_code == 302
    assert put(Client(), member, digest="daily").status_code == 401
    assert not NotificationPreference.objects.exists()
