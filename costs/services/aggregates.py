"""Hourly sums: computed from exactly the records that were written or removed, applied in one sorted upsert."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.histogram import BUCKETS, bucket_of
from costs.models import Dimension
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
)


class Sums:
    """What one aggregate row grows by."""

    __slots__ = ("cost_usd", "counts", "histogram", "latency_ms")

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.cost_usd = Decimal(0)
        self.latency_ms = 0.0
        self.histogram: dict[int, int] = {}


Deltas = dict[Key, Sums]


def _dimensions(row: CostRow) -> Iterable[tuple[str, str]]:
    yield Dimension.ALL.value, ""
    if row.user_id:
        yield Dimension.USER.value, row.user_id
    if row.api_key_id:
        yield Dimension.API_KEY.value, str(row.api_key_id)
    if row.prompt_version:
        yield Dimension.PROMPT_VERSION.value, row.prompt_version
    if row.feature:
        yield Dimension.FEATURE.value, row.feature
    for tag in sorted(set(row.tags)):
        yield Dimension.TAG.value, tag


def add(deltas: Deltas, rows: Iterable[CostRow], *, sign: int = 1) -> None:
    """Add (or with sign -1 take away) each record's share in every dimension it belongs to."""
    for row in rows:
        hour = row.occurred_at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        counts = (
            1,
            int(row.is_error),
            int(row.cost_usd is None),
            int(row.is_estimated),
            row.input_tokens or 0,
            row.output_tokens or 0,
            row.cache_read_input_tokens,
            row.cache_write_input_tokens,
            row.reasoning_output_tokens,
            int(row.latency_ms is not None),
        )
        tail = (row.provider, row.model, row.environment, row.agent)
        for dimension, value in _dimensions(row):
            sums = deltas.get(key := (hour, dimension, value, *tail))
            if sums is None:
                sums = deltas[key] = Sums()
            own = sums.counts
            for index, count in enumerate(counts):
                own[index] += sign * count
            if row.cost_usd is not None:
                sums.cost_usd += sign * row.cost_usd
            if row.latency_ms is not None:
                sums.latency_ms += sign * row.latency_ms
                if dimension == Dimension.ALL.value:
                    bucket = bucket_of(row.latency_ms)
                    sums.histogram[bucket] = sums.histogram.get(bucket, 0) + sign


_KEY_COLUMNS = ("hour", "dimension", "value", "provider", "model", "environment", "agent")
_UPSERT = f"""
INSERT INTO costs_costaggregate AS a (project_id, {", ".join(_KEY_COLUMNS)}, {", ".join(_COUNTS)},
  cost_usd, latency_ms, latency_histogram)
SELECT %s, {", ".join(f"d.{name}" for name in (*_KEY_COLUMNS, *_COUNTS))},
  d.cost_usd, d.latency_ms, d.histogram::bigint[]
FROM unnest(
  %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
  {", ".join("%s::bigint[]" for _ in _COUNTS)}, %s::numeric[], %s::float8[], %s::text[]
) AS d({", ".join(_KEY_COLUMNS)}, {", ".join(_COUNTS)}, cost_usd, latency_ms, histogram)
ON CONFLICT (project_id, {", ".join(_KEY_COLUMNS)}) DO UPDATE SET
  {", ".join(f"{name} = a.{name} + excluded.{name}" for name in _COUNTS)},
  cost_usd = a.cost_usd + excluded.cost_usd,
  latency_ms = a.latency_ms + excluded.latency_ms,
  latency_histogram = llmlab_add_counts(a.latency_histogram, excluded.latency_histogram)
"""  # noqa: S608


def apply(cursor: Any, *, project_id: UUID, deltas: Deltas) -> None:
    """One statement, rows sorted by key, so that two writers never wait for each other in a circle."""
    if not deltas:
        return
    items = sorted(deltas.items(), key=lambda item: item[0])
    columns: list[list[Any]] = [
        [key[index] for key, _ in items] for index in range(len(_KEY_COLUMNS))
    ]
    columns += [[sums.counts[index] for _, sums in items] for index in range(len(_COUNTS))]
    columns.append([sums.cost_usd for _, sums in items])
    columns.append([sums.latency_ms for _, sums in items])
    columns.append([_array(sums.histogram) for _, sums in items])
    cursor.execute(_UPSERT, [project_id, *columns])


def _array(histogram: dict[int, int]) -> str:
    if not histogram:
        return "{}"
    return "{" + ",".join(str(histogram.get(bucket, 0)) for bucket in range(BUCKETS)) + "}"
