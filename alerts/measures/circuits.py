"""Rules about circuit breakers: how long a connection's circuit has been open for a model, one incident per circuit."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from alerts.figures import lasted, span
from alerts.measures.base import Evidence, History, Point, Reading
from alerts.measures.planning import MINUTE
from alerts.models import Alert, AlertKind
from core import formats
from gateway.models import CircuitOpening, Connection

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# An opening that ended within this is still told of: rules are judged each minute, a circuit may be open for seconds.
JUST = dt.timedelta(seconds=90)
# So long a circuit that closed has a reading of nothing, so that its rule recovers; a rule may wait for seven days.
AFTER = 8 * DAY
SHOWN = 4
_OFF = "The connection was switched off."


class CircuitMeasure:
    """Minutes, each begun one counting: limits of 1 tell of every opening."""

    kind: str = AlertKind.CIRCUIT_OPEN
    label = "Circuit open"
    unit = "minutes"
    help = (
        "How long the gateway has passed a connection's model by because its calls failed, in minutes begun:"
        " 1 tells of every opening."
    )
    fields = frozenset({"provider", "model", "recover"})
    # Complete each time: what has no reading any more is over.
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each circuit of each rule that is open or was lately. One query."""
        rows = _openings(alerts, now - AFTER, now)
        newest: dict[tuple[UUID, str], CircuitOpening] = {}
        for row in rows:
            newest[row.connection_id, row.model] = row
        return [
            _reading(alert, row, now)
            for alert in alerts
            for row in newest.values()
            if _watches(alert, row)
        ]

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """The longest opening of each hour, up to its end. One query."""
        rows = [row for row in _openings([alert], start, end) if _watches(alert, row)]
        first = start.replace(minute=0, second=0, microsecond=0) + HOUR
        worst: dict[dt.datetime, Decimal] = {}
        for row in rows:
            closed = row.closed_at or end
            at = max(first, row.opened_at.replace(minute=0, second=0, microsecond=0) + HOUR)
            while at - HOUR <= closed and at - HOUR < end:
                minutes = _minutes(row.opened_at, min(closed, at, end))
                worst[at] = max(worst.get(at, Decimal(0)), minutes)
                at += HOUR
        points, at = [], first
        while at <= end + HOUR:
            if at <= end or at in worst:
                points.append(Point(min(at, end), worst.get(at, Decimal(0))))
            at += HOUR
        return History(points, HOUR, is_coarse=True, note="Drawn is the longest opening of each hour.")  # fmt: skip

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """When it was open lately. Two queries."""
        facts, alert = reading.facts, reading.alert
        rows = CircuitOpening.objects.filter(
            connection_id=str(facts["connection"]),
            model=str(facts["model"]),
            opened_at__gt=now - DAY,
        ).order_by("-opened_at")[:SHOWN]
        shown = [
            (f"{row.opened_at:%Y-%m-%d %H:%M} UTC", f"{_how_long(row)}; {row.why}") for row in rows
        ]
        slug = alert.organization.slug
        url = reverse("gateway:connection_detail", args=[slug, facts["connection"]])
        names = [("Connection", str(facts["name"])), ("Model", str(facts["model"]))]
        return Evidence([*names, *shown], url=url, url_label="Open the connection")


def _openings(alerts: Sequence[Alert], start: dt.datetime, end: dt.datetime) -> list[CircuitOpening]:  # fmt: skip
    """Those that were open in a time, oldest first, with their connections."""
    rows = CircuitOpening.objects.filter(
        Q(closed_at=None) | Q(closed_at__gte=start),
        connection__organization__in={one.organization_id for one in alerts},
        opened_at__lt=end,
    )
    return list(rows.select_related("connection").order_by("opened_at", "pk"))


def _watches(alert: Alert, row: CircuitOpening) -> bool:
    connection: Connection = row.connection
    if connection.organization_id != alert.organization_id:
        return False
    if alert.project_id and connection.project_id not in (None, alert.project_id):
        return False
    providers = {connection.kind, str(connection.settings.get("provider") or "")}
    if alert.provider and alert.provider.lower() not in providers:
        return False
    return not alert.model or alert.model.lower() == row.model.lower()


def _reading(alert: Alert, row: CircuitOpening, now: dt.datetime) -> Reading:
    is_told = row.closed_at is None or row.closed_at > now - JUST
    connection = row.connection
    facts: dict[str, Any] = {
        "connection": str(connection.pk),
        "name": connection.name,
        "model": row.model,
        "why": row.why,
        "opened_at": formats.instant(row.opened_at),
    }
    if not connection.is_enabled:
        facts["gone"] = _OFF
    # A model's name may be longer than the key of a state.
    name = hashlib.sha256(row.model.encode()).hexdigest()[:16]
    return Reading(
        alert,
        _minutes(row.opened_at, row.closed_at or now) if is_told else Decimal(0),
        key=f"{connection.pk}:{name}",
        subject=f"{connection.name}, {row.model}" if row.model else connection.name,
        facts=facts,
    )


def _minutes(start: dt.datetime, end: dt.datetime) -> Decimal:
    """Minutes begun, one at least."""
    return Decimal(max(1, -(-(end - start) // MINUTE)))


def _how_long(row: CircuitOpening) -> str:
    if row.closed_at is None:
        return "still open"
    if row.closed_at - row.opened_at < MINUTE:
        return f"open for {span(0)}"
    return f"open for {lasted(row.opened_at, row.closed_at)}"


CIRCUIT_OPEN = CircuitMeasure()
