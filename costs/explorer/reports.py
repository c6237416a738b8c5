"""Saved reports: kept, shared, changed, deleted; and when they are sent to whom."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import QueryDict

from accounts.models import Membership, Organization, Role, User
from accounts.services import ForbiddenError, record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from costs.explorer.page_state import read_page
from costs.exporting.schedules import next_run
from costs.models import CostReport, ReportRecipient, ReportSchedule
from costs.models.reports import MAX_QUERY

MAX_REPORTS = 500
MAX_RECIPIENTS = 50
Frequency, Covers = ReportSchedule.Frequency, ReportSchedule.Covers


@dataclass(frozen=True)
class ReportDraft:
    """What a person says about a report."""

    name: str
    query: str
    is_shared: bool = False


@dataclass(frozen=True)
class ScheduleDraft:
    """When a report is sent, about which time, to whom (ids of members)."""

    frequency: str
    recipients: Sequence[UUID]
    hour: int = 8
    weekday: int = 0
    month_day: int = 1
    time_zone: str = "UTC"
    covers: str = Covers.BEFORE.value
    is_active: bool = True


def reports_of(organization_id: UUID, user: User) -> QuerySet[CostReport]:
    """The person's own reports and those shared with them, in no order."""
    rows = CostReport.objects.filter(organization_id=organization_id)
    return rows.filter(Q(author=user) | Q(is_shared=True)).select_related("author", "schedule")


def report_of(organization_id: UUID, user: User, report_id: UUID) -> CostReport:
    """One of them. One query. Raises NotFoundError."""
    found = reports_of(organization_id, user).filter(pk=report_id).first()
    if found is None:
        raise NotFoundError("There is no such report, or it is not shared with you.")
    return found


def changeable_report(membership: Membership, report_id: UUID) -> CostReport:
    """A report the member may change: their own, or as an admin a shared one. Raises NotFoundError, ForbiddenError."""
    report = report_of(membership.organization_id, membership.user, report_id)
    if report.author_id != membership.user_id and not membership.allows(Role.ADMIN):
        raise ForbiddenError("Only its author and admins can change a shared report.")
    return report


def schedule_of(report: CostReport) -> ReportSchedule | None:
    """When it is sent; None without a schedule."""
    return ReportSchedule.objects.filter(report=report).first()


def clean_query(text: str, *, project_ids: Sequence[UUID], now: dt.datetime) -> str:
    """The query string in its shortest form. Raises DomainError naming the parameter, its value and the rule."""
    if len(text) > MAX_QUERY or "\x00" in text:
        raise DomainError(
            f"query has at most {MAX_QUERY:,} characters and no NUL.", fields=["query"]
        )
    return read_page(QueryDict(text), slug="-", project_ids=project_ids, now=now).query()


@transaction.atomic
def save_report(
    *,
    organization: Organization,
    draft: ReportDraft,
    author: User,
    report: CostReport | None = None,
    replaces: bool = False,
) -> CostReport:
    """A new report, or the given one changed. With `replaces` one's own report of that name takes the new question.

    The draft's query is clean. Raises DomainError for a name or too many, ConflictError for a name taken.
    """
    name = draft.name.strip()
    if not 1 <= len(name) <= 120 or "\x00" in name:
        raise DomainError("name must have 1 to 120 characters and no NUL.", fields=["name"])
    action = "costs.report.changed" if report else "costs.report.created"
    if report is None and replaces:
        own = CostReport.objects.filter(organization=organization, author=author)
        report = own.filter(name__iexact=name).first()
    if report is None:
        if organization.cost_reports.count() >= MAX_REPORTS:
            raise DomainError(f"An organisation has at most {MAX_REPORTS} reports; delete one.")
        report = CostReport(organization=organization, author=author)
    report.name, report.query, report.is_shared = name, draft.query, draft.is_shared
    try:
        with transaction.atomic():
            report.save()
    except IntegrityError:
        raise ConflictError(
            f"name is {name[:40]!r}; you have another report of that name.", fields=["name"]
        ) from None
    _audit(report, author, action)
    return report


@transaction.atomic
def delete_report(*, report: CostReport, actor: User) -> None:
    """With its schedule: nothing more is sent."""
    _audit(report, actor, "costs.report.deleted")
    report.delete()


@transaction.atomic
def schedule_report(
    *, report: CostReport, draft: ScheduleDraft, actor: User, now: dt.datetime
) -> ReportSchedule:
    """Send the report at these times to these members. Whoever unsubscribed stays so. Raises DomainError."""
    _check(draft)
    members = set(_members(report.organization_id, draft.recipients))
    unknown = [one for one in draft.recipients if one not in members]
    if unknown:
        raise DomainError(
            f"recipients has {unknown[0]}; every one must be a member of the organisation.",
            fields=["recipients"],
        )
    schedule = ReportSchedule.objects.select_for_update().filter(report=report).first()
    schedule = schedule or ReportSchedule(report=report, created_by=actor)
    for name in ("frequency", "hour", "weekday", "month_day", "time_zone", "covers", "is_active"):
        setattr(schedule, name, getattr(draft, name))
    schedule.next_run_at, schedule.last_error = next_run(schedule, now), ""
    schedule.save()
    # Who left the list, but did not ask to be left alone, goes.
    listed = ReportRecipient.objects.filter(schedule=schedule)
    listed.filter(unsubscribed_at=None).exclude(user_id__in=members).delete()
    ReportRecipient.objects.bulk_create(
        [ReportRecipient(schedule=schedule, user_id=one) for one in sorted(members)],
        ignore_conflicts=True,
    )
    _audit(report, actor, "costs.report.scheduled", frequency=draft.frequency, recipients=len(members))  # fmt: skip
    return schedule


@transaction.atomic
def unschedule_report(*, report: CostReport, actor: User) -> None:
    """Send it no more."""
    if ReportSchedule.objects.filter(report=report).delete()[0]:
        _audit(report, actor, "costs.report.unscheduled")


def _members(organization_id: UUID, user_ids: Sequence[UUID]) -> list[UUID]:
    rows = Membership.objects.filter(organization_id=organization_id, user_id__in=list(user_ids))
    return list(rows.values_list("user_id", flat=True))


def _check(draft: ScheduleDraft) -> None:
    """Raises DomainError naming the field, its value and the rule."""
    count = len(draft.recipients)
    rules: tuple[tuple[str, Any, bool, str], ...] = (
        ("frequency", draft.frequency, draft.frequency in Frequency.values, f"one of {', '.join(Frequency.values)}"),
        ("hour", draft.hour, 0 <= draft.hour <= 23, "an hour from 0 to 23"),
        ("weekday", draft.weekday, 0 <= draft.weekday <= 6, "0 (Monday) to 6 (Sunday)"),
        ("month_day", draft.month_day, 1 <= draft.month_day <= 28, "a day from 1 to 28: every month has it"),
        ("time_zone", draft.time_zone, draft.time_zone in available_timezones(), "a zone such as Europe/Berlin"),
        ("covers", draft.covers, draft.covers in Covers.values, f"one of {', '.join(Covers.values)}"),
        ("recipients", f"{count} people", 1 <= count <= MAX_RECIPIENTS, f"1 to {MAX_RECIPIENTS} members"),
    )  # fmt: skip
    for name, value, is_right, rule in rules:
        if not is_right:
            raise DomainError(f"{name} is {str(value)[:40]!r}; it must be {rule}.", fields=[name])


def _audit(report: CostReport, actor: User, action: str, **more: Any) -> None:
    record_audit_event(
        organization_id=report.organization_id,
        actor=actor,
        action=action,
        target=report.name,
        data={"report": str(report.pk), "is_shared": report.is_shared, **more},
    )
