"""Hourly and daily sums: computed from exactly the records written or removed, applied in one sorted upsert."""

import datetime as dt
import operator
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from core import prepared
from costs.histogram import BUCKETS, bucket_of, to_text
from costs.models import BY_FIELDS
from costs.services.rows import CostRow

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


# Dimension → the record's column.
_DIMENSION_NAMES = (
    ("user", "user_id"),
    ("prompt_version", "prompt_version"),
    ("feature", "feature"),
    ("error_type", "error_type"),
    ("service_tier", "service_tier"),
    ("operation", "operation"),
)
_DIMENSION_COLUMNS = tuple(column for _, column in _DIMENSION_NAMES)


def _dimensions(row: CostRow) -> list[tuple[str, str]]:
    """Where a call counts besides ALL."""
    found = [(name, value) for name, column in _DIMENSION_NAMES if (value := getattr(row, column))]
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
# Daily rows from hourly ones: each dimension by the fields and, but for ALL, without them.
_DAY_DIMENSION = f"dimension || CASE WHEN dimension <> 'all' AND grouping(provider) = 0 THEN '{BY_FIELDS}' ELSE '' END"
_BY_DAY = f"""GROUP BY GROUPING SETS ((day, dimension, value, {", ".join(_FIELDS)}), (day, dimension, value))
HAVING dimension <> 'all' OR grouping(provider) = 0"""
# CostDay: the days these sums belong to are other days now. Sorted, like everything writers share.
_RAISE_DAYS = """
INSERT INTO costs_costday AS v (project_id, day, version)
SELECT DISTINCT %s::uuid, (hour AT TIME ZONE 'UTC')::date, 1 FROM {days} ORDER BY 2
ON CONFLICT (project_id, day) DO UPDATE SET version = v.version + 1
"""
_UPSERT = f"""
WITH d AS (
  SELECT {", ".join(_COLUMNS[: -len(_VECTORS)])},
    {", ".join(f"{name}::sparsevec({BUCKETS})::vector({BUCKETS}) AS {name}" for name in _VECTORS)}
  FROM unnest({", ".join(f"%s::{kind}[]" for kind in _TYPES)}) AS u({", ".join(_COLUMNS)})
), hours AS (
  INSERT INTO costs_costaggregate AS a (project_id, {", ".join(_COLUMNS)})
  SELECT %s, {", ".join(f"d.{name}" for name in _COLUMNS)} FROM d
  ON CONFLICT (project_id, {", ".join(_KEY_COLUMNS)}) DO UPDATE SET {_GROW}
), versions AS ({_RAISE_DAYS.format(days="d")})
INSERT INTO costs_costdailyaggregate AS a (project_id, {", ".join(_COLUMNS)})
SELECT %s, day, {_DAY_DIMENSION}, value, {", ".join(f"coalesce({name}, '')" for name in _FIELDS)},
  {", ".join(f"sum({name})" for name in (*_COUNTS, *_MEASURES, *_VECTORS))}
FROM (SELECT {_DAY} AS day, d.* FROM d) one
{_BY_DAY} ORDER BY 3, 2, 4, 5, 6, 7, 8
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
    prepared.execute(_UPSERT, [*keys, *written, *vectors, project_id, project_id, project_id])


# What sums need of records that have new prices: this transaction's own table.
NEW_PRICES = "pg_temp.costs_newprice"
_TEXTS = _KEY_COLUMNS[1:]
_SOURCES = (*_FIELDS, *_DIMENSION_COLUMNS)
NEW_PRICE_COLUMNS = ("occurred_at", *_SOURCES, "api_key_id", "tags", "unpriced_calls", "cost_usd")
# Texts in the order of Python's, which `apply` sorts hours by.
_BEGIN_PRICES = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS costs_newprice (occurred_at timestamptz,
  {", ".join(f'{name} text COLLATE "C"' for name in _SOURCES)}, api_key_id uuid, tags text[] COLLATE "C",
  unpriced_calls int, cost_usd numeric) ON COMMIT DELETE ROWS;
DELETE FROM {NEW_PRICES}
"""  # noqa: S608
# `_dimensions` of a record `c`.
_DIMENSIONS = f"""
SELECT * FROM (VALUES ('all', ''), ('api_key', c.api_key_id::text),
  {", ".join(f"('{name}', c.{column})" for name, column in _DIMENSION_NAMES)}) AS v(dimension, value)
WHERE value <> '' OR dimension = 'all'
UNION ALL SELECT DISTINCT 'tag', tag FROM unnest(c.tags) AS tag
"""  # noqa: S608
_NEW_ROW = {
    **dict.fromkeys((*_COUNTS, *_MEASURES), "0"),
    **dict.fromkeys(_VECTORS, "NULL"),
    **{name: f"d.{name}" for name in ("unpriced_calls", "cost_usd")},
}
_INSERT_PRICES = f"""
  SELECT %s, {", ".join(_NEW_ROW.get(name, f"d.{name}") for name in _COLUMNS)} FROM {{table}} d
  ON CONFLICT (project_id, {", ".join(_KEY_COLUMNS)}) DO UPDATE SET
    unpriced_calls = a.unpriced_calls + excluded.unpriced_calls, cost_usd = a.cost_usd + excluded.cost_usd
"""  # noqa: S608
_AS_STORED = ", ".join(f'd.{name} COLLATE "default" AS {name}' for name in _TEXTS)
_APPLY_PRICES = f"""
WITH hours AS MATERIALIZED (
  SELECT date_trunc('hour', c.occurred_at, 'UTC') AS hour, d.dimension COLLATE "C" AS dimension,
    d.value COLLATE "C" AS value, {", ".join(f"c.{name}" for name in _FIELDS)},
    sum(c.unpriced_calls) AS unpriced_calls, sum(c.cost_usd) AS cost_usd
  FROM {NEW_PRICES} c CROSS JOIN LATERAL ({_DIMENSIONS}) d
  GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
), days AS MATERIALIZED (
  SELECT day AS hour, {_DAY_DIMENSION} AS dimension, value,
    {", ".join(f"coalesce({name}, '') AS {name}" for name in _FIELDS)},
    sum(unpriced_calls) AS unpriced_calls, sum(cost_usd) AS cost_usd
  FROM (SELECT {_DAY} AS day, {_AS_STORED}, d.unpriced_calls, d.cost_usd FROM hours d) one
  {_BY_DAY} ORDER BY 2, 1, 3, 4, 5, 6, 7
), written AS (
  INSERT INTO costs_costaggregate AS a (project_id, {", ".join(_COLUMNS)}) {_INSERT_PRICES.format(table="hours")}
), versions AS ({_RAISE_DAYS.format(days="days")})
INSERT INTO costs_costdailyaggregate AS a (project_id, {", ".join(_COLUMNS)}) {_INSERT_PRICES.format(table="days")}
"""  # noqa: S608


def begin_prices(cursor: Any) -> None:
    """An empty NEW_PRICES, for this transaction."""
    cursor.execute(_BEGIN_PRICES)


def apply_prices(cursor: Any, *, project_id: UUID) -> None:
    """Let the sums grow by NEW_PRICES. One statement, rows in the order of `apply`."""
    cursor.execute(_APPLY_PRICES, [project_id, project_id, project_id])
