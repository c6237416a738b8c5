"""Reading records that may be priced again, and writing their new prices: a few statements per thousands of records.

Rows travel as one JSON text each way: cell by cell psycopg would spend more time on them than PostgreSQL. What sums
need of a record never leaves the database.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from costs.breakdown import compact
from costs.pricing import Priced
from costs.services.aggregates import NEW_PRICE_COLUMNS, NEW_PRICES
from costs.services.record_costs import TABLE
from costs.services.rows import IS_ONE_OF, KEY, SPARSE


class StoredCall(msgspec.Struct, array_like=True):
    """What the price of a stored record depends on, what it is now, and where its copies are."""

    record_id: str
    occurred_at: dt.datetime
    trace_id: str
    span_id: str
    provider: str
    model: str
    request_model: str
    service_tier: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    reasoning_output_tokens: int
    price_status: str
    unpriced_reason: str
    cost_usd: Decimal | None
    client_cost_usd: Decimal | None
    price_source: str
    matched_model: str
    usage_convention: str
    flags: list[str]
    usage_extra: str | None  # JSON text
    breakdown: str  # JSON text; "" where costs.services.facts has no use for it


class NewPrice(msgspec.Struct):
    """One line of what `write` sends."""

    record_id: str
    occurred_at: dt.datetime
    price_status: str
    unpriced_reason: str
    cost_usd: Decimal | None
    breakdown: str
    price_source: str
    matched_model: str
    flags: list[str]
    cost_before: Decimal | None
    status_before: str


News = list[tuple[StoredCall, Priced]]

_ROWS = msgspec.json.Decoder(list[StoredCall])
_FIELDS = {
    "record_id": KEY,
    "cost_usd": "c.cost_usd::text",
    "client_cost_usd": "c.client_cost_usd::text",
    "usage_extra": "c.usage_extra::text",
    "breakdown": "CASE WHEN c.usage_extra IS NULL AND c.breakdown::text ~ '_audio|_image|cache_write_|web_search'"
    " THEN c.breakdown::text ELSE '' END",
}
_FIELDS |= {name: f"coalesce(c.{name}, {usual})" for name, usual in SPARSE.items()}
_SELECTED = ", ".join(_FIELDS.get(name, f"c.{name}") for name in StoredCall.__struct_fields__)
_READ = f"""
SELECT json_agg(json_build_array({_SELECTED}) ORDER BY c.occurred_at, {KEY})::text
FROM (
  SELECT * FROM {TABLE} c
  WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s
    AND (c.occurred_at > %s OR {KEY} > %s)
    AND (%s::text IS NULL OR (c.provider = %s AND c.model = %s))
    AND (NOT %s OR c.price_status IN ('unpriced', 'partial'))
  ORDER BY c.occurred_at, {KEY} LIMIT %s
) c
"""  # noqa: S608
_READ_AGAIN = f"""
SELECT json_agg(json_build_array({_SELECTED}))::text FROM {TABLE} c
WHERE c.project_id = %s AND c.occurred_at BETWEEN %s AND %s AND {KEY} = ANY(%s) AND {IS_ONE_OF}
"""  # noqa: S608
# Only where the price is still the one that was read: so the differences added to the sums are exact without having
# locked the records first. Sums grow by them at the end of the transaction (aggregates.apply_prices). The time is
# compared so that no index by time is used for it: thousands of records may be of one moment.
_WRITE = f"""
WITH k AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%s::jsonb) AS k(record_id text, occurred_at timestamptz, price_status text,
    unpriced_reason text, cost_usd numeric, breakdown jsonb, price_source text, matched_model text,
    flags varchar(40)[], cost_before numeric, status_before text)
), u AS (
  UPDATE {TABLE} c SET price_status = k.price_status, unpriced_reason = k.unpriced_reason, cost_usd = k.cost_usd,
    breakdown = k.breakdown, price_source = k.price_source, matched_model = k.matched_model, flags = k.flags
  FROM k
  WHERE c.project_id = %s AND {KEY} = k.record_id AND c.occurred_at IS NOT DISTINCT FROM k.occurred_at
    AND uuid_hash_extended(c.project_id, hashtextextended({KEY}, 0))
      = uuid_hash_extended(%s::uuid, hashtextextended(k.record_id, 0))
    AND c.occurred_at BETWEEN %s AND %s
    AND c.cost_usd IS NOT DISTINCT FROM k.cost_before AND c.price_status = k.status_before
  RETURNING c.*, k.record_id AS key, (k.cost_usd IS NULL)::int - (k.cost_before IS NULL)::int AS unpriced_calls,
    coalesce(k.cost_usd, 0) - coalesce(k.cost_before, 0) AS cost_more
), noted AS (
  INSERT INTO {NEW_PRICES} ({", ".join(NEW_PRICE_COLUMNS)})
  SELECT {", ".join(NEW_PRICE_COLUMNS[:-1])}, cost_more FROM u WHERE unpriced_calls <> 0 OR cost_more <> 0
)
SELECT count(*), CASE WHEN count(*) < %s THEN array_agg(u.key) END FROM u
"""  # noqa: S608


def read_day(
    cursor: Any,
    *,
    project_id: UUID,
    start: dt.datetime,
    end: dt.datetime,
    place: tuple[dt.datetime, str],
    model: tuple[str, str] | None,
    only_unpriced: bool,
    limit: int,
) -> list[StoredCall]:
    """The next records of [start, end) after `place`, by time and id. One query, no lock."""
    provider, name = model or (None, None)
    cursor.execute(
        _READ,
        [project_id, start, end, *place, provider, provider, name, only_unpriced, limit],
    )
    return _decoded(cursor)


def read_again(cursor: Any, *, project_id: UUID, rows: Sequence[StoredCall]) -> list[StoredCall]:
    """`rows` as they are now; those that are gone are left out. One query."""
    moments = [row.occurred_at for row in rows]
    ids = [row.record_id for row in rows]
    cursor.execute(_READ_AGAIN, [project_id, min(moments), max(moments), ids, project_id, ids])
    return _decoded(cursor)


def _decoded(cursor: Any) -> list[StoredCall]:
    (text,) = cursor.fetchone()
    return _ROWS.decode(text) if text else []


def write(cursor: Any, *, project_id: UUID, news: News) -> tuple[News, News]:
    """Write the new prices and note what sums grow by. Returns what was written, and what was not because the record
    has another price by now or is gone. One statement."""
    lines = [_line(row, priced) for row, priced in news]
    moments = [row.occurred_at for row, _ in news]
    text = msgspec.json.encode(lines).decode()
    window = [min(moments), max(moments)]
    cursor.execute(_WRITE, [text, project_id, project_id, *window, len(news)])
    count, ids = cursor.fetchone()
    if count == len(news):
        return news, []
    written = set(ids or ())
    return (
        [item for item in news if item[0].record_id in written],
        [item for item in news if item[0].record_id not in written],
    )


def _line(row: StoredCall, priced: Priced) -> NewPrice:
    """The new price as costs.services.rows.cost_row would have written it."""
    return NewPrice(
        row.record_id,
        row.occurred_at,
        priced.status,
        priced.unpriced_reason[:40],
        priced.cost_usd,
        compact(priced.breakdown),
        priced.price_source[:80],
        priced.matched_model[:200],
        [flag[:40] for flag in priced.flags],
        row.cost_usd,
        row.price_status,
    )
