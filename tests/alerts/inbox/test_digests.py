"""Digests: what they tell, to whom, once per slot."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import Membership, User
from alerts.channels.base import Message
from alerts.channels.mails import mail_of
from alerts.delivering import deliver_due
from alerts.inbox import digests
from alerts.inbox.digest_facts import facts_of
from alerts.inbox.preferences import PreferenceDraft, save_preference
from alerts.models import Delivery, NotificationPreference
from alerts.notices import Notice
from core.errors import ConflictError
from costs.services.record_costs import ensure_partitions, record_costs
from costs.usage import ChargeableCall
from tests.factories.alerts import AlertEventFactory, ChannelFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.projects import ProjectFactory
from tests.fakes.smtp import smtp_server

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def choose(member: Membership, now: dt.datetime, **fields: Any) -> NotificationPreference:
    draft = PreferenceDraft(**{"digest": "daily", "digest_hour": now.hour, **fields})
    return save_preference(membership=member, user=member.user, draft=draft, now=now)


def due(member: Membership, **fields: Any) -> dt.datetime:
    """Now, at which the member's digest is due; they chose it a day ago."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    chosen = choose(
        member, now - dt.timedelta(days=1, minutes=5), **{"digest_hour": now.hour, **fields}
    )
    NotificationPreference.objects.filter(pk=chosen.pk).update(digest_next_at=now)
    return now


def notice() -> Notice:
    return Notice.from_json(Delivery.objects.get(action="digest", state="waiting").payload)


def sections(found: Notice) -> dict[str, list[str]]:
    return {one["title"]: [item[0] for item in one["items"]] for one in found.extra["sections"]}


def spend(organization: Any, at: dt.datetime, cost: str, number: int = 1) -> None:
    project = ProjectFactory(organization=organization)
    ensure_partitions([at.date()])
    call = ChargeableCall(
        record_id=f"d{number}", occurred_at=at, client_cost_usd=Decimal(cost), model="gpt-5"
    )
    record_costs(project_id=project.pk, calls=[call], now=at)


def test_tells_what_happened_with_links_html_text_and_a_way_out(member, fire):
    now = due(member)
    ago = (timezone.now() - now).total_seconds() / 60
    fire(ago=ago + 30, title="Errors at 7.5 %", severity="critical")
    fire(ago=ago + 3 * 24 * 60, title="Slow for days")
    fire(ago=ago + 90, title="Over by now", state="resolved", resolved_at=now - HOUR)
    fire(ago=ago + 20, title="At night", told_at=None)
    channel = ChannelFactory(organization=member.organization, name="On call")
    for number in range(2):
        Delivery.objects.create(
            organization=member.organization, channel=channel, action="trigger", dedup_key="k",
            unique_key=f"k{number}", payload={}, state="dead", created_at=now, next_attempt_at=now,
            ended_at=now - HOUR, error="410 Gone",
        )  # fmt: skip
    Delivery.objects.create(
        organization=member.organization, recipient="colleague@example.com", action="digest", dedup_key="d",
        unique_key="d", payload={}, state="dead", created_at=now, next_attempt_at=now, ended_at=now - HOUR,
    )  # fmt: skip
    BudgetFactory(organization=member.organization, name="Team money", amount_usd=Decimal(10))
    spend(member.organization, now - 3 * HOUR, "9", 1)
    spend(member.organization, now - 27 * HOUR, "6", 2)
    assert digests.run_due(now=now) == 1
    told = notice()
    assert told.title == "Daily digest: 3 alerts fired, 3 open, 2 messages undelivered"
    assert (
        dict(told.rows)["Spend"]
        == "$9.00 in 1 call; up 50.0%, few data ($6.00 in the period before)"
    )
    assert told.severity == "critical"
    assert sections(told) == {
        "Open now": ["Errors at 7.5 %", "At night", "Slow for days"],
        "Fired": ["Errors at 7.5 %", "At night", "Over by now"],
        "Resolved": ["Over by now"],
        "Budgets": ["Team money"],
        "Messages that did not arrive": ["On call"],
    }
    row = Delivery.objects.get(action="digest", state="waiting")
    mail = mail_of(Message(told, row.action, row.dedup_key, str(row.message_id), now))
    assert row.recipient == member.user.email
    stop = mail.extra_headers["List-Unsubscribe"]
    assert "/alerts/digests/unsubscribe/" in stop
    assert mail.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = str(mail.alternatives[0][0])
    for words in ("Errors at 7.5 %", "2 messages: 410 Gone", "nobody was told at the time"):
        assert words in str(mail.body)
        assert words in html
    assert f"/organizations/{member.organization.slug}/alerts/events/" in str(mail.body)


def test_arrives_by_mail_with_a_link_that_stops_it(member, fire):
    now = due(member)
    fire(ago=(timezone.now() - now).total_seconds() / 60 + 5, title="Errors at 7.5 %")
    digests.run_due(now=now)
    with smtp_server() as server, override_settings(**server.settings()):
        assert deliver_due(now=timezone.now) == 1
    (address, mail), *more = server.taken
    assert (address, more) == (member.user.email, [])
    assert mail["Subject"] == "Daily digest: 1 alert fired, 1 open"
    kinds = [part.get_content_type() for part in mail.walk()]  # type: ignore[attr-defined]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    path = mail["List-Unsubscribe"].strip("<>").split("/", 3)[3]
    Client().post(f"/{path}", {"List-Unsubscribe": "One-Click"})
    assert NotificationPreference.objects.get().digest == "none"


def test_nothing_at_all_is_a_short_all_quiet(member):
    now = due(member)
    AlertEventFactory(fired_at=now - HOUR, title="Of others")
    assert digests.run_due(now=now) == 1
    told = notice()
    assert told.title == "Daily digest: all quiet"
    assert "Nothing fired, nothing is open" in told.words
    assert sections(told) == {}
    assert dict(told.rows)["Spend"] == "no calls"


def test_a_slot_is_sent_once_and_the_next_is_set(member):
    now = due(member)
    assert digests.run_due(now=now) == 1
    assert digests.run_due(now=now) == 0
    NotificationPreference.objects.update(digest_next_at=now)  # as if the commit had been lost
    assert digests.run_due(now=now + dt.timedelta(minutes=1)) == 0
    assert Delivery.objects.count() == 1
    saved = NotificationPreference.objects.get()
    assert saved.digest_next_at == now + dt.timedelta(days=1)


def test_after_an_outage_one_digest_tells_of_everything_since(member, fire):
    now = due(member)
    NotificationPreference.objects.update(digest_next_at=now - dt.timedelta(days=3))
    ago = (timezone.now() - now).total_seconds() / 60
    fire(ago=ago + 3.5 * 24 * 60, title="Long ago")
    assert digests.run_due(now=now + dt.timedelta(minutes=20)) == 1
    assert sections(notice())["Fired"] == ["Long ago"]
    assert NotificationPreference.objects.get().digest_next_at == now + dt.timedelta(days=1)


def test_less_severe_ones_are_left_out_and_figures_are_the_readers(member, fire):
    User.objects.filter(pk=member.user_id).update(
        number_style="1.234,56", time_zone="Europe/Berlin"
    )
    member.refresh_from_db()
    now = due(member, inbox_severity="critical")
    NotificationPreference.objects.update(digest_next_at=now)
    fire(ago=(timezone.now() - now).total_seconds() / 60 + 5, severity="warning")
    spend(member.organization, now - HOUR, "1234.5")
    digests.run_due(now=now)
    told = notice()
    assert told.title == "Daily digest: all quiet"
    assert "$1.234,50 in 1 call" in dict(told.rows)["Spend"]
    assert "(Europe/Berlin)" in told.words


@pytest.mark.parametrize("change", ["left", "inactive", "stopped"])
def test_who_left_or_stopped_is_sent_nothing_and_not_asked_again(member, change):
    now = due(member)
    if change == "left":
        member.delete()
    elif change == "inactive":
        User.objects.filter(pk=member.user_id).update(is_active=False)
    else:
        NotificationPreference.objects.update(digest="none")
    assert digests.run_due(now=now) == 0
    assert not Delivery.objects.exists()
    assert NotificationPreference.objects.get().digest_next_at is None


def test_one_that_fails_holds_up_no_other(member, monkeypatch, caplog):
    now = due(member)
    from tests.factories.accounts import MembershipFactory

    second = MembershipFactory()
    due(second)
    original = digests.facts_of

    def broken(organization_id: Any, **more: Any) -> Any:
        if organization_id == member.organization_id:
            raise RuntimeError("broken")
        return original(organization_id, **more)

    monkeypatch.setattr(digests, "facts_of", broken)
    assert digests.run_due(now=now) == 1
    assert Delivery.objects.get().recipient == second.user.email
    assert "alerts.digest.failed" in caplog.text
    assert NotificationPreference.objects.get(user=member.user).digest_next_at == now


def test_sending_now_takes_no_slot_away_and_happens_once_a_minute(member, client):
    now = due(member)
    before = now - dt.timedelta(minutes=2)  # the page sends again: `now` may be this very minute
    digests.send_now(membership=member, user=member.user, now=before)
    with pytest.raises(ConflictError):
        digests.send_now(membership=member, user=member.user, now=before)
    assert digests.run_due(now=now) == 1
    assert Delivery.objects.filter(recipient=member.user.email, action="digest").count() == 2
    page = client.post(
        f"/organizations/{member.organization.slug}/alerts/preferences/digest/", follow=True
    )
    assert f"On its way to {member.user.email}." in page.content.decode()


def test_facts_take_a_fixed_number_of_queries(member, fire, django_assert_max_num_queries):
    now = timezone.now()
    for number in range(25):
        fire(ago=number + 1)
        BudgetFactory(organization=member.organization, name=f"Budget {number}")
    with django_assert_max_num_queries(10):
        found = facts_of(
            member.organization_id, severity="info", start=now - 24 * HOUR, end=now, now=now
        )
    assert (found.fired.number, len(found.fired.events)) == (25, 10)
