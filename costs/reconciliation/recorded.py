"""The recorded side: one day of a project in three set-based reads, packed and kept under the day's version.

Classes come from what each record was charged (its breakdown). Records without a price, and the unpriced part of
partly priced ones, come from their token columns. Calls answered by a cache or refused by the provider are left out:
no bill knows them.
"""

import datetime as dt
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from core.formats import plain_decimal
from costs.models import ReconciledFacts
from costs.reconciliation.classes import class_of, tier_of
from costs.reconciliation.facts import Calls, Tokens
from costs.reconciliation.names import canonical

# The names of a call as it was sent: provider, model, requested model, tier, processing, speed.
_NAMES = """
  extract(hour FROM c.occurred_at AT TIME ZONE 'UTC')::int AS hour, c.provider, c.model, c.request_model,
  c.service_tier, coalesce(c.usage_extra->>'processing', ''), coalesce(c.usage_extra->>'speed', ''),
  c.price_status = 'client' AS is_stated"""
_FROM = """
FROM costs_costrecord c{joined}
WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s
  AND NOT (c.price_status = 'free' AND c.price_source = '')"""
_WITHOUT = "c.input_tokens IS NULL AND c.output_tokens IS NULL"
_CALLS = f"""
SELECT {_NAMES}, count(*), count(*) FILTER (WHERE {_WITHOUT}), count(*) FILTER (WHERE {_WITHOUT} AND c.is_error),
  count(*) FILTER (WHERE c.is_estimated OR c.flags && '{{input_unreported,output_unreported}}'),
  coalesce(sum(c.cost_usd), 0)
{_FROM.format(joined="")} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
# A breakdown is a text of lines; records from before that hold a list.
_LINES = """
CROSS JOIN LATERAL (
  SELECT split_part(l, ' ', 1) AS class, split_part(l, ' ', 2)::numeric AS quantity,
    split_part(l, ' ', 4)::numeric AS usd
  FROM string_to_table(CASE WHEN jsonb_typeof(c.breakdown) = 'string' THEN c.breakdown #>> '{}' END, ';') AS t(l)
  WHERE l <> ''
  UNION ALL
  SELECT o->>'class', (o->>'quantity')::numeric, (o->>'cost_usd')::numeric
  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(c.breakdown) = 'array' THEN c.breakdown ELSE '[]' END) AS a(o)
) AS x"""
_CHARGED = f"""
SELECT {_NAMES}, x.class, coalesce('tier_unpriced' = ANY(c.flags), false), sum(x.quantity), sum(x.usd)
{_FROM.format(joined=_LINES)} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
_COUNTS = {
    "cache_read": "coalesce(c.cache_read_input_tokens, 0)",
    "cache_write_5m": "coalesce((c.usage_extra->>'w5')::bigint, 0)",
    "cache_write_1h": "coalesce((c.usage_extra->>'w1')::bigint, 0)",
    "cache_write": "greatest(coalesce(c.cache_write_input_tokens, 0) - coalesce((c.usage_extra->>'w5')::bigint, 0)"
    " - coalesce((c.usage_extra->>'w1')::bigint, 0), 0)",
    "input_audio": "coalesce((c.usage_extra->>'ia')::bigint, 0)",
    "input_image": "coalesce((c.usage_extra->>'ii')::bigint, 0)",
    "output_audio": "coalesce((c.usage_extra->>'oa')::bigint, 0)",
    "output_image": "coalesce((c.usage_extra->>'oi')::bigint, 0)",
    "web_search": "coalesce((c.usage_extra->>'web')::bigint, 0)",
}
_INPUT = (
    "greatest(coalesce(c.input_tokens, 0) - coalesce(c.cache_read_input_tokens, 0)"
    f" - coalesce(c.cache_write_input_tokens, 0) - {_COUNTS['input_audio']} - {_COUNTS['input_image']}, 0)"
)
_OUTPUT = f"greatest(coalesce(c.output_tokens, 0) - {_COUNTS['output_audio']} - {_COUNTS['output_image']}, 0)"
_COUNTED = ("input", "output", *_COUNTS)
_UNCHARGED = f"""
SELECT {_NAMES}, {", ".join(f"sum({one})::bigint" for one in (_INPUT, _OUTPUT, *_COUNTS.values()))}
{_FROM.format(joined="")} AND c.price_status IN ('unpriced', 'partial', 'client') GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""

Names = tuple[int, str, str, str, str, str, str, bool]


class Packed(msgspec.Struct, array_like=True):
    """A day as it is kept; decimals as text."""

    # hour, provider, model, requested model, tier, calls, without usage, failed, estimated, dollars
    calls: list[tuple[int, str, str, str, str, int, int, int, int, str]]
    # hour, provider, model, requested model, tier, class, quantity, dollars or None, tier guessed, stated
    tokens: list[tuple[int, str, str, str, str, str, int, str | None, bool, bool]]


def read_day(project_id: UUID, day: dt.date) -> Packed:
    """What a project recorded on a UTC day. Three queries."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    bounds: list[Any] = [project_id, start, start + dt.timedelta(days=1)]
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, bounds)
        calls = cursor.fetchall()
        cursor.execute(_CHARGED, bounds)
        charged = cursor.fetchall()
        cursor.execute(_UNCHARGED, bounds)
        uncharged = cursor.fetchall()
    return Packed(_calls(calls), _tokens(calls, charged, uncharged))


def _tier(names: Names) -> str:
    return tier_of(names[4], processing=names[5], speed=names[6])


def _calls(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, Decimal(0)])
    for row in rows:
        own = sums[(*row[:4], _tier(row[:8]))]
        for place, value in enumerate(row[8:]):
            own[place] += value
    return [(*key, *own[:4], plain_decimal(own[4])) for key, own in sorted(sums.items())]


def _tokens(
    calls: Sequence[tuple[Any, ...]],
    charged: Sequence[tuple[Any, ...]],
    uncharged: Sequence[tuple[Any, ...]],
) -> list[Any]:
    """Charged quantities with their dollars; what was used beyond them without."""
    have: dict[Names, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, None])
    for row in charged:
        names, (name, is_guessed, quantity, usd) = row[:8], row[8:]
        have[names][class_of(name)] += quantity
        if not names[7]:
            own = found[(*names[:4], _tier(names), class_of(name), is_guessed, False)]
            own[0], own[1] = own[0] + int(quantity), (own[1] or Decimal(0)) + usd
    counted = {row[:8]: dict(zip(_COUNTED, row[8:], strict=True)) for row in uncharged}
    for names, used in counted.items():
        if not names[7]:
            for name, quantity in used.items():
                if (more := quantity - int(have[names][name])) > 0:
                    found[(*names[:4], _tier(names), name, False, False)][0] += more
    # A cost the program stated, over what its calls used.
    for row in calls:
        names, usd = row[:8], row[-1]
        if names[7]:
            _spread(found, names, have[names] or counted.get(names, {}), usd)
    return [
        (*key[:6], quantity, None if usd is None else plain_decimal(usd), *key[6:])
        for key, (quantity, usd) in sorted(found.items())
        if quantity
    ]


def _spread(
    found: dict[tuple[Any, ...], list[Any]], names: Names, used: dict[str, Any], usd: Decimal
) -> None:
    total = sum(used.values())
    left = usd
    rows = [(name, int(quantity)) for name, quantity in sorted(used.items()) if quantity]
    for place, (name, quantity) in enumerate(rows):
        is_last = place == len(rows) - 1
        part = left if is_last else (usd * quantity / int(total)).quantize(Decimal("1e-12"))
        left -= part
        own = found[(*names[:4], _tier(names), name, False, True)]
        own[0], own[1] = own[0] + quantity, (own[1] or Decimal(0)) + part


def pack(packed: Packed) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(packed))


def unpack(stored: bytes) -> Packed:
    return msgspec.msgpack.decode(zlib.decompress(stored), type=Packed)


def keep_day(*, project_id: UUID, day: dt.date, version: int) -> None:
    """Read a day and keep it as the facts of `version`. The version was read before the records, so that what changes
    meanwhile shows as a newer one. Four queries."""
    facts = pack(read_day(project_id, day))
    ReconciledFacts.objects.bulk_create(
        [ReconciledFacts(project_id=project_id, day=day, version=version, facts=facts)],
        update_conflicts=True,
        unique_fields=["project", "day"],
        update_fields=["version", "facts"],
    )


def rows_of(
    stored: Iterable[tuple[UUID, dt.date, bytes | memoryview]], provider: str
) -> tuple[list[Tokens], list[Calls]]:
    """A provider's rows of kept days."""
    tokens: list[Tokens] = []
    calls: list[Calls] = []
    for project_id, day, blob in stored:
        packed, project = unpack(bytes(blob)), str(project_id)
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        hours = [midnight + dt.timedelta(hours=hour) for hour in range(24)]
        for hour, said, model, asked, tier, count, without, failed, estimated, usd in packed.calls:
            found, name = canonical(said, model, asked)
            if found == provider:
                calls.append(
                    Calls(
                        hour=hours[hour], project=project, model=name, tier=tier, calls=count,
                        without_usage=without, failed=failed, estimated=estimated, cost_usd=Decimal(usd),
                    )
                )  # fmt: skip
        for hour, said, model, asked, tier, kind, quantity, cost, guessed, stated in packed.tokens:
            found, name = canonical(said, model, asked)
            if found == provider:
                tokens.append(
                    Tokens(
                        hour=hours[hour], project=project, model=name, tier=tier, token_class=kind,
                        quantity=quantity, cost_usd=None if cost is None else Decimal(cost),
                        is_tier_guessed=guessed, is_stated=stated,
                    )
                )  # fmt: skip
    return tokens, calls
