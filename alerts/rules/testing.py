"""Sending a test message of a rule: what it sees now, to the channels it tells."""

import datetime as dt

from django.db import DatabaseError, transaction

from accounts.models import User
from alerts.measures.registry import measure_for
from alerts.models import Alert, AlertChannel, Delivery
from alerts.queueing import queue_test
from alerts.rules.words import condition_words, value_of
from core.errors import DomainError
from core.person_formats import ANYONE, reading_as


class NoChannelError(DomainError):
    """The rule tells nobody."""

    code = "alert_without_channel"


def send_test(*, alert: Alert, actor: User, now: dt.datetime) -> list[Delivery]:
    """Queue one test message for each channel of the rule, those of its escalation too; returns the deliveries.

    Raises NoChannelError. Queries: the measure's reading and three per channel.
    """
    links = AlertChannel.objects.filter(alert=alert).select_related("channel__organization")
    channels = {one.channel_id: one.channel for one in links.order_by("channel__name")}
    if not channels:
        raise NoChannelError(
            "This rule has no channel, so there is nowhere to send a test. Edit it and choose one.",
            fields=["channels"],
        )
    # What is stored for others must not carry the separators of who asked.
    with reading_as(lambda: ANYONE):
        words = reading_words(alert, now)
    with transaction.atomic():
        return [
            queue_test(channel=one, actor=actor, now=now, alert=alert, words=words)
            for one in channels.values()
        ]


def reading_words(alert: Alert, now: dt.datetime) -> str:
    """`Error rate rises to 5% (warning) over 15 minutes. Now: 3.2%.`; of several things the first five."""
    try:
        with transaction.atomic():
            readings = measure_for(alert.kind).read([alert], now)
    except (DomainError, DatabaseError):
        readings = []
    seen = [
        f"{one.subject}: {value_of(alert, one.value)}"
        if one.subject
        else value_of(alert, one.value)
        for one in readings
        if one.value is not None
    ]
    more = f" and {len(seen) - 5} more" if len(seen) > 5 else ""
    now_words = f"Now: {', '.join(seen[:5])}{more}." if seen else "There is nothing to judge now."
    return f"{condition_words(alert)}. {now_words}"
