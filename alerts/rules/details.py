"""What the page of one rule shows beyond its row: its states, its course with the incidents, who changed it."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from accounts.models import AuditEvent
from alerts.measures.base import History
from alerts.measures.registry import measure_for
from alerts.models import Alert, AlertEvent, AlertState, StateStatus
from alerts.rules.charts import Drawing, course, days_before
from alerts.rules.overview import Row, rows_of
from alerts.rules.preview import DAYS
from alerts.rules.words import detail_words, value_of
from core.cursors import decode_place, encode_place
from core.errors import DomainError

STATES = 200
EVENTS = 20
CHANGES = 20


@dataclass(frozen=True)
class Place:
    """Where a rule stands about one thing."""

    state: AlertState
    value: str
    level: str


@dataclass(frozen=True)
class Change:
    """One line of the audit trail about a rule, in words."""

    at: dt.datetime
    what: str
    more: str
    by: str


@dataclass(frozen=True)
class Detail:
    """All of it. `drawing` is None when no domain feeds the rule's kind."""

    row: Row
    places: list[Place]
    place_count: int
    events: list[AlertEvent]
    changes: list[Change]
    drawing: Drawing | None
    has_values: bool
    note: str
    facts: list[tuple[str, str]]


def detail_of(alert: Alert, now: dt.datetime) -> Detail:
    """Nine queries and those of its measure's history."""
    row = rows_of([alert], now=now)[0]
    start = days_before(now, DAYS)
    incidents = AlertEvent.objects.filter(alert=alert)
    events = list(incidents.order_by("-fired_at").defer("evidence")[:EVENTS])
    history = _history(alert, start, now)
    drawing, has_values = None, False
    if history is not None:
        has_values = any(one.value is not None for one in history.points)
        # Not those of the list, which is cut: the chart and its words are about all of them.
        fired = list(incidents.filter(fired_at__gte=start).values_list("fired_at", flat=True))
        drawing = course(
            alert, history.points, start=start, end=now, summary=_summary(row, len(fired)), fired=fired
        )  # fmt: skip
    return Detail(
        row,
        [_place(alert, one) for one in states_of(alert)[:STATES]],
        row.keys,
        events,
        changes_of(alert),
        drawing,
        has_values,
        history.note if history else "",
        detail_words(alert),
    )


def _history(alert: Alert, start: dt.datetime, now: dt.datetime) -> History | None:
    try:
        return measure_for(alert.kind).history(alert, start, now)
    except DomainError:
        return None


def _summary(row: Row, fired: int) -> str:
    times = {0: "It did not fire", 1: "It fired once"}.get(fired, f"It fired {fired} times")
    return f"{row.alert.name}: {row.condition}. {times} in the last {DAYS} days."


def states_of(alert: Alert) -> "QuerySet[Any]":
    """Where the rule stands about each thing, what fires first. One query."""
    order = [StateStatus.FIRING, StateStatus.PENDING, StateStatus.NO_DATA, StateStatus.OK]
    ranks = [When(status=one, then=Value(place)) for place, one in enumerate(order)]
    return (
        AlertState.objects.filter(alert=alert)
        .annotate(rank=Case(*ranks, default=Value(9), output_field=IntegerField()))
        .order_by("rank", "subject", "key")
    )


def states_page(alert: Alert, *, limit: int, after: str) -> tuple[list[AlertState], str]:
    """The same for programs, in pages by keyset, and where the next one begins ("": no more). One query. Raises
    InvalidCursorError."""
    rows = states_of(alert).order_by("rank", "key")
    if after:
        rank, key = decode_place(after, sort="rank", kind=int)
        rows = rows.filter(Q(rank__gt=rank) | Q(rank=rank, key__gt=key))
    found = list(rows[: limit + 1])
    if len(found) <= limit:
        return found, ""
    last = found[limit - 1]
    return found[:limit], encode_place("rank", last.rank, last.key)


def _place(alert: Alert, state: AlertState) -> Place:
    is_level = 0 <= state.level < len(alert.levels)
    severity = str(alert.levels[state.level]["severity"]) if is_level else ""
    return Place(state, value_of(alert, state.value), severity)


_WHAT = {
    "created": "Made",
    "changed": "Changed",
    "enabled": "Switched on",
    "disabled": "Switched off",
    "muted": "Muted",
    "unmuted": "Telling again",
}


def changes_of(alert: Alert) -> list[Change]:
    """Who changed the rule, newest first. One query, bounded by what an organisation's audit trail holds of rules."""
    rows = AuditEvent.objects.filter(
        organization_id=alert.organization_id,
        action__startswith="alerts.alert.",
        data__alert=str(alert.pk),
    ).select_related("actor")
    return [_change(one) for one in rows.order_by("-created_at", "-id")[:CHANGES]]


def _change(one: AuditEvent) -> Change:
    verb = one.action.rpartition(".")[2]
    more = ""
    if before := one.data.get("before"):
        more = ", ".join(name.replace("_", " ") for name in before)
    elif verb == "created":
        more = str(one.data.get("condition", ""))
    elif verb == "muted":
        more = f"until {one.data.get('until')}"
    by = (one.actor.name or one.actor.email) if one.actor else one.actor_label
    return Change(one.created_at, _WHAT.get(verb, verb), more, by)
