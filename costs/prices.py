"""Prices of a model, the organisation's rules included, shaped for people and programs (pure)."""

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal

from costs.catalogue import Match, Plan, current_catalogue
from costs.price_rules import NO_RULES, Rule, RuleSet
from costs.pricing import LABELS, ORDER

REASONS = {
    "self_hosted": "A self-hosted server has no list price.",
    "unknown_provider": "The price catalogue does not know this provider.",
    "unknown_model": "The price catalogue does not know this model at this provider.",
    "no_model": "The calls do not say which model answered.",
    "no_price": "The price catalogue lists this model without a price.",
    "no_usage": "The calls do not say how many tokens they used.",
    "inconsistent_usage": "The token counts contradict each other: a part is larger than its whole.",
    "out_of_range": "The cost is larger than the ledger can hold.",
}
SET_A_PRICE = "Set a price for it; stored calls are priced again."
REMEDIES = {
    "self_hosted": "Set a price for it, 0 if it should count as free; stored calls are priced again.",
    "unknown_provider": SET_A_PRICE,
    "unknown_model": SET_A_PRICE,
    "no_price": SET_A_PRICE,
    "no_model": "Send the model with the call: gen_ai.response.model or gen_ai.request.model.",
    "no_usage": "Send usage with the call; for streams ask the provider to include it (stream_options.include_usage).",
    "inconsistent_usage": "Check whether the sender counts cached tokens inside the input, and update its SDK.",
    "out_of_range": "Check the token counts the sender reports.",
}
# Why a price is only a part: what the flags of a record say.
FLAGS = {
    "tier_unpriced": (
        "The service tier has no price of its own; the standard price was taken.",
        "Set a price for that service tier.",
    ),
    "class_unpriced": ("A token class that was used has no price.", "Set a price for every class."),
    "audio_unpriced": ("Audio tokens have no price of their own.", "Set a price for audio."),
    "cache_write_1h_unpriced": (
        "Cache writes for one hour have no price of their own.",
        "Set a price for cache writes of one hour.",
    ),
    "input_unreported": ("The input tokens were not reported.", REMEDIES["no_usage"]),
    "output_unreported": ("The output tokens were not reported.", REMEDIES["no_usage"]),
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
    """What a model costs on a day, discounts taken off, or why that is not known.

    `override` and `discount` are the numbers of the organisation's rules; `factor` is the discount's.
    """

    status: str  # "priced" | "free" | "unpriced"
    source: str = ""
    matched_model: str = ""
    reason: str = ""
    classes: tuple[ClassPrice, ...] = field(default_factory=tuple)
    reason_code: str = ""
    override: int | None = None
    discount: int | None = None
    factor: Decimal | None = None
    # Whether the price also depends on the hour of the day (UTC).
    is_timed: bool = False

    def of(self, token_class: str) -> ClassPrice | None:
        """The price of one class."""
        return next((one for one in self.classes if one.token_class == token_class), None)


@dataclass(frozen=True)
class PricePeriod:
    """One price and the days it holds, both included; None is open."""

    first: dt.date | None
    last: dt.date | None
    price: ListPrice


def list_price(
    provider: str, model: str, *, at: dt.datetime, rules: RuleSet = NO_RULES, tier: str = "standard"
) -> ListPrice:
    """The price in force at `at` for calls of the standard tier (or of another one, where a rule names it)."""
    catalogue = current_catalogue()
    choice = rules.choose(
        catalogue, provider, model, "", tier=tier, day=at.astimezone(dt.UTC).date()
    )
    match = catalogue.find(provider, model, "")
    rule = choice.override
    if rule is not None and rule.plan is not None:
        price = ListPrice(
            "priced",
            f"override #{rule.number}",
            rule.pattern,
            classes=_classes(rule.plan),
            override=rule.number,
        )
        return _discounted(price, choice.discount)
    if isinstance(match, str):
        return ListPrice("unpriced", reason=REASONS.get(match, match), reason_code=match)
    name = f"{match.provider.id}/{match.model.id}"
    plan = match.plan(at.astimezone(dt.UTC), ())
    if not plan.units:
        if match.is_free:
            return ListPrice("free", catalogue.source, name)
        return ListPrice(
            "unpriced", catalogue.source, name, REASONS["no_price"], reason_code="no_price"
        )
    price = ListPrice("priced", catalogue.source, name, "", _classes(plan))
    return _discounted(replace(price, is_timed=match.has_hours), choice.discount)


def _discounted(price: ListPrice, discount: Rule | None) -> ListPrice:
    if discount is None:
        return price
    factor = discount.factor
    return replace(
        price,
        source=f"{price.source}, discount #{discount.number}",
        discount=discount.number,
        factor=factor,
        classes=tuple(
            replace(
                one,
                price_usd=one.price_usd * factor,
                tiers=tuple((start, usd * factor) for start, usd in one.tiers),
            )
            for one in price.classes
        ),
    )


def _classes(plan: Plan) -> tuple[ClassPrice, ...]:
    found = [
        ClassPrice(
            LABELS.get(unit.usage_key, unit.usage_key),
            unit.base,
            unit.per,
            tuple(reversed(unit.tiers)),
        )
        for unit in plan.units
    ]
    return tuple(
        sorted(found, key=lambda one: (ORDER.get(one.token_class, len(ORDER)), one.token_class))
    )


def price_periods(
    provider: str, model: str, *, rules: RuleSet = NO_RULES
) -> tuple[PricePeriod, ...]:
    """Every price the model had, has and is known to get, oldest first."""
    match = current_catalogue().find(provider, model, "")
    starts: set[dt.date] = set(match.start_dates) if isinstance(match, Match) else set()
    for rule in rules.rules:
        if rule.valid_from:
            starts.add(rule.valid_from)
        if rule.valid_to:
            starts.add(rule.valid_to + dt.timedelta(days=1))
    firsts: list[dt.date | None] = [None, *sorted(starts)]
    periods: list[PricePeriod] = []
    for place, first in enumerate(firsts):
        following = firsts[place + 1] if place + 1 < len(firsts) else None
        day = first or ((following or dt.date(2020, 1, 1)) - dt.timedelta(days=1))
        at = dt.datetime.combine(day, dt.time(12), dt.UTC)
        price = list_price(provider, model, at=at, rules=rules)
        last = following - dt.timedelta(days=1) if following else None
        if periods and periods[-1].price == price:
            periods[-1] = replace(periods[-1], last=last)
        else:
            periods.append(PricePeriod(first, last, price))
    return tuple(periods)


def period_at(periods: tuple[PricePeriod, ...], day: dt.date) -> PricePeriod | None:
    """The period a day lies in."""
    for period in periods:
        if (period.first is None or period.first <= day) and (
            period.last is None or day <= period.last
        ):
            return period
    return None
