"""Hourly and daily sums: computed from exactly the records written or removed, applied in one sorted upsert."""

import datetime as dt
import operator
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.histogram import BUCKETS, bucket_of, to_text
from costs.models import BY_FIELDS
from costs.services.rows import CostRow

ZERO = Decimal(0)
# hour, dimension, value, provider, model, environment, agent
Key = tuple[dt.datetime, str, str, str, str, str, str]
_COUNTS = (
    "calls",
    "errors",
    "unpriced_calls",
    "estimated_calls",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "latency_calls",
    "first_token_calls",
)


class Sums:
    """What one aggregate row grows by."""

    __slots__ = (
        "cost_usd",
        "counts",
        "first_token_counts",
        "first_token_ms",
        "latency_counts",
        "latency_ms",
    )

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.cost_usd = Decimal(0)
        self.latency_ms = 0.0
        self.first_token_ms = 0.0
        self.latency_counts: dict[int, int] = {}
        self.first_token_counts: dict[int, int] = {}


Deltas = dict[Key, Sums]


def _dimensions(row: CostRow) -> list[tuple[str, str]]:
    """Where a call counts besides ALL."""
    found = [
        (name, value)
        for name, value in (
            ("user", row.user_id),
            ("prompt_version", row.prompt_version),
            ("feature", row.feature),
            ("error_type", row.error_type),
            ("service_tier", row.service_tier),
            ("operation", row.operation),
        )
        if value
    ]
    if row.api_key_id:
        found.append(("api_key", str(row.api_key_id)))
    if row.tags:
        found += [("tag", tag) for tag in set(row.tags)]
    return found


def add(deltas: Deltas, rows: Iterable[CostRow], *, sign: int = 1) -> None:
    """Add (or with sign -1 take away) each record's share in every dimension it belongs to."""
    for row in rows:
        hour = row.occurred_at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        latency, first = row.latency_ms, row.first_token_ms
        counts = (
            sign,
            sign * row.is_error,
            sign * (row.cost_usd is None),
            sign * row.is_estimated,
            sign * (row.input_tokens or 0),
            sign * (row.output_tokens or 0),
            sign * row.cache_read_input_tokens,
            sign * row.cache_write_input_tokens,
            sign * row.reasoning_output_tokens,
            sign * (latency is not None),
            sign * (first is not None),
        )
        cost = sign * row.cost_usd if row.cost_usd is not None else None
        tail = (row.provider, row.model, row.environment, row.agent)
        whole = _grow(deltas, (hour, "all", "", *tail), counts, cost)
        for dimension, value in _dimensions(row):
            _grow(deltas, (hour, dimension, value, *tail), counts, cost)
        if latency is not None:
            whole.latency_ms += sign * latency
            bucket = bucket_of(latency)
            whole.latency_counts[bucket] = whole.latency_counts.get(bucket, 0) + sign
        if first is not None:
            whole.first_token_ms += sign * first
            bucket = bucket_of(first)
            whole.first_token_counts[bucket] = whole.first_token_counts.get(bucket, 0) + sign


_UNPRICED = _COUNTS.index("unpriced_calls")


def add_new_price(deltas: Deltas, row: CostRow, *, before: Decimal | None) -> None:
    """Change a counted record's share: it cost `before`, now it costs what `row` says."""
    hour = row.occurred_at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    counts = [0] * len(_COUNTS)
    counts[_UNPRICED] = (row.cost_usd is None) - (before is None)
    cost = (row.cost_usd or ZERO) - (before or ZERO)
    tail = (row.provider, row.model, row.environment, row.agent)
    for dimension, value in (("all", ""), *_dimensions(row)):
        _grow(deltas, (hour, dimension, value, *tail), counts, cost)


def _grow(deltas: Deltas, key: Key, counts: Sequence[int], cost: Decimal | None) -> Sums:
    sums = deltas.get(key)
    if sums is None:
        sums = deltas[key] = Sums()
        sums.counts = list(counts)
    else:
        sums.counts = list(map(operator.add, sums.counts, counts))
    if cost is not None:
        sums.cost_usd += cost
    return sums


_KEY_COLUMNS = ("hour", "dimension", "value", "provider", "model", "environment", "agent")
_MEASURES = ("cost_usd", "latency_ms", "first_token_ms")
_VECTORS = ("latency_counts", "first_token_counts")
_COLUMNS = (*_KEY_COLUMNS, *_COUNTS, *_MEASURES, *_VECTORS)
_TYPES = (
    ["timestamptz", *["text"] * 6]
    + ["bigint"] * len(_COUNTS)
    + ["numeric", "float8", "float8", "text", "text"]
)
_GROW = ", ".join(
    [f"{name} = a.{name} + excluded.{name}" for name in (*_COUNTS, *_MEASURES)]
    # A vector and NULL together are NULL; a row without such calls has none.
    + [
        f"{name} = coalesce(a.{name} + excluded.{name}, a.{name}, excluded.{name})"
        for name in _VECTORS
    ]
)
_FIELDS = ("provider", "model", "environment", "agent")
_DAY = "date_trunc('day', d.hour, 'UTC')"
_UPSERT = f"""
WITH d AS (
  SELECT {", ".join(_COLUMNS[: -len(_VECTORS)])},
    {", ".join(f"{name}::sparsevec({BUCKETS})::vector({BUCKETS}) AS {name}" for name in _VECTORS)}
  FROM unnest({", ".join(f"%s::{kind}[]" for kind in _TYPES)}) AS u({", ".join(_COLUMNS)})
), hours AS (
  INSERT INTO costs_costaggregate AS a (project_id, {", ".join(_COLUMNS)})
  SELECT %s, {", ".join(f"d.{name}" for name in _COLUMNS)} FROM d
  ON CONFLICT (project_id, {", ".join(_KEY_COLUMNS)}) DO UPDATE SET {_GROW}
)
INSERT INTO costs_costdailyaggregate AS a (project_id, {", ".join(_COLUMNS)})
SELECT %s, day, dimension || CASE WHEN dimension <> 'all' AND grouping(provider) = 0 THEN '{BY_FIELDS}' ELSE '' END,
  value, {", ".join(f"coalesce({name}, '')" for name in _FIELDS)},
  {", ".join(f"sum({name})" for name in (*_COUNTS, *_MEASURES, *_VECTORS))}
FROM (SELECT {_DAY} AS day, d.* FROM d) one
GROUP BY GROUPING SETS ((day, dimension, value, {", ".join(_FIELDS)}), (day, dimension, value))
HAVING dimension <> 'all' OR grouping(provider) = 0 ORDER BY 3, 2, 4, 5, 6, 7, 8
ON CONFLICT (project_id, {", ".join(_KEY_COLUMNS)}) DO UPDATE SET {_GROW}
"""  # noqa: S608


def apply(cursor: Any, *, project_id: UUID, deltas: Deltas) -> None:
    """One statement, rows sorted by key (hours by us, days by PostgreSQL), so that two writers never wait for each
    other in a circle."""
    if not deltas:
        return
    items = sorted(deltas.items(), key=lambda item: item[0])
    keys = [list(column) for column in zip(*(key for key, _ in items), strict=True)]
    numbers: list[Sequence[object]] = [*zip(*(sums.counts for _, sums in items), strict=True)]
    numbers.append([sums.cost_usd for _, sums in items])
    numbers.append([sums.latency_ms for _, sums in items])
    numbers.append([sums.first_token_ms for _, sums in items])
    # Written here: psycopg would look at each number's type, half of this function's time.
    written = [f"{{{','.join(map(str, column))}}}" for column in numbers]
    vectors = [
        [to_text(sums.latency_counts) for _, sums in items],
        [to_text(sums.first_token_counts) for _, sums in items],
    ]
    cursor.execute(_UPSERT, [*keys, *written, *vectors, project_id, project_id])
