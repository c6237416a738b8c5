"""Exports by the clock: saved, paused, run when due; each sends the months or days that changed since it sent them."""

import datetime as dt
import logging
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from core.models import Job
from costs.exporting import runs
from costs.exporting.ask import MAX_SECTIONS, Asked
from costs.exporting.changes import fingerprints, oldest_day
from costs.exporting.schedule_ends import what_of
from costs.exporting.sources import PARTITIONS
from costs.focus import source as focus
from costs.focus.columns import DEFAULT_VERSION, VERSIONS
from costs.models import ExportDestination, ExportSchedule, ReportSchedule
from projects.exports import job as engine
from projects.exports.registry import Request

logger = logging.getLogger(__name__)
DAY = dt.timedelta(days=1)
MAX_SCHEDULES = 50
MAX_HISTORY = dt.timedelta(days=1095)
Frequency = ExportSchedule.Frequency


@dataclass(frozen=True)
class ScheduleDraft:
    """What a person fills in."""

    name: str
    kind: str
    format: str
    first_day: dt.date
    frequency: str = Frequency.DAILY.value
    hour: int = 3
    weekday: int = 0
    month_day: int = 1
    time_zone: str = "UTC"
    version: str = ""
    is_machine: bool = False
    is_incremental: bool = True
    destination: ExportDestination | None = None


def schedules_of(organization_id: UUID) -> QuerySet[ExportSchedule]:
    """With their destinations, by name. One query."""
    rows = ExportSchedule.objects.filter(organization_id=organization_id)
    return rows.select_related("destination").order_by("name", "pk")


def schedule_of(organization_id: UUID, schedule_id: UUID) -> ExportSchedule:
    """One of them. Raises NotFoundError."""
    found = schedules_of(organization_id).filter(pk=schedule_id).first()
    if found is None:
        raise NotFoundError("There is no such schedule in this organisation.")
    return found


def runs_of(schedule: ExportSchedule) -> QuerySet[Job]:
    """Its exports, in no order."""
    rows = runs.exports_of(schedule.organization_id)
    return rows.filter(params__schedule=str(schedule.pk))


def next_run(schedule: ExportSchedule | ReportSchedule, after: dt.datetime) -> dt.datetime:
    """The first time after `after` that the schedule names, in its zone (pure). An hour that the clocks skip is the
    next one; one that they repeat counts once."""
    if schedule.frequency == Frequency.HOURLY:
        return after.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    zone = ZoneInfo(schedule.time_zone)
    day = after.astimezone(zone).date()
    while True:
        at = dt.datetime.combine(day, dt.time(schedule.hour), zone).astimezone(dt.UTC)
        is_day = {
            Frequency.DAILY: True,
            Frequency.WEEKLY: day.weekday() == schedule.weekday,
            Frequency.MONTHLY: day.day == schedule.month_day,
        }[Frequency(schedule.frequency)]
        if is_day and at > after:
            return at
        day += DAY


def _check(draft: ScheduleDraft, today: dt.date) -> None:
    """Raises DomainError naming the field, its value and the rule."""
    rules = (
        ("name", draft.name.strip() and len(draft.name) <= 80 and "\x00" not in draft.name, "1 to 80 characters"),
        ("kind", draft.kind in PARTITIONS, f"one of {', '.join(PARTITIONS)}"),
        ("format", draft.format in engine.FORMATS, f"one of {', '.join(engine.FORMATS)}"),
        ("version", draft.version in ("", *VERSIONS), f"one of {', '.join(VERSIONS)}"),
        ("frequency", draft.frequency in Frequency.values, f"one of {', '.join(Frequency.values)}"),
        ("hour", 0 <= draft.hour <= 23, "an hour from 0 to 23"),
        ("weekday", 0 <= draft.weekday <= 6, "0 (Monday) to 6 (Sunday)"),
        ("month_day", 1 <= draft.month_day <= 28, "a day from 1 to 28: every month has it"),
        ("time_zone", draft.time_zone in available_timezones(), "a zone such as Europe/Berlin"),
        ("first_day", today - MAX_HISTORY <= draft.first_day <= today, "a day of the last three years"),
        ("is_machine", not draft.is_machine or draft.format == "csv", "left out unless the format is csv"),
    )  # fmt: skip
    for name, is_right, rule in rules:
        if not is_right:
            shown = str(getattr(draft, name))[:40]
            raise DomainError(f"{name} is {shown!r}; it must be {rule}.", fields=[name])


@transaction.atomic
def save_schedule(
    *,
    organization: Organization,
    draft: ScheduleDraft,
    schedule: ExportSchedule | None = None,
    now: dt.datetime,
    actor: User | None,
) -> ExportSchedule:
    """A new schedule, or the given one changed; what it sends anew after a change is everything. Raises DomainError."""
    _check(draft, now.date())
    if schedule is None:
        if schedules_of(organization.pk).count() >= MAX_SCHEDULES:
            raise DomainError(f"{MAX_SCHEDULES} schedules are the most; remove one first.")
        schedule = ExportSchedule(organization=organization, created_by=actor)
        action = "export.schedule_created"
    else:
        action = "export.schedule_changed"
        if what_of(schedule) != _what_of(draft):
            schedule.sent = {}
    for name in (
        *("kind", "format", "first_day", "frequency", "hour", "weekday", "month_day"),
        *("time_zone", "is_machine", "is_incremental", "destination"),
    ):
        setattr(schedule, name, getattr(draft, name))
    schedule.name = draft.name.strip()
    schedule.version = (draft.version or DEFAULT_VERSION) if draft.kind == focus.KIND else ""
    schedule.next_run_at = next_run(schedule, now)
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError:
        raise ConflictError(
            f"name is {draft.name[:40]!r}; another schedule has that name.", fields=["name"]
        ) from None
    _audit(action, schedule, actor)
    return schedule


def _what_of(draft: ScheduleDraft) -> tuple[object, ...]:
    version = (draft.version or DEFAULT_VERSION) if draft.kind == focus.KIND else ""
    place = draft.destination.pk if draft.destination else None
    return (
        draft.kind, draft.format, version, draft.is_machine, place, draft.first_day,
        draft.name.strip(),
    )  # fmt: skip


@transaction.atomic
def pause_schedule(
    *, schedule: ExportSchedule, is_paused: bool, now: dt.datetime, actor: User | None
) -> ExportSchedule:
    """Stop running it by the clock, or begin again at its next time."""
    schedule.is_paused = is_paused
    schedule.next_run_at = next_run(schedule, now)
    schedule.save(update_fields=["is_paused", "next_run_at", "updated_at"])
    _audit("export.schedule_paused" if is_paused else "export.schedule_resumed", schedule, actor)
    return schedule


@transaction.atomic
def remove_schedule(*, schedule: ExportSchedule, actor: User | None) -> None:
    """Forget it. Files that were sent stay where they are; its exports stay listed."""
    _audit("export.schedule_removed", schedule, actor)
    schedule.delete()


@transaction.atomic
def run_schedule(
    *, schedule: ExportSchedule, now: dt.datetime, actor: User | None = None
) -> Job | None:
    """Start an export of what changed; None when nothing did. Raises ConflictError while one is under way, DomainError
    when too many are."""
    locked = ExportSchedule.objects.select_for_update().get(pk=schedule.pk)
    organization = Organization.objects.get(pk=locked.organization_id)
    if runs_of(locked).filter(state__in=runs.OPEN).exists():
        raise ConflictError(f"{locked.name} is running; wait for it to end, or cancel it.")
    end = now.astimezone(dt.UTC).date() + DAY
    first = max(locked.first_day, oldest_day(organization.pk, locked.kind, today=end))
    asked = Asked(first, end, locked.version or DEFAULT_VERSION, PARTITIONS[locked.kind])
    found = fingerprints(organization, locked.kind, asked)
    wanted = {
        name: print_
        for name, print_ in sorted(found.items())
        if not locked.is_incremental or locked.sent.get(name) != print_
    }
    wanted = dict(list(wanted.items())[:MAX_SECTIONS])
    locked.last_run_at, locked.next_run_at = now, next_run(locked, now)
    locked.last_message = "" if wanted else "Nothing has changed since the last run."
    locked.save(update_fields=["last_run_at", "next_run_at", "last_message", "updated_at"])
    if not wanted:
        return None
    return runs.start_export(
        organization=organization,
        kind=locked.kind,
        format_name=locked.format,
        request=Request(
            query=replace(asked, only=tuple(wanted)).query, is_machine=locked.is_machine, now=now
        ),
        actor=actor,
        actor_label="" if actor else f"schedule {locked.name}",
        params={
            "schedule": str(locked.pk),
            "schedule_name": locked.name,
            "what": [str(one) for one in what_of(locked)],
            "sent": wanted,
            **({"destination": str(locked.destination_id)} if locked.destination_id else {}),
        },
    )


def run_due(*, now: dt.datetime) -> int:
    """Start what is due; returns how many that were. One that cannot start says why and waits: for its next time, or
    where too many exports are under way until one of them ends."""
    due = ExportSchedule.objects.filter(is_paused=False, next_run_at__lte=now)
    count = 0
    for schedule in due.order_by("next_run_at").iterator():
        count += 1
        try:
            run_schedule(schedule=schedule, now=now)
        except DomainError as error:
            logger.warning("costs.exporting.schedule_not_started: %s %s", schedule.pk, error.code)
            changed: dict[str, Any] = {"last_message": error.detail}
            if error.code != engine.TOO_MANY:
                changed["next_run_at"] = next_run(schedule, now)
            ExportSchedule.objects.filter(pk=schedule.pk).update(**changed)
    return count


def _audit(action: str, schedule: ExportSchedule, actor: User | None) -> None:
    record_audit_event(
        organization_id=schedule.organization_id,
        actor=actor,
        action=action,
        target=schedule.name,
        data={"kind": schedule.kind, "format": schedule.format, "frequency": schedule.frequency},
        actor_label="" if actor else "system",
    )
