"""The price per unit that an organisation's rules and the catalogue give (pure but for the rules handed in)."""

import datetime as dt
from decimal import Decimal
from functools import lru_cache

from costs.catalogue import Context, Match, current_catalogue
from costs.price_rules import RuleSet
from costs.pricing import LABELS
from costs.rates import TIERS
from costs.reconciliation.facts import PriceOf

_KEYS = {label: key for key, label in LABELS.items()}
# A class without a price of its own is charged like the whole it is a part of.
_WHOLE = {
    "cache_write_5m_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_write_tokens": "input_tokens",
    "cache_read_tokens": "input_tokens",
    "input_audio_tokens": "input_tokens",
    "input_image_tokens": "input_tokens",
    "output_audio_tokens": "output_tokens",
    "output_image_tokens": "output_tokens",
}


def price_list(provider: str, rules: RuleSet) -> PriceOf:
    """Remembered per model, tier, class and day; None where we have no price."""

    @lru_cache(maxsize=8192)
    def price_of(model: str, tier: str, token_class: str, day: dt.date) -> Decimal | None:
        return _price(provider, rules, model, tier or "standard", token_class, day)

    return price_of


def _context(tier: str) -> Context:
    if tier == "batch":
        return (("processing", "batch"),)
    if tier == "fast":
        return (("speed", "fast"),)
    return (("service_tier", TIERS[tier]),) if tier in TIERS else ()


def _price(
    provider: str, rules: RuleSet, model: str, tier: str, token_class: str, day: dt.date
) -> Decimal | None:
    catalogue = current_catalogue()
    choice = rules.choose(catalogue, provider, model, "", tier=tier, day=day)
    factor = choice.discount.factor if choice.discount is not None else Decimal(1)
    if choice.override is not None and choice.override.plan is not None:
        plan = choice.override.plan
    else:
        match = catalogue.find(provider, model, "")
        if not isinstance(match, Match):
            return None
        plan = match.plan(dt.datetime.combine(day, dt.time(12), dt.UTC), _context(tier))
        if tier != "standard" and not plan.is_tier_known:
            return None
    key: str | None = _KEYS.get(token_class)
    while key is not None:
        for unit in plan.units:
            if unit.usage_key == key:
                return unit.base / unit.per * factor
        key = _WHOLE.get(key)
    return None
