"""Reconciliation as a job: facts of changed days first, then month by month what both ledgers say.

A step does what fits into some seconds. Its progress, its facts and its cells are one transaction; killed anywhere, it
goes on where it was.
"""

import datetime as dt
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from core import jobs, partitions
from core.models import Job
from costs.models import ReconciliationRun
from costs.reconciliation.marks import ONE_DAY, current_marks, stale_days
from costs.reconciliation.recorded import keep_day
from costs.reconciliation.store import window_of, work_out
from costs.services.record_costs import TABLE
from costs.services.reprice_job import projects_of_organization

KIND = "costs.reconcile"
STEP_S = 3.0
_CHANGED = """
SELECT v.project_id, v.day, v.version FROM costs_costday v
LEFT JOIN costs_reconciledfacts f ON f.project_id = v.project_id AND f.day = v.day
WHERE v.project_id = ANY(%s) AND (f.project_id IS NULL OR f.project_id = ANY(%s))
  AND v.day >= %s AND v.day <= %s AND v.day = ANY(%s::date[])
  AND f.version IS DISTINCT FROM v.version AND (v.project_id, v.day) > (%s, %s)
ORDER BY v.project_id, v.day
"""
FIRST = ("00000000-0000-0000-0000-000000000000", "0001-01-01")


@transaction.atomic
def want_reconciliation(
    *, organization_id: UUID, now: dt.datetime, actor_id: UUID | None = None
) -> Job | None:
    """Note that a ledger changed, and start the job unless one is open: that one looks again when it ends. Returns the
    job that was started."""
    ReconciliationRun.objects.get_or_create(pk=organization_id)
    run = ReconciliationRun.objects.select_for_update().get(pk=organization_id)
    run.wanted = F("wanted") + 1
    is_open = (
        run.job_id is not None
        and Job.objects.filter(
            pk=run.job_id, state__in=(Job.State.QUEUED, Job.State.RUNNING)
        ).exists()
    )
    if is_open:
        run.save(update_fields=["wanted"])
        return None
    job = jobs.start(
        kind=KIND,
        title="Reconcile the bill",
        organization_id=organization_id,
        created_by_id=actor_id,
        now=now,
    )
    run.job_id = job.pk
    run.save(update_fields=["wanted", "job_id"])
    return job


def is_stale(organization_id: UUID, *, now: dt.datetime) -> bool:
    """Whether any day has to be worked out again. Nine queries."""
    projects = projects_of_organization(organization_id)
    readable = sorted(partitions.existing_days(TABLE))
    return bool(
        stale_days(organization_id, current_marks(organization_id, projects, readable, now=now))
    )


def reconcile_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next seconds of work."""
    organization_id = job.organization_id
    projects = projects_of_organization(organization_id)
    readable = sorted(partitions.existing_days(TABLE))
    cursor: dict[str, Any] = job.cursor or _plan(organization_id, projects, readable, now)
    if not cursor["months"]:
        return jobs.Step(0, None, "Both ledgers are as they were.", result=_wanted(cursor))
    end, done = monotonic() + STEP_S, 0
    while monotonic() < end and cursor.get("facts") is not None:
        done += _keep_facts(cursor, projects, readable, end)
    while monotonic() < end and cursor.get("facts") is None and cursor["months"]:
        done += _work_out_month(organization_id, projects, readable, cursor, now)
    if cursor["months"]:
        provider, first, _ = cursor["months"][0]
        where = "Reading recorded calls" if cursor.get("facts") else f"{provider} {first[:7]}"
        return jobs.Step(done, cursor, f"{where}.", cursor["total"])
    return jobs.Step(
        done, None, f"{cursor['days']:,} days are worked out.", cursor["total"], _wanted(cursor)
    )


def _plan(
    organization_id: UUID, projects: list[UUID], readable: list[dt.date], now: dt.datetime
) -> dict[str, Any]:
    """The months that hold a stale day, newest first, and how many days' records have to be read."""
    run = ReconciliationRun.objects.get_or_create(pk=organization_id)[0]
    stale = stale_days(organization_id, current_marks(organization_id, projects, readable, now=now))
    months = sorted(
        {(day.replace(day=1), provider) for provider, days in stale.items() for day in days},
        reverse=True,
    )
    all_days = [day for days in stale.values() for day in days]
    plan: dict[str, Any] = {
        "wanted": run.wanted,
        "months": [[provider, first.isoformat(), ""] for first, provider in months],
        "days": len(all_days),
        "facts": list(FIRST),
        "total": len(months),
    }
    if all_days:
        plan["first"] = (min(all_days).replace(day=1) - ONE_DAY).isoformat()
        plan["last"] = (max(all_days) + ONE_DAY).isoformat()
        plan["total"] += len(_changed(plan, projects, readable))
    return plan


def _wanted(cursor: dict[str, Any]) -> dict[str, Any]:
    """What the ledgers' changes counted when the plan was made (ReconciliationRun.wanted)."""
    return {"wanted": cursor["wanted"]}


def _changed(
    cursor: dict[str, Any], projects: list[UUID], readable: list[dt.date]
) -> list[tuple[UUID, dt.date, int]]:
    with connection.cursor() as sql:
        sql.execute(
            _CHANGED,
            [projects, projects, cursor["first"], cursor["last"], readable, *cursor["facts"]],
        )
        return list(sql.fetchall())


def _keep_facts(
    cursor: dict[str, Any], projects: list[UUID], readable: list[dt.date], end: float
) -> int:
    """Read changed days of the recorded ledger until the time is up."""
    done = 0
    for project_id, day, version in _changed(cursor, projects, readable):
        keep_day(project_id=project_id, day=day, version=version)
        cursor["facts"] = [str(project_id), day.isoformat()]
        done += 1
        if monotonic() > end:
            return done
    cursor["facts"] = None
    return done


def _work_out_month(
    organization_id: UUID,
    projects: list[UUID],
    readable: list[dt.date],
    cursor: dict[str, Any],
    now: dt.datetime,
) -> int:
    """One month of one provider, all of its days: prices, days and keys show over a month what a day cannot."""
    provider, first, _ = cursor["months"][0]
    run = ReconciliationRun.objects.select_for_update().get(pk=organization_id)
    # By the facts that were read: what was recorded since makes the day stale again.
    marks = current_marks(organization_id, projects, readable, now=now, kept=True)
    days = sorted(
        day for day in marks.days.get(provider, {}) if day.replace(day=1).isoformat() == first
    )
    if days:
        window = window_of(organization_id, projects, marks, provider, days)
        zone = work_out(organization_id, window, marks, zone=run.zones.get(provider, ""), now=now)
        run.zones = {**run.zones, provider: zone}
        run.save(update_fields=["zones"])
    cursor["months"] = cursor["months"][1:]
    return 1


def record_end(job: Job) -> None:
    """However it ended: what changed meanwhile is worked out by the next one."""
    run = ReconciliationRun.objects.select_for_update().filter(pk=job.organization_id).first()
    if run is None or run.job_id != job.pk:
        return
    run.seen, run.done_at = max(run.seen, int(job.result.get("wanted", 0))), job.ended_at
    run.job_id = None
    run.save(update_fields=["seen", "done_at", "job_id"])
    if job.state == Job.State.DONE and run.wanted > run.seen and job.ended_at is not None:
        want_reconciliation(organization_id=job.organization_id, now=job.ended_at)
