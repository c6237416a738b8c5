"""Reports by e-mail: exact content, once per slot, to members who want it."""

import datetime as dt
from smtplib import SMTPServerDisconnected
from types import SimpleNamespace

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from core import outbox
from core.models import OutboxItem
from costs.explorer import sending
from costs.explorer.mails import token_of
from costs.models import ReportRecipient, ReportSchedule
from tests.factories.reports import CostReportFactory, ReportRecipientFactory

pytestmark = pytest.mark.django_db
# A Thursday; the day before it has the second day's calls.
SLOT = dt.datetime(2026, 11, 5, 8, tzinfo=dt.UTC)
NOW = SLOT + dt.timedelta(seconds=20)


@pytest.fixture
def recipient(place: SimpleNamespace) -> ReportRecipient:
    report = CostReportFactory.create(
        organization=place.organization,
        author=place.acme.member.user,
        name="Models & users",
        query="by=model&compare=previous",
    )
    return ReportRecipientFactory.create(
        schedule__report=report,
        schedule__frequency="daily",
        schedule__next_run_at=SLOT,
        user=place.acme.member.user,
    )


def deliver(now: dt.datetime = NOW) -> int:
    sending.run_due(now=now)
    return outbox.drain(now=lambda: now)


def test_the_message_is_exact(recipient: ReportRecipient, settings) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.example"
    deliver()
    (message,) = mail.outbox
    assert message.to == ["member@acme.example"]
    assert message.subject == "Models & users: $2.50 · Nov 4, 2026"
    text = message.body
    assert "Cost: $2.50 in 3 calls; 1 of them have no price and are in no amount." in text
    lines = [line.split() for line in text.splitlines()]
    assert ["gpt-b", "$2.00", "1", "110", "new,", "nothing", "before"] in lines
    assert ["house", "Unpriced", "1", "110", "-"] in lines
    assert ["Total", "$2.50", "3", "330", "down", "58.3%,", "few", "data"] in lines
    link = "https://llmlab.example/organizations/acme/costs/?"
    assert f"{link}by=model&compare=previous&range=2026-11-04T00%3A00Z..2026-11-05T00%3A00Z" in text
    page, kind = message.alternatives[0]
    assert kind == "text/html"
    assert "Models &amp; users" in page
    assert page.count("background-color:#cf8125") >= 1
    assert "<script" not in page
    assert "Unpriced" in page
    (attached,) = message.attachments
    assert attached[0] == "models-users-2026-11-04.csv"
    assert "gpt-b,2.000000000001,1,110" in attached[1]
    assert message.extra_headers["List-Unsubscribe"] == (
        f"<https://llmlab.example/costs/reports/unsubscribe/{token_of(recipient)}/>"
    )


def test_a_slot_is_sent_once_and_the_next_is_tomorrow(recipient: ReportRecipient) -> None:
    deliver()
    deliver(NOW + dt.timedelta(minutes=1))
    sending.queue(recipient.schedule, slot=SLOT, now=NOW)
    outbox.drain(now=lambda: NOW)
    assert len(mail.outbox) == 1
    schedule = ReportSchedule.objects.get()
    assert schedule.next_run_at == SLOT + dt.timedelta(days=1)
    assert schedule.last_sent_at == NOW
    deliver(NOW + dt.timedelta(days=1))
    assert len(mail.outbox) == 2


def test_who_left_or_unsubscribed_is_sent_nothing(
    recipient: ReportRecipient, place: SimpleNamespace
) -> None:
    sending.run_due(now=NOW)
    place.acme.member.delete()
    outbox.drain(now=lambda: NOW)
    ReportRecipientFactory.create(
        schedule=recipient.schedule, user=place.acme.viewer.user, unsubscribed_at=NOW
    )
    deliver(NOW + dt.timedelta(days=1))
    assert mail.outbox == []


def test_a_mail_server_that_is_away_is_asked_again(
    recipient: ReportRecipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = EmailBackend.send_messages

    def refuse(*_: object) -> int:
        raise SMTPServerDisconnected("gone")

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)
    deliver()
    assert "tried again" in ReportSchedule.objects.get().last_error
    item = OutboxItem.objects.get(done_at=None)
    assert item.available_at == NOW + dt.timedelta(minutes=1)
    monkeypatch.setattr(EmailBackend, "send_messages", send)
    outbox.drain(now=lambda: NOW + dt.timedelta(minutes=2))
    assert len(mail.outbox) == 1
    assert ReportSchedule.objects.get().last_error == ""


def test_what_cannot_be_answered_is_told(recipient: ReportRecipient) -> None:
    report = recipient.schedule.report
    report.query = "by=colour"
    report.save()
    deliver()
    assert mail.outbox == []
    assert "colour" in ReportSchedule.objects.get().last_error


def test_send_now_goes_to_everybody_once_a_minute(
    recipient: ReportRecipient, place: SimpleNamespace
) -> None:
    url = f"{place.url}reports/{recipient.schedule.report_id}/"
    assert place.member.post(f"{url}sending/").status_code == 302
    again = place.member.post(f"{url}sending/", follow=True).content.decode()
    assert "within this minute" in again
    assert place.viewer.post(f"{url}sending/").status_code in (403, 404)
    assert OutboxItem.objects.count() == 1


def test_a_link_unsubscribes_exactly_one_person(recipient: ReportRecipient) -> None:
    other = ReportRecipientFactory.create(schedule=recipient.schedule)
    url, nobody = f"/costs/reports/unsubscribe/{token_of(recipient)}/", Client(enforce_csrf_checks=True)  # fmt: skip
    assert nobody.get(url).status_code == 200
    recipient.refresh_from_db()
    assert recipient.unsubscribed_at is None
    assert "not sent" in nobody.post(url).content.decode()
    recipient.refresh_from_db()
    other.refresh_from_db()
    assert recipient.unsubscribed_at is not None
    assert other.unsubscribed_at is None
    nobody.post(url, {"again": "1"})
    recipient.refresh_from_db()
    assert recipient.unsubscribed_at is None


def test_an_altered_link_is_nothing(recipient: ReportRecipient) -> None:
    token = token_of(recipient)
    other = ReportRecipientFactory.create()
    forged = f"{other.pk.hex}:{token.partition(':')[2]}"
    for text in (forged, token[:-1], f"{token}x", recipient.pk.hex, "x"):
        assert Client().post(f"/costs/reports/unsubscribe/{text}/").status_code == 404
    assert not ReportRecipient.objects.exclude(unsubscribed_at=None).exists()


@pytest.mark.parametrize(
    ("frequency", "days"),
    [("daily", "Nov 4, 2026"), ("weekly", "Oct 26 – Nov 1, 2026"), ("monthly", "Oct 1 – 31, 2026")],
)
def test_it_covers_the_whole_time_before(
    recipient: ReportRecipient, frequency: str, days: str
) -> None:
    ReportSchedule.objects.update(frequency=frequency)
    deliver()
    assert mail.outbox[0].subject.endswith(days)
