"""How providers did in a time, per connection and model: their tries, their circuits, and where calls fell to."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from core.ranges import TimeRange
from gateway.models import Connection
from gateway.routing.health import Circuit, HealthView, Standing
from gateway.routing.lists import connections_of
from projects.models import Project

MOST = 50
MOST_FALLBACKS = 20
# Whose fault an error is, as circuits see it (gateway.routing.health), and refused credentials besides.
_TRIES = """
SELECT connection_id, model, count(*),
  count(*) FILTER (WHERE error IN ('timeout', 'auth') OR error = 'error' AND NOT status BETWEEN 400 AND 499),
  count(*) FILTER (WHERE error = 'rate_limit'),
  percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ms) FILTER (WHERE error = ''), max(until)
FROM (
  SELECT coalesce((t ->> 'connection')::uuid, r.connection_id) AS connection_id,
    coalesce(t ->> 'model', nullif(r.target_model, ''), r.model) AS model, coalesce(t ->> 'error', '') AS error,
    (t ->> 'status')::int AS status, (t ->> 'until')::float8 AS until,
    CASE WHEN t IS NULL THEN r.provider_ms ELSE (t ->> 'ms')::float8 END AS ms
  FROM gateway_llmrequest r LEFT JOIN LATERAL jsonb_array_elements(r.tries) t ON true
  WHERE r.project_id = %s AND r.accepted_at >= %s AND r.accepted_at < %s AND r.attempts > 0
) tried
WHERE error <> 'cancelled' GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT %s
"""
_FALLBACKS = """
SELECT connection, model, next_connection, next_model, error, count(*), max(accepted_at)
FROM (
  SELECT r.accepted_at, t.one ->> 'connection' AS connection, t.one ->> 'model' AS model,
    coalesce(t.one ->> 'error', '') AS error, lead(t.one ->> 'connection') OVER calls AS next_connection,
    lead(t.one ->> 'model') OVER calls AS next_model
  FROM gateway_llmrequest r CROSS JOIN LATERAL jsonb_array_elements(r.tries) WITH ORDINALITY AS t(one, place)
  WHERE r.project_id = %s AND r.accepted_at >= %s AND r.accepted_at < %s AND r.tries IS NOT NULL
    AND r.fallbacks > 0 AND t.one -> 'is_hedge' IS NULL
  WINDOW calls AS (PARTITION BY r.id ORDER BY t.place)
) tried
WHERE next_connection IS NOT NULL AND (connection, model) <> (next_connection, next_model)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 7 DESC LIMIT %s
"""
GONE = "A connection that is gone"


@dataclass(frozen=True)
class Tried:
    """The tries of one target in a time. `failed`: time-outs, 5xx, broken connections, refused credentials."""

    connection: str  # id without dashes
    model: str
    tries: int = 0
    failed: int = 0
    limited: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    until: float = 0.0  # the latest moment a rate limit named


@dataclass(frozen=True)
class TargetRow:
    """A target as pages show it."""

    tried: Tried
    name: str  # the connection's
    is_known: bool
    standing: Standing
    circuit: Circuit | None
    limited_until: dt.datetime | None

    @property
    def connection_id(self) -> UUID:
        return UUID(self.tried.connection)

    @property
    def failed_share(self) -> float | None:
        return self.tried.failed / self.tried.tries if self.tried.tries else None

    @property
    def open_since(self) -> dt.datetime | None:
        if self.circuit is None:
            return None
        return dt.datetime.fromtimestamp(self.circuit.since, dt.UTC)


@dataclass(frozen=True)
class Way:
    """From which target to which calls fell, and why."""

    connection: str
    model: str
    next_connection: str
    next_model: str
    error: str
    calls: int
    last_at: dt.datetime


def tried_in(project_id: UUID, period: TimeRange) -> list[Tried]:
    """The busiest targets. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIES, [project_id, period.start, period.end, MOST])
        rows = cursor.fetchall()
    found = []
    for connection_id, model, tries, failed, limited, both, until in rows:
        if connection_id is not None:
            p50, p95 = both or (None, None)
            place = (connection_id.hex, model)
            found.append(Tried(*place, tries, failed, limited, p50, p95, until or 0.0))
    return found


def fallbacks_in(project_id: UUID, period: TimeRange) -> list[Way]:
    """The most frequent first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_FALLBACKS, [project_id, period.start, period.end, MOST_FALLBACKS])
        return [Way(*row) for row in cursor.fetchall()]


def callable_connections(project: Project) -> dict[str, Connection]:
    """By id without dashes: those this project may call. One query."""
    return {one.pk.hex: one for one in connections_of(project)}


def rows_of(
    tried: Sequence[Tried],
    health: HealthView,
    connections: Mapping[str, Connection],
    *,
    now: dt.datetime,
) -> list[TargetRow]:
    """What was tried, and circuits that are open without it, what needs looking at first (pure). Only of connections
    that the project may call or has called: the health is everybody's."""
    known: dict[tuple[str, str], Tried] = {(one.connection, one.model): one for one in tried}
    for place in (*health.circuits, *health.rests):
        if place[0] in connections:
            known.setdefault(place, Tried(*place))
    rows = [_row(one, health, connections, now) for one in known.values()]
    return sorted(rows, key=_urgency)


def _row(
    tried: Tried, health: HealthView, connections: Mapping[str, Connection], now: dt.datetime
) -> TargetRow:
    place = (tried.connection, tried.model)
    found = connections.get(tried.connection)
    until = max(tried.until, health.rests.get(place, 0.0) if found else 0.0)
    is_limited = until > now.timestamp()
    return TargetRow(
        tried,
        found.name if found else GONE,
        found is not None,
        health.standing(*place, now.timestamp()) if found else "closed",
        health.circuits.get(place) if found else None,
        dt.datetime.fromtimestamp(until, dt.UTC) if is_limited else None,
    )


def _urgency(row: TargetRow) -> Any:
    closed = {"open": 0, "half_open": 1, "closed": 2}[row.standing]
    return (closed, row.limited_until is None, -row.tried.tries, row.name, row.tried.model)
