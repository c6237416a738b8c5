"""An organisation's price rules: compiled for pricing, listed for people."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from costs.models import PriceBook, PriceRule, RuleKind
from costs.price_rules import Rule, RuleSet, compile_prices

COLUMNS = (
    "number",
    "kind",
    "provider",
    "pattern",
    "service_tier",
    "prices",
    "factor",
    "valid_from",
    "valid_to",
)


def rule_of(values: Sequence[Any]) -> Rule:
    """A row of COLUMNS, compiled. Raw cursors hand JSON over as text."""
    row = dict(zip(COLUMNS, values, strict=True))
    kind, prices, factor = row.pop("kind"), row.pop("prices"), row.pop("factor")
    if kind == RuleKind.DISCOUNT:
        return Rule(**row, factor=factor)
    return Rule(
        **row, plan=compile_prices(json.loads(prices) if isinstance(prices, str) else prices)
    )


def rules_of(organization_id: UUID) -> RuleSet:
    """The organisation's rules for pages and questions. Two queries."""
    version = (
        PriceBook.objects.filter(organization_id=organization_id)
        .values_list("version", flat=True)
        .first()
    )
    if version is None:
        return RuleSet()
    rows = PriceRule.objects.filter(organization_id=organization_id, removed_at=None)
    return RuleSet(version, [rule_of(row) for row in rows.values_list(*COLUMNS)])
