"""FOCUS as an export: one file a billing month with its metadata beside it, read in pieces of flat memory."""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from accounts.models import Organization
from costs.exporting.ask import Asked, read_asked, sections
from costs.focus import metadata
from costs.focus.billed import billed_charge, billed_lines
from costs.focus.columns import columns_of
from costs.focus.coverage import DAY, accounts_of, covered_spans
from costs.focus.recorded import days_with_calls, recorded_charges, slices_of
from costs.focus.rows import Charge, focus_row
from costs.models import BilledCost, CostDailyAggregate, Dimension
from projects.exports.registry import Column, Cursor, Request, Row, Section, Source
from projects.models import Project

KIND = "focus"


def source() -> Source:
    """What the registry is told."""
    return Source(
        KIND,
        "FOCUS",
        (),
        read,
        count,
        is_organization=True,
        holds_persons=False,
        columns_by=columns,
        sections=months,
        side_file=side_file,
    )


def _asked(request: Request) -> Asked:
    return read_asked(request.query, now=request.now)


def columns(request: Request) -> tuple[Column, ...]:
    """Those of the version."""
    return tuple(Column(one.name, one.type) for one in columns_of(_asked(request).version))


def months(owner: Organization, request: Request) -> list[Section]:
    """One file a billing month; raises DomainError for what FOCUS cannot be asked."""
    asked = _asked(request)
    return sections(asked, f"focus-{asked.version}", "month")


def project_ids(organization_id: UUID) -> list[UUID]:
    """The organisation's projects, in a fixed order. One query."""
    rows = Project.objects.filter(organization_id=organization_id)
    rows = rows.exclude(status=Project.Status.DELETING).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def count(owner: Organization, request: Request) -> int:
    """Calls and lines that will be read (rows are sums of them). Three queries."""
    asked = _asked(request)
    lines = BilledCost.objects.filter(
        organization_id=owner.pk, day__gte=asked.first, day__lt=asked.end
    )
    calls = CostDailyAggregate.objects.filter(
        project_id__in=project_ids(owner.pk),
        dimension=Dimension.ALL,
        hour__gte=asked.start_at,
        hour__lt=asked.end_at,
    ).values_list("calls", flat=True)
    return lines.count() + sum(calls.iterator())


def read(
    owner: Organization, request: Request, cursor: Cursor, limit: int
) -> tuple[Iterable[Row], Cursor]:
    """Recorded days (or slices of busy ones) project after project, then billed lines. About eight queries."""
    asked = _asked(request)
    at: dict[str, Any] = cursor or {"done": 0}
    if "after" not in at:
        found = _next_slice(owner.pk, asked, at)
        if found is not None:
            project, day, following = found
            accounts = accounts_of(owner.pk)
            spans = covered_spans(owner.pk, accounts, day, day + DAY)
            part = recorded_charges(
                project, day, spans, part=following["slice"], parts=following["slices"]
            )
            return _rows(part, asked.version), following
        at = {"done": at["done"], "after": None}
    return _read_billed(owner.pk, asked, at, limit)


def _next_slice(
    organization_id: UUID, asked: Asked, at: dict[str, Any]
) -> tuple[Project, dt.date, dict[str, Any]] | None:
    """What comes after `at`: the day's next slice, the next day, the next project; None at the end."""
    is_within = at.get("slice", 0) + 1 < at.get("slices", 0)
    start = asked.start_at
    ids = project_ids(organization_id)
    if "project" in at:
        ids = [one for one in ids if str(one) >= at["project"]]
    for key in ids:
        days = days_with_calls(key, start, asked.end_at)
        if str(key) == at.get("project"):
            day = dt.date.fromisoformat(at["day"])
            days = [one for one in days if one[0] > day or (is_within and one[0] == day)]
        if days:
            (day, calls), is_next = days[0], is_within and days[0][0].isoformat() == at.get("day")
            slices = at["slices"] if is_next else slices_of(calls)
            number = at["slice"] + 1 if is_next else 0
            share = calls * (number + 1) // slices - calls * number // slices
            following = {
                "project": str(key),
                "day": day.isoformat(),
                "slice": number,
                "slices": slices,
                "done": at["done"] + share,
            }
            return Project.objects.get(pk=key), day, following
        is_within = False
    return None


def _rows(charges: Iterable[Charge], version: str) -> Iterator[Row]:
    return (focus_row(charge, version) for charge in charges)


def _read_billed(
    organization_id: UUID, asked: Asked, at: dict[str, Any], limit: int
) -> tuple[Iterable[Row], Cursor]:
    place = at["after"]
    after = (dt.date.fromisoformat(place[0]), place[1]) if place else None
    lines = billed_lines(organization_id, asked.first, asked.end, after=after, limit=limit)
    accounts = accounts_of(organization_id) if lines else {}
    following = None
    if len(lines) == limit:
        last = lines[-1]
        following = {"done": at["done"] + limit, "after": [last.day.isoformat(), last.pk]}
    charges = (billed_charge(line, accounts[line.account_id]) for line in lines)
    return _rows(charges, asked.version), following


def side_file(owner: Organization, request: Request, rows: int) -> tuple[str, bytes]:
    """`metadata.json` of the month."""
    asked = _asked(request)
    name = f"focus-{asked.version}-{asked.first.isoformat()[:7]}.metadata.json"
    return name, metadata.describe(
        owner, asked, rows, now=request.now, project_ids=project_ids(owner.pk)
    )
