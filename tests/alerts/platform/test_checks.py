"""Each check reads the figure it says it reads, exactly, and says what to do."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from redis import Redis

from alerts.models import Channel, Delivery, WatchSample
from alerts.platform.checks import CHECKS, NOT_SEEN, Check, Seen
from alerts.platform.look import Look
from core import heartbeats, partitions, request_figures, vitals
from core.doctor.processes import QUEUES
from core.models import OutboxItem
from core.request_figures import Totals
from costs.models import MinuteRoll, ProviderSync
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.alerts import ChannelFactory
from tests.factories.billing import BillingAccountFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
BY_KIND = {check.kind: check for check in CHECKS}


def ago(**length: float) -> dt.datetime:
    return NOW - dt.timedelta(**length)


def read(kind: str, look: Look | None = None) -> list[Seen]:
    return list(BY_KIND[kind].read(look or Look(NOW)))


def value(kind: str, look: Look | None = None) -> Decimal | None:
    [seen] = read(kind, look)
    return seen.value


def message(state: str, due: dt.datetime, channel: Channel | None = None, **more: Any) -> None:
    number = Delivery.objects.count()
    Delivery.objects.create(
        channel=channel, recipient="" if channel else "a@example.com", action="trigger", dedup_key="d",
        unique_key=f"d:{number}", payload={}, state=state, created_at=due, next_attempt_at=due, **more,
    )  # fmt: skip


def test_queues_each_with_all_its_messages(settings: Any) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.rpush("sync", *range(1200))
    found = {seen.key: seen for seen in read("queue_depth")}
    assert set(found) == set(QUEUES)
    assert (found["sync"].value, found["sync"].words) == (1200, "1,200 messages wait in sync.")
    assert found["notify"].value == 0


def test_outbox_age_and_given_up_work() -> None:
    OutboxItem.objects.create(topic="t", key="a", available_at=ago(seconds=90))
    OutboxItem.objects.create(topic="t", key="b", available_at=NOW + dt.timedelta(hours=1))
    OutboxItem.objects.create(topic="t", key="c", available_at=ago(days=1), dead_at=NOW)
    OutboxItem.objects.create(topic="t", key="d", available_at=ago(days=1), done_at=NOW)
    assert (value("outbox_age"), value("outbox_dead")) == (90, 1)


def test_work_that_is_due_later_is_not_late() -> None:
    OutboxItem.objects.create(topic="t", key="b", available_at=NOW + dt.timedelta(hours=1))
    assert value("outbox_age") == 0


def test_messages_that_wait_for_their_receiver_are_not_ours_to_mend() -> None:
    failing = ChannelFactory.create(failing_since=ago(hours=2))
    disabled = ChannelFactory.create(is_enabled=False)
    message("waiting", ago(hours=1), failing)
    message("waiting", ago(hours=1), disabled)
    message("sending", ago(hours=1))
    message("waiting", NOW + dt.timedelta(minutes=1))
    assert (value("deliveries_waiting"), value("deliveries_age")) == (4, 0)
    message("waiting", ago(minutes=7), ChannelFactory.create())
    message("waiting", ago(minutes=6))
    assert (value("deliveries_waiting"), value("deliveries_age")) == (6, 420)


def test_messages_given_up_count_for_a_day() -> None:
    message("dead", ago(days=2), ended_at=ago(hours=25))
    message("dead", ago(days=2), ended_at=ago(hours=23))
    message("sent", ago(days=2), ended_at=ago(hours=1))
    assert (value("deliveries_dead"), value("deliveries_waiting")) == (1, 0)


def test_accounts_whose_last_finished_reading_failed() -> None:
    def run(account: Any, *states: str) -> None:
        for number, state in enumerate(states):
            made = ProviderSync.objects.create(
                account=account, organization=account.organization, kind="scheduled", state=state,
                first_day=NOW.date(), end_day=NOW.date(), next_day=NOW.date(),
            )  # fmt: skip
            ProviderSync.objects.filter(pk=made.pk).update(
                created_at=ago(days=9) + dt.timedelta(hours=number)
            )

    run(BillingAccountFactory.create(), "failed", "done")
    run(BillingAccountFactory.create(), "done", "failed", "running")
    run(BillingAccountFactory.create(), "done", "failed", "cancelled")
    run(BillingAccountFactory.create(), "queued")
    assert value("syncs_failed") == 2


def test_calls_that_rules_about_windows_do_not_see() -> None:
    assert read("minutes_age") == [Seen(Decimal(0), "Every call counts in the sums per minute.")]
    project = ProjectFactory.create()
    MinuteRoll.objects.create(project=project, since=ago(hours=1), rolled_to=ago(minutes=9))
    one = ChargeableCall(record_id="a", occurred_at=ago(minutes=8), provider="p", model="m")
    record_costs(project_id=project.pk, calls=[one], now=ago(minutes=7))
    [seen] = read("minutes_age")
    assert seen.value == 420
    assert seen.words == (
        "Rules about windows do not see the last calls of 1 project; the oldest has waited for 7m 0s."
    )


def test_partitions_say_the_table_that_lacks_most() -> None:
    now = dt.datetime.now(dt.UTC)
    partitions.ensure_ahead(now.date())  # the test run may have begun before midnight
    assert value("partitions", Look(now)) == partitions.DAYS_AHEAD
    tomorrow = now.date() + dt.timedelta(days=1)
    for days in (1, 2, 3):
        name = partitions.partition_name("traces_span", now.date() + dt.timedelta(days=days))
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "{name}"')
    [seen] = read("partitions", Look(now))
    assert (seen.value, seen.words) == (0, "Day partitions reach 0 days ahead (traces_span).")
    later = Look(dt.datetime.combine(tomorrow, dt.time(12), dt.UTC))
    assert partitions.days_ahead(tomorrow)["costs_costrecord"] == 2
    assert value("partitions", later) == 0


def test_connections_are_counted_by_the_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
        used = cursor.fetchone()[0]
        cursor.execute("SHOW max_connections")
        most = int(cursor.fetchone()[0])
    found = vitals.database_connections()
    assert (found.used, found.most) == (used, most - 3)
    assert value("connections") == Decimal(str(round(100 * used / (most - 3), 3)))


def test_disk_is_read_where_the_data_lies(settings: Any, tmp_path: Path) -> None:
    settings.LLMLAB_DATA_DIR = tmp_path / "not" / "made" / "yet"
    look = Look(NOW)
    assert (look.disks[0].place, look.disks[0].path) == ("data", str(tmp_path))
    [share, *_] = read("disk_share", look)
    [left, *_] = read("disk_free", look)
    disk = look.disks[0]
    assert (share.key, left.key, left.value) == ("data", "data", disk.free)
    assert share.value == Decimal(str(round(100 * disk.free / disk.size, 3)))


def test_a_server_elsewhere_has_a_disk_nobody_here_can_see(monkeypatch: Any) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "db.example.com")
    assert [one.place for one in vitals.disks("/proc")] == ["data"]
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    assert [one.place for one in vitals.disks("/proc")] == ["data", "database"]
    assert [one.place for one in vitals.disks("/not/here")] == ["data"]


def test_requests_of_the_last_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Totals(1000, 50, {"0.5": 900, "1.0": 1000, "+Inf": 1000}, 2)
    after = Totals(1400, 56, {"0.5": 1260, "1.0": 1400, "+Inf": 1400}, 3)
    WatchSample.objects.create(at=ago(minutes=9), totals=Totals().to_json())
    WatchSample.objects.create(at=ago(minutes=5), totals=before.to_json())
    monkeypatch.setattr(request_figures, "read", lambda: after)
    look = Look(NOW)
    [errors], [p95], [pool] = read("error_rate", look), read("p95", look), read("pool", look)
    assert (errors.value, errors.sample) == (Decimal("1.5"), 400)
    assert errors.words == "6 of 400 answers in the last 5 minutes had a status from 500 on."
    assert (p95.value, p95.sample) == (Decimal(750), 400)
    assert pool.value == 1


def test_counters_that_cannot_be_seen_are_unknown_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_figures, "read", lambda: None)
    for kind in ("error_rate", "p95", "pool"):
        [seen] = read(kind)
        assert (seen.value, seen.words) == (None, NOT_SEEN)


def test_redis_and_workers() -> None:
    heartbeats.beat("w1", [name for name in QUEUES if name != "notify"], now=NOW)
    assert value("redis") == 1
    [seen] = read("workers")
    assert (seen.value, seen.words) == (1, "1 worker is alive; none serves notify.")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.kind)
def test_each_check_knows_a_limit_and_what_to_do(check: Check) -> None:
    assert check.limit is not None
    assert check.advice.endswith(".")
    assert not check.setting or isinstance(getattr(django_settings, check.setting), int)
    text = (Path(django_settings.BASE_DIR) / "docs/configuration.md").read_text(encoding="utf-8")
    if check.setting:
        plain = int(check.limit / check.factor)
        assert f"| `{check.setting}` | {plain} |" in text
