"""What one call costs, class by class, and how sure we are. Pure: no database, no network, no
clock.

`price_call` never answers zero for something it does not know. Its total equals
`genai_prices.calc_price` to the last of the twelve decimals a ledger row holds; the catalogue has
no variant, class or model beyond what it states, so what it would silently charge at the standard
price comes back as `partial` with a flag.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from costs.catalogue import Plan
from costs.price_rules import NO_RULES, RuleSet
from costs.rates import ONE, Rates, rates_of
from costs.usage import ChargeableCall, Usage

Status = Literal["priced", "partial", "unpriced", "free", "client"]
# Why a call has no price: no_usage, no_model, unknown_model, unknown_provider, self_hosted,
# no_price (the catalogue lists the model without a price for what was used), inconsistent_usage (a
# part exceeds its whole), out_of_range. Flags: tier_unpriced, class_unpriced, audio_unpriced,
# cache_write_1h_unpriced, input_unreported, output_unreported (these make a price partial);
# tokens_do_not_add_up, cache_split_assumed, provider_guessed, client_cost_invalid.

LABELS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_5m_tokens": "cache_write_5m",
    "cache_write_1h_tokens": "cache_write_1h",
    "cache_audio_read_tokens": "cache_read_audio",
    "cache_image_read_tokens": "cache_read_image",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
    "input_image_tokens": "input_image",
    "output_image_tokens": "output_image",
    "output_reasoning_tokens": "reasoning",
    "web_searches": "web_search",
    "requests": "request",
}
SHOWN_IN_ORDER = [
    "input", "cache_read", "cache_read_audio", "cache_read_image", "cache_write_5m",
    "cache_write_1h", "cache_write", "input_audio", "input_image", "output", "reasoning",
    "output_audio", "output_image", "web_search", "request",
]  # fmt: skip
ORDER = {label: place for place, label in enumerate(SHOWN_IN_ORDER)}
QUANTUM = Decimal("1e-12")
LIMIT = Decimal(10) ** 8  # numeric(20, 12) holds less than this
PARTIAL_FLAGS = {
    "tier_unpriced", "class_unpriced", "audio_unpriced", "cache_write_1h_unpriced",
    "input_unreported", "output_unreported",
}  # fmt: skip


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A call's price. `cost_usd` is None exactly when `status` is unpriced.

    `breakdown` rows are {"class", "quantity", "unit_price_usd", "cost_usd"}, the numbers as plain
    decimal strings and the unit price for one token, search or request. They add up to the cost
    before its rounding to twelve decimals.
    """

    status: Status
    cost_usd: Decimal | None
    breakdown: list[dict[str, str]] = []
    price_source: str = ""
    matched_model: str = ""
    unpriced_reason: str = ""
    flags: tuple[str, ...] = ()


class _InconsistentUsageError(Exception):
    """A part is larger than its whole."""


def price_call(call: ChargeableCall, rules: RuleSet = NO_RULES) -> Priced:
    """Prices one call at the rates in force when it happened; never raises on any usage.

    An override of `rules` goes before the catalogue, a discount is taken off either. A cost the
    caller gave is never discounted.
    """
    if call.is_cache_hit or call.is_rejected:
        return Priced(status="free", cost_usd=Decimal(0))
    own = _own_price(call, rules)
    if own.status in ("priced", "free") or call.client_cost_usd is None:
        return own
    given = call.client_cost_usd
    if not (given.is_finite() and 0 <= given < LIMIT):
        return msgspec.structs.replace(own, flags=(*own.flags, "client_cost_invalid"))
    # Ours is missing or incomplete: the caller's figure is the better one. The breakdown stays as
    # evidence.
    return msgspec.structs.replace(
        own, status="client", cost_usd=_rounded(given), price_source="client", unpriced_reason=""
    )


def _own_price(call: ChargeableCall, rules: RuleSet) -> Priced:
    rates = rates_of(call, rules)
    usage = call.usage
    has_usage = usage is not None and usage.is_known
    if isinstance(rates, str):
        return _unpriced(rates if has_usage else "no_usage")
    if not has_usage and not rates.is_free:
        return _unpriced("no_usage", matched_model=rates.name)
    if not rates.plan.units:
        if rates.is_free:
            return Priced(
                status="free",
                cost_usd=Decimal(0),
                price_source=rates.source,
                matched_model=rates.name,
            )
        return _unpriced("no_price", matched_model=rates.name)
    if usage is None:
        return _unpriced("no_usage", matched_model=rates.name)
    return _charged(usage, rates)


def _charged(usage: Usage, rates: Rates) -> Priced:
    counts, flags = _counts(usage, rates.plan)
    flags.extend(rates.flags)
    try:
        breakdown, cost = _decompose(rates.plan, counts, rates.factor)
    except _InconsistentUsageError:
        flags = [flag for flag in flags if flag != "tokens_do_not_add_up"]
        return _unpriced(
            "inconsistent_usage", matched_model=rates.name, flags=(*flags, "tokens_do_not_add_up")
        )
    flags.extend(_gaps(usage, rates.plan))
    if "class_unpriced" in flags and not breakdown:
        return _unpriced("no_price", matched_model=rates.name, flags=tuple(flags))
    if cost >= LIMIT:
        return _unpriced("out_of_range", matched_model=rates.name, flags=tuple(flags))
    return Priced(
        status="priced" if PARTIAL_FLAGS.isdisjoint(flags) else "partial",
        cost_usd=_rounded(cost),
        breakdown=breakdown,
        price_source=rates.source,
        matched_model=rates.name,
        flags=tuple(flags),
    )


def _unpriced(reason: str, *, matched_model: str = "", flags: tuple[str, ...] = ()) -> Priced:
    return Priced(
        status="unpriced",
        cost_usd=None,
        unpriced_reason=reason,
        matched_model=matched_model[:200],
        flags=flags,
    )


def _counts(usage: Usage, plan: Plan) -> tuple[dict[str, int], list[str]]:
    """The catalogue's usage units for our normal form, and what does not add up in it."""
    flags = []
    total, output = usage.input_tokens or 0, usage.output_tokens or 0
    if usage.stated_total_tokens is not None and usage.stated_total_tokens != total + output:
        flags.append("tokens_do_not_add_up")
    written = usage.cache_write_input_tokens
    by_ttl = usage.cache_write_5m_input_tokens + usage.cache_write_1h_input_tokens
    if by_ttl > written:
        if written:
            flags.append("tokens_do_not_add_up")
        written = by_ttl
    counts = {
        "input_tokens": total,
        "output_tokens": output,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": written,
        "cache_write_5m_tokens": usage.cache_write_5m_input_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_input_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "input_image_tokens": usage.input_image_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "output_image_tokens": usage.output_image_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        "web_searches": usage.web_searches,
        "requests": 1,
    }
    if usage.cache_read_input_tokens and (usage.input_audio_tokens or usage.input_image_tokens):
        _assume_cache_split(counts, plan, flags)
    if (
        usage.cache_read_input_tokens + written > total or usage.reasoning_output_tokens > output
    ) and not flags:
        flags.append("tokens_do_not_add_up")
    return counts, flags


def _assume_cache_split(counts: dict[str, int], plan: Plan, flags: list[str]) -> None:
    """Providers do not say how much of the cached input was audio or image: take the least that is
    possible.
    """
    over = (
        counts["cache_read_tokens"]
        + counts["cache_write_tokens"]
        + counts["input_audio_tokens"]
        + counts["input_image_tokens"]
        - counts["input_tokens"]
    )
    for kind in ("audio", "image"):
        join, part = f"cache_{kind}_read_tokens", counts[f"input_{kind}_tokens"]
        if part and join in plan.keys:
            counts[join] = max(0, min(over, part, counts["cache_read_tokens"]))
            over -= counts[join]
            if "cache_split_assumed" not in flags:
                flags.append("cache_split_assumed")


def _gaps(usage: Usage, plan: Plan) -> list[str]:
    """What was used but has no price of its own, so that the sum is at best a part."""
    keys, gaps = plan.keys, []
    has_output_price = "output_tokens" in keys
    if usage.input_tokens is None and "input_tokens" in keys:
        gaps.append("input_unreported")
    if usage.output_tokens is None and any(
        unit.usage_key == "output_tokens" and unit.base > 0 for unit in plan.units
    ):
        gaps.append("output_unreported")
    if (
        (usage.input_tokens and "input_tokens" not in keys)
        or (usage.output_tokens and not has_output_price)
        or (usage.web_searches and "web_searches" not in keys)
    ):
        gaps.append("class_unpriced")
    if (usage.input_audio_tokens and "input_audio_tokens" not in keys) or (
        usage.output_audio_tokens and "output_audio_tokens" not in keys
    ):
        gaps.append("audio_unpriced")
    if usage.cache_write_1h_input_tokens and "cache_write_1h_tokens" not in keys:
        gaps.append("cache_write_1h_unpriced")
    return gaps


def _decompose(
    plan: Plan, counts: dict[str, int], factor: Decimal = ONE
) -> tuple[list[dict[str, str]], Decimal]:
    """Takes the most specific units out of the general ones and multiplies; most specific first, as
    compiled.
    """
    left: list[int] = []
    lines: list[tuple[str, int, Decimal]] = []
    cost = Decimal(0)
    for unit in plan.units:
        quantity = counts.get(unit.usage_key, 0)
        for index in unit.inside:
            quantity -= left[index]
        if quantity < 0:
            raise _InconsistentUsageError
        left.append(quantity)
        if quantity:
            price = unit.price_per_unit(counts["input_tokens"])
            if factor is not ONE:
                price *= factor
            cost += price * quantity
            lines.extend(
                (label, part, price)
                for label, part in _shown(unit.usage_key, quantity, plan, counts)
            )
    rows = [
        {
            "class": label,
            "quantity": str(part),
            "unit_price_usd": _plain(price),
            "cost_usd": _plain(price * part),
        }
        for label, part, price in sorted(lines, key=lambda line: ORDER.get(line[0], len(ORDER)))
    ]
    return rows, cost


def _shown(key: str, quantity: int, plan: Plan, counts: dict[str, int]) -> list[tuple[str, int]]:
    """Splits a priced quantity into the classes people look for, where several share one price."""
    if key == "cache_write_tokens":
        shared = ["cache_write_1h_tokens", "cache_write_5m_tokens"]
    elif key == "input_tokens":
        shared = ["cache_read_tokens"]
        if "cache_write_tokens" not in plan.keys and counts["cache_write_tokens"]:
            shared.append("cache_write_tokens")
    else:
        return [(LABELS.get(key, key), quantity)]
    parts = []
    for name in shared:
        if name not in plan.keys and (part := min(counts[name], quantity)):
            parts.append((LABELS[name], part))
            quantity -= part
    if quantity:
        parts.append((LABELS[key], quantity))
    return parts


def _rounded(cost: Decimal) -> Decimal:
    """To the twelve decimals of the ledger column, so that a sum over rows is the sum of what was
    shown.
    """
    exponent = cost.as_tuple().exponent
    return cost.quantize(QUANTUM) if isinstance(exponent, int) and exponent < -12 else cost


def _plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
