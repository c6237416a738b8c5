"""Recorded calls as charges: summed per day, project, model, tier, class, price, key, tags and feature.

A call's amount is split over its classes at twelve decimals, the first taking what rounding leaves, so that the rows'
sum is the ledger's to the last digit. Calls without a price make no row: unknown is never zero.
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from costs.focus.coverage import DAY, Spans, midnight
from costs.focus.names import unit_of
from costs.focus.rows import EXACT, Charge, flat_tags
from costs.models import Dimension, PriceRule, RuleKind
from projects.models import ApiKey, Project

# Calls of a day that are summed at once; a busier day is read in slices of its groups.
SLICE_CALLS = 20_000
_BY = (
    "provider, model, service_tier, environment, agent, feature, prompt_version, tags, api_key_id,"
    " price_status, price_source"
)
# The breakdown's two forms (costs.breakdown). What the caller stated is not split by our prices.
_SQL = f"""
WITH calls AS MATERIALIZED (
  SELECT c.id, c.provider, c.model, c.service_tier, c.environment, c.agent, c.feature, c.prompt_version,
    coalesce(c.tags, '{{}}') AS tags, c.api_key_id, c.price_status, c.price_source, c.cost_usd, c.breakdown,
    coalesce(c.input_tokens, 0) AS input_tokens, coalesce(c.output_tokens, 0) AS output_tokens
  FROM costs_costrecord c
  WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s AND c.cost_usd IS NOT NULL
    AND NOT EXISTS (SELECT FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS s(provider, a, b)
      WHERE s.provider = c.provider AND c.occurred_at >= s.a AND c.occurred_at < s.b)
    AND (%s = 1 OR abs(hashtextextended(concat_ws(E'\\x01', c.provider, c.model, c.service_tier, c.environment,
      c.agent, c.feature, c.prompt_version, c.tags::text, c.api_key_id, c.price_source), 0) %% %s) = %s)
), lines AS (
  SELECT calls.*, l.place, l.class, l.quantity, l.price, l.cost,
    sum(l.cost) OVER (PARTITION BY calls.id) AS shared
  FROM calls LEFT JOIN LATERAL (
    SELECT place, split_part(line, ' ', 1) AS class, split_part(line, ' ', 2)::numeric AS quantity,
      split_part(line, ' ', 3)::numeric AS price, round(split_part(line, ' ', 4)::numeric, 12) AS cost
    FROM string_to_table(CASE jsonb_typeof(breakdown) WHEN 'string' THEN breakdown #>> '{{}}' END, ';')
      WITH ORDINALITY AS p(line, place) WHERE line <> ''
    UNION ALL
    SELECT place, line ->> 'class', (line ->> 'quantity')::numeric, (line ->> 'unit_price_usd')::numeric,
      round((line ->> 'cost_usd')::numeric, 12)
    FROM jsonb_array_elements(CASE jsonb_typeof(breakdown) WHEN 'array' THEN breakdown END)
      WITH ORDINALITY AS o(line, place)
  ) l ON calls.price_status <> 'client'
)
SELECT {_BY}, class, price, sum(quantity),
  sum(CASE WHEN place IS NULL THEN cost_usd WHEN place = 1 THEN cost_usd - shared + cost ELSE cost END),
  count(*) FILTER (WHERE place IS NULL OR place = 1), sum(input_tokens), sum(output_tokens)
FROM lines GROUP BY {_BY}, class, price
"""  # noqa: S608
_DISCOUNT = re.compile(r"discount #(\d+)$")


def days_with_calls(
    project_id: UUID, start: dt.datetime, end: dt.datetime
) -> list[tuple[dt.date, int]]:
    """The UTC days that have calls, and how many. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hour, sum(calls) FROM costs_costdailyaggregate WHERE project_id = %s AND dimension = %s"
            " AND hour >= %s AND hour < %s GROUP BY hour HAVING sum(calls) > 0 ORDER BY hour",
            [project_id, Dimension.ALL, start, end],
        )
        return [(at.astimezone(dt.UTC).date(), int(calls)) for at, calls in cursor.fetchall()]


def slices_of(calls: int) -> int:
    """In how many reads a day of so many calls is taken."""
    return max(1, -(-calls // SLICE_CALLS))


def recorded_charges(
    project: Project, day: dt.date, spans: Spans, *, part: int = 0, parts: int = 1
) -> Iterator[Charge]:
    """The charges of a UTC day (or of one slice of its groups), made while they are taken. Three queries."""
    flat = [(provider, *span) for provider, found in spans.items() for span in found]
    asked: list[Any] = [
        project.pk, midnight(day), midnight(day + DAY),
        [one[0] for one in flat], [one[1] for one in flat], [one[2] for one in flat],
        parts, parts, part,
    ]  # fmt: skip
    maker = _Maker(project, day)
    with connection.chunked_cursor() as cursor:
        cursor.execute(_SQL, asked)
        for row in cursor:
            yield from maker.charges(row)


class _Maker:
    """Groups as charges, with the names of keys and the factors of discounts."""

    def __init__(self, project: Project, day: dt.date) -> None:
        self.keys = dict(ApiKey.objects.filter(project=project).values_list("pk", "name"))
        rules = PriceRule.objects.filter(
            organization_id=project.organization_id, kind=RuleKind.DISCOUNT
        )
        self.factors = dict(rules.values_list("number", "factor"))
        first = day.replace(day=1)
        following = (first + DAY * 32).replace(day=1)
        self.same: dict[str, Any] = {
            "start": midnight(day),
            "end": midnight(day + DAY),
            "period_start": midnight(first),
            "period_end": midnight(following),
            "sub_id": str(project.pk),
            "sub_name": project.name,
            "sub_type": "Project",
            "project": project.name,
        }
        self.organization_id = project.organization_id
        self.project_slug = project.slug

    def charges(self, row: tuple[Any, ...]) -> Iterator[Charge]:
        (provider, model, tier, environment, agent, feature, prompt, tags, key_id, status, source,
         kind, price, quantity, amount, calls, input_tokens, output_tokens) = row  # fmt: skip
        own = {"project": self.project_slug, "environment": environment, "agent": agent}
        same = self.same | {
            "account_id": f"llmlab:{self.organization_id}:{provider or 'unknown'}",
            "account_name": "Recorded by LLMLab",
            "provider": provider,
            "model": model,
            "tier": tier,
            "key_id": str(key_id) if key_id else "",
            "key_name": self.keys.get(key_id, ""),
            "tags": flat_tags(tags, own | {"feature": feature, "prompt_version": prompt}),
            "basis": status,
            "feature": feature,
            "prompt_version": prompt,
        }
        if kind is not None:
            listed = self._list_price(price, source)
            yield Charge(
                **same, token_class=kind, quantity=quantity, unit=unit_of(kind), amount=amount,
                unit_price=price, list_unit_price=listed, calls=calls or None,
            )  # fmt: skip
        elif status == "client" or amount:
            yield Charge(**same, amount=amount, calls=calls, description=_stated(model))
        else:
            yield from _free(same, calls, input_tokens, output_tokens)

    def _list_price(self, price: Decimal, source: str) -> Decimal | None:
        """The price before the organisation's discount; None where there was none."""
        found = _DISCOUNT.search(source)
        factor = self.factors.get(int(found[1])) if found else None
        return EXACT.divide(price, factor) if factor else None


def _stated(model: str) -> str:
    return f"{model or 'Calls'}, cost stated by the caller"


def _free(
    same: dict[str, Any], calls: int, input_tokens: int, output_tokens: int
) -> Iterator[Charge]:
    """What cost nothing, with its tokens; a call without any is a request."""
    parts = [("input", input_tokens), ("output", output_tokens)]
    lines = [(kind, count) for kind, count in parts if count] or [("request", calls)]
    for place, (kind, count) in enumerate(lines):
        yield Charge(
            **same, token_class=kind, quantity=Decimal(count), unit=unit_of(kind), amount=Decimal(0),
            unit_price=Decimal(0), calls=calls if place == 0 else None,
        )  # fmt: skip


_UNPRICED = """
SELECT count(*) FROM costs_costrecord c
WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s AND c.cost_usd IS NULL
  AND c.price_status IN ('unpriced', 'partial')
  AND NOT EXISTS (SELECT FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS s(provider, a, b)
    WHERE s.provider = c.provider AND c.occurred_at >= s.a AND c.occurred_at < s.b)
"""


def unpriced_calls(
    project_ids: list[UUID], start: dt.datetime, end: dt.datetime, spans: Spans
) -> int:
    """Calls that make no row because nobody knows what they cost. One query a project."""
    flat = [(provider, *span) for provider, found in spans.items() for span in found]
    lists = [[one[place] for one in flat] for place in range(3)]
    total = 0
    with connection.cursor() as cursor:
        for project_id in project_ids:
            cursor.execute(_UNPRICED, [project_id, start, end, *lists])
            total += cursor.fetchone()[0]
    return total
