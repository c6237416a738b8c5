"""One incident as its page shows it: figures, course, causes, timeline, messages, and those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from alerts import figures, phrases, wording
from alerts.events import charts
from alerts.events.deliveries import REPLAYABLE
from alerts.events.evidence import read_evidence
from alerts.measures.base import Cause
from alerts.models import (
    Alert,
    AlertEvent,
    AlertKind,
    Delivery,
    DeliveryState,
    Direction,
    EventEntry,
    Severity,
)

MOST_ENTRIES = 200
MOST_DELIVERIES = 50
MOST_BEFORE = 5
# Both the trace list and the explorer are narrowed by these names.
_FILTERS = {
    name: name for name in ("provider", "model", "agent", "environment", "user", "tag", "feature")
} | {"user_id": "user"}


@dataclass(frozen=True)
class Figures:
    """Value and limit in words, and by how much they differ; empty what is unknown."""

    value: str
    limit: str
    over: str


@dataclass(frozen=True)
class ShownCause:
    """A part of the value; `href` shows its calls where a page can."""

    cause: Cause
    href: str


@dataclass(frozen=True)
class ShownDelivery:
    """A message and what may be done about it. `told`: the one message it was folded into."""

    row: Delivery
    told: Delivery | None

    @property
    def state(self) -> str:
        return (self.told or self.row).state

    @property
    def attempts(self) -> int:
        return (self.told or self.row).attempts

    @property
    def may_replay(self) -> bool:
        return self.told is None and self.row.state in REPLAYABLE

    @property
    def may_cancel(self) -> bool:
        return self.told is None and self.row.state == DeliveryState.WAITING


@dataclass(frozen=True)
class Detail:
    """Everything of one incident."""

    event: AlertEvent
    figures: Figures
    rows: Sequence[tuple[str, str]]
    causes: Sequence[ShownCause]
    url: str
    url_label: str
    drawing: charts.Drawing | None
    entries: Sequence[EventEntry]
    deliveries: Sequence[ShownDelivery]
    before: Sequence[AlertEvent]

    @property
    def dead(self) -> int:
        """How many messages were given up."""
        return sum(one.row.state == DeliveryState.DEAD for one in self.deliveries)


def detail_of(event: AlertEvent) -> Detail:
    """At most five queries, whatever happened."""
    found = read_evidence(event.evidence)
    return Detail(
        event=event,
        figures=figures_of(event),
        rows=found.rows,
        causes=[ShownCause(one, cause_url(found.url, one)) for one in found.causes],
        url=found.url,
        url_label=found.url_label or "See the calls",
        drawing=_course(event, found.points),
        entries=entries_of(event),
        deliveries=deliveries_of(event),
        before=_before(event),
    )


def figures_of(event: AlertEvent) -> Figures:
    """No query for an incident that came with its rule."""
    counted = figures.COUNTED.get(event.kind, "")
    value, limit = figures.pair(event.value, event.limit, event.unit, counted)
    return Figures(
        value if event.value is not None else "",
        limit if event.limit is not None else "",
        phrases.over(wording.case_of(event, event.alert)),
    )


def cause_url(url: str, cause: Cause) -> str:
    """The filtered page of the incident, narrowed to one cause; empty where it cannot be: only the trace list and the
    explorer can, and what calls do not name (`no user`) is no value to look for."""
    name, parts = _FILTERS.get(cause.dimension), urlsplit(url)
    is_nobody = not cause.value or cause.value in (f"no {cause.dimension}", "an unknown model")
    if not name or is_nobody or not parts.path.endswith(("/traces/", "/costs/")):
        return ""
    pairs = [one for one in parse_qsl(parts.query, keep_blank_values=True) if one[0] != name]
    return parts._replace(query=urlencode([*pairs, (name, cause.value)])).geturl()


def _course(event: AlertEvent, points: Sequence[Any]) -> charts.Drawing | None:
    alert = event.alert
    label = AlertKind(event.kind).label if event.kind in AlertKind.values else event.name
    return charts.course(
        points,
        _limits(event, alert),
        unit=event.unit,
        label=str(label),
        is_below=bool(alert and alert.direction == Direction.BELOW),
    )


def _limits(event: AlertEvent, alert: Alert | None) -> list[tuple[str, Decimal]]:
    """The limit that was passed, then the rule's other levels as they are now."""
    found = []
    if event.limit is not None:
        found.append((f"Limit {figures.figure(event.limit, event.unit)}", event.limit))
    for level in alert.levels if alert else []:
        try:
            limit, severity = Decimal(str(level["limit"])), Severity(level["severity"])
        except (KeyError, TypeError, ValueError, InvalidOperation):
            continue
        if limit != event.limit:
            found.append((f"{severity.label} {figures.figure(limit, event.unit)}", limit))
    return found


def entries_of(event: AlertEvent) -> list[EventEntry]:
    """The timeline, newest first. One query."""
    return list(event.entries.select_related("actor").order_by("-at", "-pk")[:MOST_ENTRIES])


def deliveries_of(
    event: AlertEvent, limit: int = MOST_DELIVERIES, *, before: int | None = None
) -> list[ShownDelivery]:
    """Messages of the incident (with ids below `before`), newest first, with those they were folded into. Two queries
    at most."""
    found_rows = event.deliveries.select_related("channel")
    if before is not None:
        found_rows = found_rows.filter(pk__lt=before)
    rows = list(found_rows.order_by("-pk")[:limit])
    groups = {one: _group(one) for one in rows}
    wanted = [one for one in groups.values() if one]
    found = {}
    if wanted:
        told = Delivery.objects.filter(
            organization=event.organization_id, message_id__in=wanted
        ).select_related("channel")
        found = {str(one.message_id): one for one in told}
    return [ShownDelivery(one, found.get(group)) for one, group in groups.items()]


def _group(row: Delivery) -> str:
    """The message that was sent instead of this one."""
    extra = row.payload.get("extra") if isinstance(row.payload, dict) else None
    return str(extra.get("group") or "") if isinstance(extra, dict) else ""


def _before(event: AlertEvent) -> list[AlertEvent]:
    """What the same rule said before, newest first. One query, none when the rule is gone."""
    if event.alert_id is None:
        return []
    rows = AlertEvent.objects.filter(alert_id=event.alert_id, organization=event.organization_id)
    rows = rows.exclude(pk=event.pk).filter(fired_at__lte=event.fired_at).defer("evidence")
    return list(rows.order_by("-fired_at", "-pk")[:MOST_BEFORE])
