"""What a person or program may ask for as a price rule, checked and normalised (pure)."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from core.drafts import Reader
from core.errors import DomainError
from core.formats import plain_decimal
from costs.price_rules import PRICE_KEYS, can_meet, specificity
from costs.provider_names import ALIASES

KINDS = ("override", "discount")
TIERS = ("", "standard", "batch", "flex", "priority", "fast")
MAX_PRICE = Decimal(1_000_000)
MAX_PERCENT, MIN_PERCENT = Decimal(100), Decimal(-1000)
MAX_STARS, MAX_TIERS, MAX_NOTE = 8, 4, 1000
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2100, 12, 31)


class InvalidRuleError(DomainError):
    """A rule that cannot be; the detail says what to change."""

    code = "invalid_price_rule"


_reader = Reader(InvalidRuleError)
_invalid, _text = _reader.invalid, _reader.text


class RuleDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A checked rule that is not saved (yet). JSON-able, so that a preview can keep it."""

    kind: str
    provider: str = ""
    pattern: str
    service_tier: str = ""
    prices: list[dict[str, Any]] = []
    factor: Decimal | None = None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    note: str = ""


def read_draft(data: Mapping[str, Any]) -> RuleDraft:
    """A draft from a form or a JSON body: kind, provider, model, service_tier, prices or percent_off, valid_from,
    valid_to (ISO days, both included), note. Raises InvalidRuleError naming field, value and rule."""
    kind = data.get("kind")
    if kind not in KINDS:
        raise _invalid("kind", kind, "override or discount")
    provider = _text(data, "provider", 64).lower()
    tier = _text(data, "service_tier", 10).lower()
    if tier not in TIERS:
        raise _invalid(
            "service_tier", tier, f"one of {', '.join(TIERS[1:])}, or empty for every tier"
        )
    valid_from, valid_to = _day(data, "valid_from"), _day(data, "valid_to")
    if valid_from and valid_to and valid_to < valid_from:
        raise _invalid("valid_to", valid_to.isoformat(), f"not before valid_from ({valid_from})")
    if kind == "override" and data.get("percent_off") not in (None, ""):
        raise _invalid("percent_off", data["percent_off"], "empty for an override; it has prices")
    if kind == "discount" and data.get("prices"):
        raise _invalid("prices", "…", "empty for a discount; it has percent_off")
    return RuleDraft(
        kind=kind,
        provider=ALIASES.get(provider, provider),
        pattern=_pattern(data),
        service_tier=tier,
        prices=read_prices(data.get("prices")) if kind == "override" else [],
        factor=_factor(data) if kind == "discount" else None,
        valid_from=valid_from,
        valid_to=valid_to,
        note=_text(data, "note", MAX_NOTE),
    )


def _pattern(data: Mapping[str, Any]) -> str:
    pattern = re.sub(r"\*+", "*", _text(data, "model", 200).lower())
    if not pattern:
        raise _invalid(
            "model", "", "a model's name, a pattern such as gpt-5*, or * for every model"
        )
    if pattern.count("*") > MAX_STARS:
        raise _invalid("model", pattern, f"a pattern with at most {MAX_STARS} stars")
    return pattern


def _day(data: Mapping[str, Any], name: str) -> dt.date | None:
    value = data.get(name)
    if value in (None, ""):
        return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        found = value
    else:
        try:
            found = dt.date.fromisoformat(str(value))
        except ValueError:
            raise _invalid(name, value, "a day such as 2026-11-01, or empty") from None
    if not FIRST_DAY <= found <= LAST_DAY:
        raise _invalid(name, value, f"between {FIRST_DAY} and {LAST_DAY}")
    return found


def _number(value: object, field: str, *, low: Decimal, high: Decimal, what: str) -> Decimal:
    """Strings and whole numbers: a float has already lost digits."""
    rule = f"{what} from {plain_decimal(low)} to {plain_decimal(high)} with at most 12 decimals, as text"
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise _invalid(field, value, rule)
    try:
        found = Decimal(str(value).strip()[:40])
    except InvalidOperation:
        raise _invalid(field, value, rule) from None
    if not found.is_finite() or not low <= found <= high:
        raise _invalid(field, value, rule)
    if found != found.quantize(Decimal("1e-12")):
        raise _invalid(field, value, rule)
    return found


def _factor(data: Mapping[str, Any]) -> Decimal:
    percent = _number(
        data.get("percent_off"),
        "percent_off",
        low=MIN_PERCENT,
        high=MAX_PERCENT,
        what="a percentage",
    )
    if percent != percent.quantize(Decimal("1e-6")):
        raise _invalid("percent_off", percent, "a percentage with at most 6 decimals")
    return 1 - percent / 100


def read_prices(given: object) -> list[dict[str, Any]]:
    """An override's prices, sorted, numbers as plain strings."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _invalid("prices", given, "a list with at least one class and its price_usd")
    found: dict[str, dict[str, Any]] = {}
    for index, line in enumerate(given):
        path = f"prices[{index}]"
        if not isinstance(line, Mapping):
            raise _invalid(path, line, "an object with class and price_usd")
        name = line.get("class", line.get("token_class"))
        if not isinstance(name, str) or name not in PRICE_KEYS:
            raise _invalid(f"{path}.class", name, f"one of {', '.join(PRICE_KEYS)}")
        if name in found:
            raise _invalid(f"{path}.class", name, "named once")
        per = PRICE_KEYS[name][1]
        if line.get("per", per) != per:
            raise _invalid(f"{path}.per", line["per"], f"{per} for {name}")
        found[name] = {
            "class": name,
            "price_usd": _price(line.get("price_usd"), f"{path}.price_usd"),
            "per": per,
            "tiers": _tiers(line.get("tiers") or [], path),
        }
    return [found[name] for name in PRICE_KEYS if name in found]


def _price(value: object, field: str) -> str:
    return plain_decimal(
        _number(value, field, low=Decimal(0), high=MAX_PRICE, what="an amount in US dollars")
    )


def _tiers(given: object, path: str) -> list[dict[str, Any]]:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > MAX_TIERS:
        raise _invalid(f"{path}.tiers", given, f"a list of at most {MAX_TIERS}")
    tiers: list[dict[str, Any]] = []
    for number, tier in enumerate(given):
        start = tier.get("above_input_tokens") if isinstance(tier, Mapping) else None
        field = f"{path}.tiers[{number}]"
        if isinstance(start, bool) or not isinstance(start, int) or not 0 < start < 10**9:
            raise _invalid(f"{field}.above_input_tokens", start, "a whole number of tokens above 0")
        tiers.append(
            {
                "above_input_tokens": start,
                "price_usd": _price(tier.get("price_usd"), f"{field}.price_usd"),
            }
        )
    starts = [tier["above_input_tokens"] for tier in tiers]
    if starts != sorted(set(starts)):
        raise _invalid(f"{path}.tiers", starts, "in rising order, each start once")
    return tiers


def clash(one: Any, other: Any) -> bool:
    """Whether two rules of one kind could tie for a call: equally narrow, days in common, and a name fits both."""
    return (
        one.kind == other.kind
        and specificity(one.provider, one.pattern, one.service_tier)
        == specificity(other.provider, other.pattern, other.service_tier)
        and one.provider == other.provider
        and one.service_tier == other.service_tier
        and (one.valid_from or FIRST_DAY) <= (other.valid_to or LAST_DAY)
        and (other.valid_from or FIRST_DAY) <= (one.valid_to or LAST_DAY)
        and can_meet(one.pattern, other.pattern)
    )
