"""An organisation's price rules: compiled for pricing, listed for people."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q

from core.errors import NotFoundError
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


def rules_in_force(organization_id: UUID) -> list[PriceRule]:
    """Every rule that was not removed, by provider and model. One query."""
    return list(
        PriceRule.objects.filter(organization_id=organization_id, removed_at=None)
        .select_related("author")
        .order_by("provider", "pattern", "kind", "-number")
    )


def days_text(rule: Any) -> str:
    """When a rule holds, in words."""
    if rule.valid_from and rule.valid_to:
        return f"{rule.valid_from} to {rule.valid_to}"
    if rule.valid_from:
        return f"from {rule.valid_from}"
    return f"until {rule.valid_to}" if rule.valid_to else "always"


def rules_with(
    rules: RuleSet, draft: Any | None, *, without: int | None = None, number: int = 0
) -> RuleSet:
    """`rules` as they would be with the draft saved (as `number`) and rule `without` gone. No query."""
    kept = [rule for rule in rules.rules if rule.number != without]
    if draft is not None:
        plan = compile_prices(draft.prices) if draft.kind == RuleKind.OVERRIDE else None
        kept.append(
            Rule(
                number=number,
                provider=draft.provider,
                pattern=draft.pattern,
                service_tier=draft.service_tier,
                plan=plan,
                factor=draft.factor if draft.factor is not None else Decimal(1),
                valid_from=draft.valid_from,
                valid_to=draft.valid_to,
            )
        )
    return RuleSet(rules.version, kept)


def rule_in_force(organization_id: UUID, number: int) -> PriceRule:
    """Rule `number` while it is not removed. Raises NotFoundError. One query."""
    rule = _numbered(organization_id, number)
    if rule is None or rule.removed_at is not None:
        raise NotFoundError(f"There is no price rule #{number}, or it was removed.")
    return rule


def rule_numbered(organization_id: UUID, number: int) -> PriceRule:
    """Rule `number`, removed or not. Raises NotFoundError. One query."""
    rule = _numbered(organization_id, number)
    if rule is None:
        raise NotFoundError(f"There is no price rule #{number}.")
    return rule


def _numbered(organization_id: UUID, number: int) -> PriceRule | None:
    if not 0 < number < 2**31:
        return None
    return (
        PriceRule.objects.select_related("author", "removed_by", "replaces")
        .filter(organization_id=organization_id, number=number)
        .first()
    )


def rules_page(
    organization_id: UUID,
    *,
    state: str,
    kind: str,
    q: str,
    sort: str,
    before: int | None,
    limit: int,
) -> list[PriceRule]:
    """Rules by number, newest first (or oldest, sort `number`), up to `limit` beyond the number `before`. One query."""
    rules = PriceRule.objects.filter(organization_id=organization_id).select_related(
        "author", "removed_by"
    )
    if state != "all":
        rules = rules.filter(removed_at__isnull=state != "removed")
    if kind:
        rules = rules.filter(kind=kind)
    for word in q.lower().split()[:8]:
        rules = rules.filter(
            Q(provider__contains=word) | Q(pattern__contains=word) | Q(note__icontains=word)
        )
    if before is not None:
        rules = (
            rules.filter(number__lt=before) if sort != "number" else rules.filter(number__gt=before)
        )
    return list(rules.order_by("number" if sort == "number" else "-number")[:limit])
