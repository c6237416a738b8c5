"""LLMLab looks at itself: two minutes until it tells, once, and a recovery; tenants see nothing of it."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import (
    AlertEvent,
    Delivery,
    EventEntry,
    EventState,
    OperatorIncident,
    WatchState,
)
from alerts.platform import watching
from core import heartbeats
from core.doctor.processes import QUEUES
from core.models import OutboxItem
from tests.factories.accounts import UserFactory
from tests.factories.alerts import ChannelFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
MINUTE = dt.timedelta(minutes=1)
SUPERUSER = {"is_staff": True, "is_superuser": True}


@pytest.fixture(autouse=True)
def _well(settings: Any) -> None:
    """This machine's own disk and connections are not what is tested, nor that nobody sends the messages."""
    settings.LLMLAB_WATCH_DELIVERIES_SECONDS = 0
    settings.LLMLAB_WATCH_DISK_FREE_PERCENT = 0
    settings.LLMLAB_WATCH_DISK_FREE_MB = 0
    settings.LLMLAB_WATCH_CONNECTIONS_PERCENT = 0
    heartbeats.beat("w1", list(QUEUES), now=NOW + dt.timedelta(hours=1))


def dead_work(number: int = 1) -> None:
    for one in range(number):
        OutboxItem.objects.create(topic="t", key=f"dead{one}", available_at=NOW, dead_at=NOW)


def watch_for(minutes: int, start: dt.datetime = NOW) -> list[AlertEvent]:
    """The incidents that changed in as many rounds, a minute apart."""
    return [event for one in range(minutes) for event in watching.watch(now=start + one * MINUTE)]


def test_it_tells_after_two_minutes_once_and_again_when_it_is_over() -> None:
    person = UserFactory.create(email="root@example.com", **SUPERUSER)
    UserFactory.create(email="staff@example.com", is_staff=True)
    UserFactory.create(email="gone@example.com", is_active=False, **SUPERUSER)
    channel = ChannelFactory.create(organization=None, name="Ops")
    ChannelFactory.create(organization=None, name="Worst only", minimum_severity="critical")
    ChannelFactory.create(name="A tenant's")
    dead_work(3)
    assert watch_for(2) == []
    [event] = watch_for(10, NOW + 2 * MINUTE)
    assert (event.organization_id, event.alert_id, event.project_id) == (None, None, None)
    assert (event.kind, event.severity, event.state) == (
        "platform.outbox_dead", "warning", EventState.FIRING
    )  # fmt: skip
    assert (event.value, event.limit) == (Decimal(3), Decimal(1))
    assert (event.began_at, event.fired_at) == (NOW, NOW + 2 * MINUTE)
    assert event.title == "LLMLab: Follow-up work given up: 3"
    assert event.words == (
        "3 pieces of follow-up work given up after three tries. The limit is 1. Admin, Outbox items,"
        " state Given up: read the error, mend the cause, choose Replay."
    )
    sent = Delivery.objects.order_by("pk")
    assert [(one.channel, one.recipient, one.action) for one in sent] == [
        (channel, "", "trigger"), (None, person.email, "trigger")
    ]  # fmt: skip
    assert {one.organization_id for one in sent} == {None}
    assert {one.dedup_key for one in sent} == {event.dedup_key}
    assert sent[1].payload["links"][0] == [
        "Open the alert",
        f"http://localhost:8000/admin/alerts/operatorincident/{event.pk}/change/",
    ]

    OutboxItem.objects.all().delete()
    assert watch_for(2, NOW + 12 * MINUTE) == []
    [over] = watch_for(5, NOW + 14 * MINUTE)
    assert (over.pk, over.state, over.resolved_at) == (
        event.pk, EventState.RESOLVED, NOW + 14 * MINUTE
    )  # fmt: skip
    assert [(one.channel, one.recipient) for one in sent.filter(action="resolve")] == [
        (channel, ""), (None, person.email)
    ]  # fmt: skip
    assert [one.kind for one in EventEntry.objects.order_by("at")] == ["fired", "resolved"]


def test_a_minute_too_short_tells_nobody() -> None:
    UserFactory.create(**SUPERUSER)
    dead_work()
    watch_for(2)
    OutboxItem.objects.all().delete()
    assert watch_for(10, NOW + 2 * MINUTE) == []
    assert not AlertEvent.objects.exists()
    assert not Delivery.objects.exists()


def test_what_comes_back_within_a_quarter_of_an_hour_is_the_same_incident() -> None:
    UserFactory.create(**SUPERUSER)
    dead_work()
    watch_for(3)
    OutboxItem.objects.all().delete()
    watch_for(3, NOW + 3 * MINUTE)  # over at minute 5
    dead_work()
    watch_for(6, NOW + 6 * MINUTE)
    event = OperatorIncident.objects.get()
    assert event.state == EventState.FIRING
    assert Delivery.objects.filter(action="trigger").count() == 1
    watch_for(10, NOW + 12 * MINUTE)  # it stays: told again
    assert Delivery.objects.filter(action="trigger").count() == 2
    OutboxItem.objects.all().delete()
    watch_for(3, NOW + 22 * MINUTE)
    assert Delivery.objects.filter(action="resolve").count() == 2
    assert OperatorIncident.objects.get().state == EventState.RESOLVED


def test_a_limit_that_is_switched_off_ends_the_incident(settings: Any) -> None:
    dead_work()
    [event] = watch_for(3)
    settings.LLMLAB_WATCH_OUTBOX_DEAD = 0
    [over] = watch_for(1, NOW + 3 * MINUTE)
    assert (over.pk, over.state) == (event.pk, EventState.RESOLVED)


def test_a_thing_that_is_not_watched_any_more_is_over() -> None:
    dead_work()
    [event] = watch_for(3)
    WatchState.objects.filter(event=event).update(kind="of_another_release")
    OutboxItem.objects.all().delete()
    [over] = watch_for(1, NOW + 3 * MINUTE)
    assert (over.pk, over.resolve_reason) == (event.pk, watching.GONE)
    assert not WatchState.objects.filter(kind="of_another_release").exists()


def test_without_redis_queues_are_unknown_and_redis_itself_fires(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    [event] = watch_for(3)
    assert (event.kind, event.severity) == ("platform.redis", "critical")
    assert event.title == "LLMLab: Redis does not answer"
    assert not WatchState.objects.filter(kind="queue_depth").exists()
    assert WatchState.objects.get(kind="workers").value is None


def test_a_quiet_round_asks_little() -> None:
    UserFactory.create(**SUPERUSER)
    watch_for(1)
    with CaptureQueriesContext(connection) as captured:
        watch_for(1, NOW + MINUTE)
    asked = [one["sql"] for one in captured if "SAVEPOINT" not in one["sql"]]
    assert len(asked) <= 15, "\n".join(asked)


def test_a_firing_round_asks_a_bounded_number_however_many_superusers() -> None:
    UserFactory.create_batch(3, **SUPERUSER)
    dead_work()
    watch_for(2)
    with CaptureQueriesContext(connection) as captured:
        watch_for(1, NOW + 2 * MINUTE)
    asked = [one["sql"] for one in captured if "SAVEPOINT" not in one["sql"]]
    assert len(asked) <= 15 + 8 + 2 * 3, "\n".join(asked)
