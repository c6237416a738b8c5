"""Makes an organisation's forecasts and looks for strange days: a job of small steps, one at a time for each."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core import jobs
from core.errors import ConflictError, DomainError
from core.jobs import Step
from core.models import Job
from costs.forecasting import process
from costs.forecasting.evidence import causes_of
from costs.forecasting.results import LOOK, Anomalies, month_end, store_forecasts
from costs.forecasting.series import (
    DAY,
    DailySeries,
    budget_series,
    history_start,
    place_of,
    project_ids_of,
    spend_series,
    versions_of,
)
from costs.models import AnomalyState, ForecastRun, SeriesKind, SpendAnomaly, SpendForecast
from costs.signals import anomaly_found

KIND = "costs.forecast"
# A step is one process: two seconds to begin, then a third of a second for each series.
AT_ONCE = 12
CAUSES_AT_ONCE = 5
# New calls of today are looked at every so often; changed days and a new day at once.
TODAY_EVERY = dt.timedelta(hours=3)
KEEP_JOBS = dt.timedelta(days=7)
LONGEST_NOTE = 500


def register() -> None:
    """Say how the job advances (from the app's `ready`)."""
    jobs.register(KIND, run_step)


@transaction.atomic
def start_refresh(*, organization_id: UUID, now: dt.datetime, actor: User | None = None) -> Job:
    """Queue the job. Raises ConflictError while one is under way."""
    Organization.objects.select_for_update().get(pk=organization_id)
    mine = Job.objects.filter(kind=KIND, organization_id=organization_id)
    if mine.filter(state__in=(Job.State.QUEUED, Job.State.RUNNING)).exists():
        raise ConflictError("The forecasts are being made already; they will be here in a minute.")
    # One a day would push what people started out of the list of jobs.
    mine.filter(ended_at__lt=now - KEEP_JOBS).delete()
    return jobs.start(
        kind=KIND,
        title="Forecasts and anomalies",
        organization_id=organization_id,
        created_by_id=actor.pk if actor else None,
        now=now,
        params={"today": now.date().isoformat(), "started": now.isoformat()},
    )


def start_due(*, now: dt.datetime) -> int:
    """Queue the job of every organisation whose days changed; returns how many. Three queries for each at most."""
    count = 0
    runs = {run.organization_id: run for run in ForecastRun.objects.all()}
    for organization_id in Organization.objects.values_list("pk", flat=True):
        if _is_due(organization_id, runs.get(organization_id), now):
            try:
                start_refresh(organization_id=organization_id, now=now)
            except ConflictError:
                continue
            count += 1
    return count


def _is_due(organization_id: UUID, run: ForecastRun | None, now: dt.datetime) -> bool:
    today, projects = now.date(), project_ids_of(organization_id)
    end = today + DAY if run and now - run.made_at >= TODAY_EVERY else today
    versions = versions_of(projects, history_start(today), end)
    if run is None:
        return versions > 0
    return run.day != today or versions != (
        run.versions if end == today else run.versions_with_today
    )


def _series(organization_id: UUID, projects: list[UUID], today: dt.date) -> list[DailySeries]:
    found = [*spend_series(projects, today), *budget_series(organization_id, today)]
    return sorted(found, key=lambda one: place_of(one.name))


def run_step(job: Job, *, now: dt.datetime) -> Step:
    """The next series, then the causes of what was found; `params.today` keeps all steps on one day."""
    today = dt.date.fromisoformat(job.params["today"])
    if not Organization.objects.filter(pk=job.organization_id).exists():
        return Step(0, None, "The organisation is gone.")
    projects = project_ids_of(job.organization_id)
    if job.cursor.get("phase") == "causes":
        return _explain_step(job, projects, today, now)
    return _fit_step(job, projects, today, now)


def _fit_step(job: Job, projects: list[UUID], today: dt.date, now: dt.datetime) -> Step:
    # Read before the days are: what comes in between makes the next run due, not this one wrong.
    versions = [versions_of(projects, history_start(today), end) for end in (today, today + DAY)]
    groups = _twins(_series(job.organization_id, projects, today), today)
    at = int(job.cursor.get("at", 0))
    batch = groups[at : at + AT_ONCE]
    said = process.fit([_task(str(place), group[0], today) for place, group in enumerate(batch)])
    made = [(one, said[str(place)]) for place, group in enumerate(batch) for one in group]
    store_forecasts(job.organization_id, made, today=today, now=now)
    anomalies = Anomalies(job.organization_id, today=today, now=now)
    for one, found in sorted(made, key=lambda row: place_of(row[0].name)):
        if one.name.kind != SeriesKind.BUDGET:
            anomalies.look_at(one, found["outliers"])
    anomalies.save()
    message = f"{min(at + AT_ONCE, len(groups))} of {len(groups)} series"
    if at + AT_ONCE < len(groups):
        return Step(len(batch), {"at": at + AT_ONCE}, message, total=len(groups))
    _finish(job, today, versions, now)
    return Step(len(batch), {"phase": "causes"}, "Looking for causes", total=len(groups))


def _twins(series: list[DailySeries], today: dt.date) -> list[list[DailySeries]]:
    """Series with the same days together: the only project and its organisation are worked out once."""
    groups: dict[tuple[Decimal, ...], list[DailySeries]] = {}
    for one in series:
        groups.setdefault(tuple(one.days(history_start(today), today + DAY)), []).append(one)
    return list(groups.values())


def _task(key: str, series: DailySeries, today: dt.date) -> dict[str, Any]:
    return process.task_of(
        key,
        series.days(history_start(today), today),
        horizon=(month_end(today) - today).days,
        running=series.by_day.get(today),
        least=settings.LLMLAB_ANOMALY_LEAST_USD,
    )


def _started(job: Job) -> dt.datetime:
    return dt.datetime.fromisoformat(job.params["started"])


def _finish(job: Job, today: dt.date, versions: list[int], now: dt.datetime) -> None:
    """Forget series that are gone, and remember what this run saw."""
    stale = SpendForecast.objects.filter(
        organization_id=job.organization_id, month=today.replace(day=1), made_at__lt=_started(job)
    )
    stale.delete()
    ForecastRun.objects.update_or_create(
        organization_id=job.organization_id,
        defaults={
            "day": today,
            "versions": versions[0],
            "versions_with_today": versions[1],
            "made_at": now,
        },
    )


def _explain_step(job: Job, projects: list[UUID], today: dt.date, now: dt.datetime) -> Step:
    """Causes of some anomalies that have none yet, newest first, and the news of them."""
    waiting = list(
        SpendAnomaly.objects.filter(
            organization_id=job.organization_id, day__gte=today - LOOK * DAY, causes=[]
        )
        .exclude(state=AnomalyState.CLEARED)
        .order_by("-day", "-id")[: CAUSES_AT_ONCE + 1]
    )
    for row in waiting[:CAUSES_AT_ONCE]:
        row.causes = causes_of(row, projects)
        row.save(update_fields=["causes", "updated_at"])
        # Old days are on the page; nobody wants to be woken by them.
        if row.found_at >= _started(job) and row.day >= today - DAY:
            anomaly_found.send(
                sender=SpendAnomaly,
                organization_id=row.organization_id,
                project_id=row.project_id,
                anomaly_id=row.pk,
                day=row.day,
                now=now,
            )
    if len(waiting) > CAUSES_AT_ONCE:
        return Step(0, {"phase": "causes"}, "Looking for causes")
    slug = Organization.objects.values_list("slug", flat=True).get(pk=job.organization_id)
    result = {"url": f"/organizations/{slug}/costs/forecast/", "label": "Open the forecast"}
    return Step(0, None, "The forecasts are made.", result=result)


@transaction.atomic
def mark_expected(
    *, anomaly: SpendAnomaly, actor: User, note: str, now: dt.datetime
) -> SpendAnomaly:
    """Say that the day is as it should be, and why. Raises DomainError for a note that is too long."""
    return _mark(anomaly, AnomalyState.EXPECTED, actor, note.strip(), now)


@transaction.atomic
def reopen(*, anomaly: SpendAnomaly, actor: User, now: dt.datetime) -> SpendAnomaly:
    """Take that back."""
    return _mark(anomaly, AnomalyState.OPEN, actor, "", now)


def _mark(
    anomaly: SpendAnomaly, state: AnomalyState, actor: User, note: str, now: dt.datetime
) -> SpendAnomaly:
    if len(note) > LONGEST_NOTE or "\x00" in note:
        raise DomainError(
            f"note has {len(note)} characters; at most {LONGEST_NOTE}, and no NUL.", fields=["note"]
        )
    row = SpendAnomaly.objects.select_for_update().get(pk=anomaly.pk)
    if row.state == state:
        raise ConflictError(f"The anomaly is {row.get_state_display().lower()} already.")
    row.state, row.note, row.marked_by, row.marked_at = state, note, actor, now
    row.save(update_fields=["state", "note", "marked_by", "marked_at", "updated_at"])
    record_audit_event(
        organization_id=row.organization_id,
        actor=actor,
        action=f"costs.anomaly.{'marked_expected' if state == AnomalyState.EXPECTED else 'reopened'}",
        target=f"{row.day} {row.value or row.get_kind_display()}",
        data={"anomaly": str(row.pk), "note": note},
    )
    return row
