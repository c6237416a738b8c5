"""Exports by the clock: when they run, what they send again, what they say."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from core import jobs
from core.errors import ConflictError, DomainError
from core.models import Job
from costs.exporting import runs, schedules
from costs.exporting.schedules import ScheduleDraft, next_run
from costs.models import BilledCost, ExportSchedule
from projects.exports import job as engine
from projects.models import Project
from tests.costs.exporting.ledgers import drain, finished, line, record, recorded_sum, rows_of
from tests.factories.billing import BilledCostFactory, BillingAccountFactory
from tests.factories.exports import ExportScheduleFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
MONTHS = [dt.datetime(2026, month, 5, tzinfo=dt.UTC) for month in (10, 11)]


@pytest.fixture
def nightly(acme: SimpleNamespace, shop: Project) -> ExportSchedule:
    """FOCUS since October, with a call in each month."""
    for at in MONTHS:
        call(shop, at)
    made: ExportSchedule = ExportScheduleFactory(organization=acme.organization)
    return made


def call(project: Project, at: dt.datetime) -> None:
    record(project, line("input", 1000, "0.00000025"), occurred_at=at)


def run(schedule: ExportSchedule, now: dt.datetime = NOW) -> Job | None:
    job = schedules.run_schedule(schedule=schedule, now=now)
    if job is not None:
        finished(job)
    schedule.refresh_from_db()
    return job


def months_of(job: Job | None) -> list[str]:
    assert job is not None
    names = [file["name"] for file in job.result["files"]]
    return [name[10:17] for name in names if name.endswith("jsonl.gz")]


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"frequency": "hourly"}, "2026-11-20T13:00+00:00"),
        ({"frequency": "daily", "hour": 3}, "2026-11-21T03:00+00:00"),
        ({"frequency": "daily", "hour": 14, "time_zone": "Europe/Berlin"}, "2026-11-20T13:00+00:00"),
        ({"frequency": "weekly", "weekday": 0, "hour": 6}, "2026-11-23T06:00+00:00"),
        ({"frequency": "monthly", "month_day": 28, "hour": 0}, "2026-11-28T00:00+00:00"),
        ({"frequency": "monthly", "month_day": 1, "hour": 23, "time_zone": "Asia/Tokyo"}, "2026-12-01T14:00+00:00"),
    ],
)  # fmt: skip
def test_the_next_time_in_the_schedules_zone(facts: dict[str, Any], wanted: str) -> None:
    assert next_run(ExportSchedule(**facts), NOW).isoformat(timespec="minutes") == wanted


def test_only_months_that_changed_are_sent_again(nightly: ExportSchedule, shop: Project) -> None:
    first = run(nightly)
    assert months_of(first) == ["2026-10", "2026-11"]
    assert first is not None
    assert sum(Decimal(row["BilledCost"]) for row in rows_of(first)) == recorded_sum(shop)
    assert run(nightly) is None
    assert nightly.last_message == "Nothing has changed since the last run."
    call(shop, MONTHS[0])  # late
    assert months_of(run(nightly)) == ["2026-10"]
    account = BillingAccountFactory(connection__organization=nightly.organization)
    BilledCostFactory(account=account, day=dt.date(2026, 11, 7), provider="anthropic")
    assert months_of(run(nightly)) == ["2026-11"]
    BilledCost.objects.update(amount=Decimal(3), revision=2)  # a late correction
    assert months_of(run(nightly)) == ["2026-11"]
    BilledCost.objects.update(
        amount_usd=Decimal(4)
    )  # rates of the past were set (costs.billing.rate_changes)
    assert months_of(run(nightly)) == ["2026-11"]
    assert run(nightly) is None
    nightly.is_incremental = False
    nightly.save()
    assert months_of(run(nightly)) == ["2026-10", "2026-11"]


def test_records_are_sent_day_by_day(nightly: ExportSchedule, shop: Project) -> None:
    nightly.kind, nightly.version = "records", ""
    nightly.save()
    job = run(nightly)
    assert job is not None
    assert [file["name"] for file in job.result["files"]] == [
        "records-2026-10-05.jsonl.gz",
        "records-2026-11-05.jsonl.gz",
    ]
    assert {row["project"] for row in rows_of(job)} == {"shop"}


def test_a_change_during_a_run_is_sent_by_the_next(nightly: ExportSchedule, shop: Project) -> None:
    job = schedules.run_schedule(schedule=nightly, now=NOW)
    call(shop, MONTHS[1])
    assert job is not None
    finished(job)
    assert months_of(run(nightly)) == ["2026-11"]


def test_a_changed_schedule_sends_everything_anew(
    nightly: ExportSchedule, acme: SimpleNamespace
) -> None:
    running = schedules.run_schedule(schedule=nightly, now=NOW)
    assert running is not None
    draft = ScheduleDraft("Other name", "focus", "jsonl", nightly.first_day, version="1.3")
    schedules.save_schedule(
        organization=acme.organization, draft=draft, schedule=nightly, now=NOW, actor=None
    )
    finished(running)
    nightly.refresh_from_db()
    assert nightly.sent == {}
    job = run(nightly)
    assert job is not None
    assert job.result["files"][0]["name"] == "focus-1.3-2026-10.jsonl.gz"


def test_what_is_due_runs_once_and_pauses(nightly: ExportSchedule, acme: SimpleNamespace) -> None:
    paused = ExportScheduleFactory(organization=acme.organization, is_paused=True)
    later = ExportScheduleFactory(
        organization=acme.organization, next_run_at=NOW + dt.timedelta(hours=1)
    )
    assert schedules.run_due(now=NOW) == 1
    assert schedules.run_due(now=NOW) == 0
    assert [job.params["schedule"] for job in Job.objects.all()] == [str(nightly.pk)]
    drain()
    for one in (paused, later):
        one.refresh_from_db()
        assert one.last_run_at is None
    schedules.pause_schedule(schedule=paused, is_paused=False, now=NOW, actor=None)
    assert paused.next_run_at == dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)


def test_two_runs_of_a_schedule_do_not_meet(nightly: ExportSchedule) -> None:
    schedules.run_schedule(schedule=nightly, now=NOW)
    with pytest.raises(ConflictError, match="is running"):
        schedules.run_schedule(schedule=nightly, now=NOW)
    ExportSchedule.objects.update(next_run_at=NOW)
    assert schedules.run_due(now=NOW) == 1
    nightly.refresh_from_db()
    assert "is running" in nightly.last_message
    assert nightly.next_run_at is not None
    assert nightly.next_run_at > NOW


def test_schedules_of_the_same_hour_all_run_though_not_at_once(
    nightly: ExportSchedule, acme: SimpleNamespace
) -> None:
    ExportScheduleFactory.create_batch(engine.MAX_OPEN + 1, organization=acme.organization)
    assert schedules.run_due(now=NOW) == engine.MAX_OPEN + 2
    waiting = ExportSchedule.objects.filter(last_run_at=None)
    assert {one.next_run_at for one in waiting} == {nightly.next_run_at}
    assert all("exports of this organisation are under way" in one.last_message for one in waiting)
    assert waiting.count() == 2
    drain()
    assert schedules.run_due(now=NOW + dt.timedelta(minutes=1)) == 2
    assert not waiting.all().exists()


def test_a_schedule_that_waits_keeps_the_time_somebody_gives_it_meanwhile(
    nightly: ExportSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + dt.timedelta(days=3)

    def full(**_: Any) -> None:
        ExportSchedule.objects.filter(pk=nightly.pk).update(next_run_at=later)
        engine.check_open(engine.MAX_OPEN, "this organisation")

    monkeypatch.setattr(schedules, "run_schedule", full)
    schedules.run_due(now=NOW)
    nightly.refresh_from_db()
    assert "are under way" in nightly.last_message
    assert nightly.next_run_at == later


def test_a_cancelled_run_leaves_nothing_and_counts_nothing_as_sent(
    nightly: ExportSchedule, monkeypatch: pytest.MonkeyPatch, acme: SimpleNamespace
) -> None:
    monkeypatch.setattr(engine, "STEP_BYTES", 1)
    job = schedules.run_schedule(schedule=nightly, now=NOW)
    assert job is not None
    jobs.handle_step(payload={"job_id": str(job.pk)}, now=timezone.now())
    jobs.request_cancel(job.pk, now=timezone.now())
    finished(job, "cancelled")
    nightly.refresh_from_db()
    assert (nightly.sent, nightly.last_message) == ({}, "Cancelled.")
    assert not engine.default_storage.exists(engine.folder(job))
    again = runs.retry_export(job=job, now=timezone.now(), actor=acme.member.user)
    assert months_of(finished(again)) == ["2026-10", "2026-11"]
    nightly.refresh_from_db()
    assert sorted(nightly.sent) == ["2026-10", "2026-11"]


def test_days_that_retention_removes_are_not_sent_again(
    nightly: ExportSchedule, shop: Project
) -> None:
    run(nightly)
    Project.objects.update(retention_days=30)
    call(shop, MONTHS[0])
    assert run(nightly) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "name is ''"),
        ({"kind": "traces"}, "kind is 'traces'; it must be one of focus, records, daily, billed"),
        ({"format": "xml"}, "format is 'xml'"),
        ({"hour": 24}, "hour is '24'"),
        ({"month_day": 31}, "every month has it"),
        ({"time_zone": "Mars/Base"}, "time_zone is 'Mars/Base'"),
        ({"first_day": dt.date(2027, 1, 1)}, "first_day is '2027-01-01'"),
        ({"frequency": "yearly"}, "frequency is 'yearly'"),
        ({"is_machine": True}, "is_machine"),
    ],
)
def test_bad_schedules_are_refused_by_field(
    acme: SimpleNamespace, change: dict[str, Any], words: str
) -> None:
    facts = {"name": "N", "kind": "focus", "format": "parquet", "first_day": dt.date(2026, 11, 1)}
    with pytest.raises(DomainError, match=words):
        schedules.save_schedule(
            organization=acme.organization, draft=ScheduleDraft(**(facts | change)), now=NOW, actor=None
        )  # fmt: skip
    assert not ExportSchedule.objects.exists()
