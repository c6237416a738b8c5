"""List prices of a model, shaped for people and programs (pure)."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal

from costs.catalogue import current_catalogue
from costs.pricing import LABELS

REASONS = {
    "self_hosted": "A self-hosted server has no list price.",
    "unknown_provider": "The price catalogue does not know this provider.",
    "unknown_model": "The price catalogue does not know this model at this provider.",
    "no_model": "The calls do not say which model answered.",
    "no_price": "The price catalogue lists this model without a price.",
}


@dataclass(frozen=True)
class ClassPrice:
    """The price of `per` units of one token class; tiers apply to the whole call above their input tokens."""

    token_class: str
    price_usd: Decimal
    per: int
    tiers: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True)
class ListPrice:
    """What the catalogue says now, or why it says nothing."""

    status: str  # "priced" | "free" | "unpriced"
    source: str = ""
    matched_model: str = ""
    reason: str = ""
    classes: tuple[ClassPrice, ...] = field(default_factory=tuple)


def list_price(provider: str, model: str, *, at: dt.datetime) -> ListPrice:
    """The standard-tier price in force at `at`."""
    catalogue = current_catalogue()
    match = catalogue.find(provider, model, "")
    if isinstance(match, str):
        return ListPrice("unpriced", reason=REASONS.get(match, match))
    name = f"{match.provider.id}/{match.model.id}"
    units = match.plan(at, ()).units
    if not units:
        if match.is_free:
            return ListPrice("free", catalogue.source, name)
        return ListPrice("unpriced", catalogue.source, name, REASONS["no_price"])
    classes = tuple(
        ClassPrice(
            LABELS.get(unit.usage_key, unit.usage_key),
            unit.base,
            unit.per,
            tuple(reversed(unit.tiers)),
        )
        for unit in sorted(units, key=lambda unit: unit.usage_key)
    )
    return ListPrice("priced", catalogue.source, name, "", classes)
