"""One charge as one FOCUS row (pure).

List and contracted cost are always the product of unit price and quantity, computed before anything is rounded, so that
a reader who multiplies finds them. The billed cost is what the ledger or the bill says, every digit.
"""

import datetime as dt
import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import msgspec

from costs.focus import names
from costs.focus.columns import columns_of

EXACT = Context(prec=76, rounding=ROUND_HALF_EVEN)
MILLION = Decimal(1_000_000)
ONE = Decimal(1)
# A price and a quantity together have at most the eighteen decimals of an amount.
DECIMALS = 18
PRICE_DECIMALS = 12
CHARGES = "Charges"
UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*( [A-Za-z]+)*([-/][A-Z][A-Za-z]+)?\Z")
_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
_CATEGORIES = {"flex": "Dynamic", "spot": "Dynamic", "provisioned": "Other", "scale": "Other"}
_RECURRING = ("subscription", "seat", "reserv", "commit", "provisioned", "monthly")


class Charge(msgspec.Struct, kw_only=True):
    """What a row is made of, in the ledgers' words. Amounts are in `currency`; None is not known."""

    start: dt.datetime
    end: dt.datetime
    period_start: dt.datetime
    period_end: dt.datetime
    account_id: str
    account_name: str = ""
    account_type: str = "Organization"
    sub_id: str = ""
    sub_name: str = ""
    sub_type: str = ""
    provider: str = ""
    model: str = ""
    token_class: str = ""
    tier: str = ""
    context: str = ""
    region: str = ""
    key_id: str = ""
    key_name: str = ""
    category: str = "usage"
    description: str = ""
    is_correction: bool = False
    quantity: Decimal | None = None
    unit: str = ""
    amount: Decimal
    list_amount: Decimal | None = None
    currency: str = "USD"
    amount_usd: Decimal | None = None
    # Of one token, search or request; without them they follow from the amounts.
    unit_price: Decimal | None = None
    list_unit_price: Decimal | None = None
    calls: int | None = None
    tags: dict[str, Any] = msgspec.field(default_factory=dict)
    source: str = "sdk"
    basis: str = "priced"
    project: str = ""
    feature: str = ""
    prompt_version: str = ""
    cost_id: str = ""


class Priced(msgspec.Struct):
    """The quantities and prices of a row; None is null."""

    consumed: Decimal | None
    consumed_unit: str | None
    quantity: Decimal | None
    unit: str | None
    list_price: Decimal | None
    price: Decimal | None
    list_cost: Decimal
    cost: Decimal
    is_as_charged: bool = False


def plain(value: Decimal) -> str:
    """Every digit, without exponent, trailing zeros or a negative zero."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def stamp(at: dt.datetime) -> str:
    """UTC to the second, as FOCUS writes times."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unit_name(text: str) -> str:
    """A provider's unit in the standard's spelling (capitalised, plural); empty where it cannot be one."""
    words = " ".join(text.replace("_", " ").split())
    lower = words.lower()
    if lower in ("token", "tokens", "count of tokens"):
        return "Tokens"
    if lower.isalpha() and not lower.endswith("s") and len(lower) > 2:
        words = f"{words}es" if lower.endswith(("ch", "sh", "x")) else f"{words}s"
    words = words[:1].upper() + words[1:]
    return words if UNIT.match(words) else ""


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _fitting(price: Decimal, quantity: Decimal) -> Decimal:
    """The price with so few decimals that the product has at most eighteen."""
    places = min(PRICE_DECIMALS, max(0, DECIMALS - _scale(quantity)))
    return (
        price
        if _scale(price) <= places
        else price.quantize(Decimal(1).scaleb(-places), context=EXACT)
    )


def priced(charge: Charge) -> Priced:
    """Quantities and prices by the null rules of the standard."""
    listed = charge.amount if charge.list_amount is None else charge.list_amount
    if charge.category in ("credit", "tax", "adjustment") or charge.is_correction:
        return Priced(None, None, None, None, None, None, listed, charge.amount)
    unit = unit_name(charge.unit)
    # A column's trailing zeros would leave no decimals for the price.
    quantity = None if charge.quantity is None else charge.quantity.normalize(EXACT)
    if charge.category == "usage" and quantity is not None and unit:
        made = _by_quantity(charge, quantity, unit, listed)
        if made is not None:
            return made
    return _as_charged(charge, quantity, unit, listed)


def _by_quantity(charge: Charge, quantity: Decimal, unit: str, listed: Decimal) -> Priced | None:
    """None where no price times the quantity could be the amount."""
    is_tokens = unit == "Tokens"
    amount_of = EXACT.divide(quantity, MILLION) if is_tokens else quantity
    factor = MILLION if is_tokens else ONE
    if charge.unit_price is not None:
        price = EXACT.multiply(charge.unit_price, factor)
        own_list = charge.list_unit_price
        list_price = price if own_list is None else EXACT.multiply(own_list, factor)
    elif quantity > 0 and charge.amount >= 0 and listed >= 0:
        price = EXACT.divide(charge.amount, amount_of)
        list_price = EXACT.divide(listed, amount_of)
    else:
        return None
    price, list_price = _fitting(price, amount_of), _fitting(list_price, amount_of)
    return Priced(
        consumed=quantity,
        consumed_unit=unit,
        quantity=amount_of,
        unit="1000000 Tokens" if is_tokens else unit,
        list_price=list_price,
        price=price,
        list_cost=EXACT.multiply(list_price, amount_of),
        cost=EXACT.multiply(price, amount_of),
    )


def _as_charged(charge: Charge, quantity: Decimal | None, unit: str, listed: Decimal) -> Priced:
    """One charge (minus one, for money back) at the price of its amount: no quantity explains it."""
    consumed, consumed_unit = quantity, unit
    if consumed is None or not consumed_unit:
        has_calls = charge.calls is not None
        consumed = Decimal(charge.calls or 0) if has_calls else ONE
        consumed_unit = "Requests" if has_calls else CHARGES
    if charge.category != "usage":
        consumed, consumed_unit = None, ""
    count = -ONE if charge.amount < 0 else ONE
    if listed * count < 0:
        listed = charge.amount
    return Priced(
        consumed=consumed,
        consumed_unit=consumed_unit or None,
        quantity=count,
        unit=CHARGES,
        list_price=abs(listed),
        price=abs(charge.amount),
        list_cost=listed,
        cost=charge.amount,
        is_as_charged=True,
    )


def flat_tags(tags: list[str], own: dict[str, str]) -> dict[str, Any]:
    """`team:support` is {"team": "support"}, a tag without a value is true; ours begin with `llmlab/`."""
    found: dict[str, Any] = {}
    for tag in tags:
        key, sign, value = tag.partition(":")
        if not (sign and key.strip() and value.strip()) or key in found:
            key, value = tag, ""
        found[key] = value or True
    return found | {f"llmlab/{name}": value for name, value in own.items() if value}


def focus_row(charge: Charge, version: str) -> list[Any]:
    """The row's values in the order of `columns_of(version)`: text, or None for null."""
    values = focus_values(charge)
    return [values.get(column.name) for column in columns_of(version)]


def focus_values(charge: Charge) -> dict[str, Any]:
    """The row by column, for every version; what is missing is null."""
    price = priced(charge)
    seller, service = names.seller_of(charge.provider)
    amount = plain(charge.amount)
    values: dict[str, Any] = {
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": plain(price.list_cost),
        "ContractedCost": plain(price.cost),
        "BillingCurrency": charge.currency.upper(),
        "BillingAccountId": charge.account_id,
        "BillingAccountName": charge.account_name or None,
        "BillingAccountType": charge.account_type,
        "SubAccountId": charge.sub_id or None,
        "SubAccountName": charge.sub_name or None,
        "SubAccountType": (charge.sub_type or None) if charge.sub_id else None,
        "InvoiceIssuerName": seller,
        "BillingPeriodStart": stamp(charge.period_start),
        "BillingPeriodEnd": stamp(charge.period_end),
        "ChargePeriodStart": stamp(charge.start),
        "ChargePeriodEnd": stamp(charge.end),
        "ChargeCategory": charge.category.capitalize(),
        "ChargeClass": "Correction" if charge.is_correction else None,
        "ChargeDescription": charge.description or _description(charge),
        "ChargeFrequency": _frequency(charge),
        "ConsumedQuantity": None if price.consumed is None else plain(price.consumed),
        "ConsumedUnit": price.consumed_unit,
        "PricingQuantity": None if price.quantity is None else plain(price.quantity),
        "PricingUnit": price.unit,
        "ListUnitPrice": None if price.list_price is None else plain(price.list_price),
        "ContractedUnitPrice": None if price.price is None else plain(price.price),
        "PricingCurrency": charge.currency.upper(),
        "PricingCurrencyEffectiveCost": amount,
        "ProviderName": seller,
        "PublisherName": names.maker_of(charge.provider, charge.model),
        "ServiceProviderName": seller,
        "HostProviderName": seller,
        "ServiceName": service,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "RegionId": charge.region or None,
        "RegionName": charge.region or None,
        "Tags": _json(charge.tags) if charge.tags else None,
    }
    values["PricingCurrencyListUnitPrice"] = values["ListUnitPrice"]
    values["PricingCurrencyContractedUnitPrice"] = values["ContractedUnitPrice"]
    if charge.key_id:
        values["ResourceId"], values["ResourceType"] = charge.key_id, "API Key"
        values["ResourceName"] = charge.key_name or None
    if charge.source == "allocated":
        values["AllocatedMethodId"] = "usage-share"
        values["AllocatedMethodDetails"] = '{"x_Rule":"largest remainder by reported usage"}'
    if price.quantity is not None:
        values |= _sku(charge, price)
    return values | _own(charge)


def _sku(charge: Charge, price: Priced) -> dict[str, Any]:
    """What is sold, and at which price point."""
    kind = names.TOKEN_TYPES.get(charge.token_class, charge.token_class) or "charge"
    sku = f"{charge.provider or 'unknown'}/{charge.model or 'unspecified'}/{kind}"
    tier = "standard" if charge.tier.lower() in _STANDARD else charge.tier.lower()
    place = [one for one in (tier, charge.context, charge.region) if one]
    if price.is_as_charged:
        place.append("as-charged")
    elif charge.unit_price is not None and price.list_price is not None:
        place.append(f"usd-{plain(price.list_price)}")
    details = {"x_Model": charge.model or None, "x_ServiceTier": tier}
    if charge.context:
        details["x_ContextWindow"] = charge.context
    return {
        "SkuId": sku,
        "SkuMeter": names.METERS.get(charge.token_class, "Charges"),
        "SkuPriceId": f"{sku}/{'/'.join(place)}",
        "SkuPriceDetails": _json(details),
        "PricingCategory": _CATEGORIES.get(tier, "Standard"),
    }


def _own(charge: Charge) -> dict[str, Any]:
    is_usage = charge.category == "usage" and charge.quantity is not None
    is_tokens = is_usage and unit_name(charge.unit) == "Tokens"
    tokens = int(charge.quantity or 0) if is_tokens else None
    is_output = charge.token_class in names.OUTPUTS
    has_class = charge.token_class not in ("", "other")
    kind = names.TOKEN_TYPES.get(charge.token_class, charge.token_class)
    usd = charge.amount if charge.currency.upper() == "USD" else charge.amount_usd
    return {
        "x_Model": charge.model or None,
        "x_TokenType": kind or None,
        "x_ServiceTier": charge.tier or None,
        "x_InputTokens": tokens if has_class and not is_output else None,
        "x_OutputTokens": tokens if has_class and is_output else None,
        "x_RequestCount": charge.calls,
        "x_CostSource": charge.source,
        "x_CostBasis": charge.basis,
        "x_BilledCostUsd": None if usd is None else plain(usd),
        "x_TraceProject": charge.project or None,
        "x_Feature": charge.feature or None,
        "x_PromptVersion": charge.prompt_version or None,
        "x_LlmlabCostId": charge.cost_id or None,
    }


def _description(charge: Charge) -> str:
    meter = names.METERS.get(charge.token_class, charge.category)
    tier = "" if charge.tier.lower() in _STANDARD else f", {charge.tier}"
    return f"{charge.model or charge.provider or 'Unknown model'} {meter.lower()}{tier}"


def _frequency(charge: Charge) -> str:
    if charge.category == "usage":
        return "Usage-Based"
    text = charge.description.lower()
    return "Recurring" if any(word in text for word in _RECURRING) else "One-Time"


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
