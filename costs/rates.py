"""What a call is priced with: the organisation's own price, else the catalogue's, less a discount (pure)."""

from datetime import datetime
from decimal import Decimal

import msgspec

from costs.catalogue import Catalogue, Context, Plan, as_utc, current_catalogue
from costs.price_rules import NOTHING, Choice, RuleSet
from costs.usage import ChargeableCall

ONE = Decimal(1)
# Served tiers that cost the standard price, and those the catalogue prices under `service_tier`.
STANDARD_TIERS = frozenset(
    {"", "auto", "default", "standard", "standard_only", "on_demand", "on-demand"}
)
TIERS = {
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}


class Rates(msgspec.Struct, frozen=True):
    """What a call is priced with."""

    plan: Plan
    name: str
    source: str
    factor: Decimal = ONE
    flags: tuple[str, ...] = ()
    is_free: bool = False


def rates_of(call: ChargeableCall, rules: RuleSet) -> Rates | str:
    """The organisation's price, else the catalogue's, or why there is none."""
    catalogue = current_catalogue()
    context, is_tier_mapped = _price_context(call)
    at = as_utc(call.occurred_at)
    choice = _choose(call, rules, catalogue, context if is_tier_mapped else None, at)
    suffix, factor = "", ONE
    if choice.discount is not None:
        suffix, factor = f", discount #{choice.discount.number}", choice.discount.factor
    override = choice.override
    if override is not None and override.plan is not None:
        return Rates(
            override.plan, override.pattern[:200], f"override #{override.number}{suffix}", factor
        )
    match = catalogue.find(call.provider, call.model, call.request_model)
    if isinstance(match, str):
        return match
    plan = match.plan(at, context)
    flags = ("provider_guessed",) if match.is_guessed else ()
    if not (is_tier_mapped and plan.is_tier_known):
        flags = (*flags, "tier_unpriced")
    source = catalogue.source + (suffix if plan.units else "")
    return Rates(plan, match.model.id[:200], source, factor, flags, match.is_free)


def _choose(
    call: ChargeableCall,
    rules: RuleSet,
    catalogue: Catalogue,
    context: Context | None,
    at: datetime,
) -> Choice:
    if not rules:
        return NOTHING
    # A call of an unknown tier gets only rules for every tier; batch goes before the others.
    tier = "" if context is None else (context[0][1] if context else "standard")
    return rules.choose(
        catalogue, call.provider, call.model, call.request_model, tier=tier, day=at.date()
    )


def _price_context(call: ChargeableCall) -> tuple[Context, bool]:
    """The catalogue's keys for the tier, and whether every word the sender used has one."""
    tier, speed = call.service_tier.lower(), call.speed.lower()
    is_batch = call.processing.lower() == "batch" or tier == "batch"
    context: list[tuple[str, str]] = [("processing", "batch")] if is_batch else []
    is_mapped = call.processing.lower() in ("", "batch", "standard")
    if tier in TIERS:
        context.append(("service_tier", TIERS[tier]))
    elif tier not in STANDARD_TIERS and tier != "batch":
        is_mapped = False
    if speed == "fast":
        context.append(("speed", "fast"))
    elif speed not in ("", "standard"):
        is_mapped = False
    return tuple(context), is_mapped
