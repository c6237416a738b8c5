"""From rules to the sums they are about: which projects, which calls, which window. For any number of rules at once."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import reduce
from operator import add
from uuid import UUID

from alerts.models import Alert, CompareWith
from costs.minutes import LATE, floor_minute
from costs.selectors.minutes import (
    Covered,
    Scope,
    Segment,
    Window,
    arrivals,
    coverage,
    segments,
    summed,
)
from projects.models import Project

MINUTE = dt.timedelta(minutes=1)
# What columns of the alerts' tables keep.
_PLACES, _WIDE = Decimal("1e-12"), Context(prec=60)


@dataclass(frozen=True)
class Ask:
    """One window of a rule: `length` before `end`, moved `back` in whole lengths; a rule has at most two."""

    alert: Alert
    end: dt.datetime
    length: dt.timedelta
    has_arrived: bool = False


def exact(value: Decimal) -> Decimal:
    """Rounded to what is stored."""
    return value.quantize(_PLACES, context=_WIDE)


def length_of(alert: Alert) -> dt.timedelta:
    return alert.window_minutes * MINUTE


def is_compared(alert: Alert) -> bool:
    return alert.compare_with == CompareWith.BEFORE


def projects_of(alerts: Iterable[Alert]) -> dict[UUID, list[UUID]]:
    """The projects each rule watches, by the rule's id: its own, or all of its organisation. One query, none when
    every rule has a project."""
    alerts = list(alerts)
    wide = {alert.organization_id for alert in alerts if alert.project_id is None}
    known: dict[UUID, list[UUID]] = defaultdict(list)
    if wide:
        rows = Project.objects.filter(organization_id__in=sorted(wide)).exclude(
            status=Project.Status.DELETING
        )
        for organization_id, project_id in rows.order_by("pk").values_list("organization_id", "pk"):
            known[organization_id].append(project_id)
    return {
        alert.pk: [alert.project_id] if alert.project_id else known[alert.organization_id]
        for alert in alerts
    }


def scope_of(alert: Alert, project_id: UUID) -> Scope:
    return Scope(
        project_id,
        provider=alert.provider,
        model=alert.model,
        environment=alert.environment,
        agent=alert.agent,
        user=alert.user_id,
        tag=alert.tag,
    )


def windows_of(asks: Sequence[Ask], *, with_latency: bool = False) -> list[Window | None]:
    """What is known of each window, in their order; None: its minutes are not summed up yet, so nothing can be said.

    Three queries, four with rules of whole organisations, however many rules and calls.
    """
    if not asks:
        return []
    projects = projects_of({ask.alert.pk: ask.alert for ask in asks}.values())
    ids = {project_id for found in projects.values() for project_id in found}
    # The newest end: what is covered is cut to each window's own.
    covered = coverage(ids, end=max(ask.end for ask in asks))
    planned = [_plan(ask, projects[ask.alert.pk], covered) for ask in asks]
    flat = [(place, one) for place, plan in enumerate(planned) for one in plan or ()]
    sums = summed([stretch for _, (stretch, _) in flat], with_latency=with_latency)
    parts: dict[int, list[Window]] = defaultdict(list)
    for (place, (_, start)), window in zip(flat, sums, strict=True):
        parts[place].append(
            Window(start, window.end, window.sums, window.latency, window.lag_seconds)
        )
    found: list[Window | None] = []
    for place, (ask, plan) in enumerate(zip(asks, planned, strict=True)):
        empty = Window(ask.end - ask.length, ask.end)
        found.append(None if plan is None else reduce(add, parts[place]) if plan else empty)
    return found


Plan = list[tuple[list[Segment], dt.datetime]]


def _plan(ask: Ask, project_ids: Sequence[UUID], covered: Mapping[UUID, Covered]) -> Plan | None:
    """The stretches of each project; None when one of them is not there yet: a part is not the whole."""
    found: Plan = []
    for project_id in project_ids:
        part = _stretches(ask, scope_of(ask.alert, project_id), covered[project_id])
        if part is None:
            return None
        found.append(part)
    return found


def _stretches(ask: Ask, scope: Scope, known: Covered) -> tuple[list[Segment], dt.datetime] | None:
    end = min(ask.end, known.until)
    if ask.end - end > LATE:
        return None
    start = end - ask.length
    if not ask.has_arrived:
        return segments(scope, start, end, known.since_of(scope))
    since = known.arrived_since
    if known.is_unused:
        since = start
    if since is None or since >= end:
        return None
    start = max(start, since)
    return arrivals(scope, start, end), start


def last_minute(now: dt.datetime) -> dt.datetime:
    """Where the windows of an evaluation end."""
    return floor_minute(now)
