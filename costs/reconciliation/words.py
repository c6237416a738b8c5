"""The causes in words: what each means, what to do about it, and its evidence as sentences (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core import formats
from core.formats import plain_decimal
from costs.models import GapKind


@dataclass(frozen=True)
class Words:
    """`means` for whoever wonders, `remedy` for whoever wants it gone. `slot` is the colour in charts."""

    label: str
    means: str
    remedy: str
    slot: str


_MEANS = {
    GapKind.OUTSIDE: (
        "The bill holds calls that LLMLab never saw.",
        "Send them here too, or mark their key as outside under Connections → Keys.",
    ),
    GapKind.LOST_USAGE: (
        "Calls were recorded, but what they used did not arrive.",
        "Send usage with the call; for streams ask for it (stream_options.include_usage).",
    ),
    GapKind.NOT_BILLED: (
        "Calls were recorded that the bill does not hold.",
        "Connect the account they were paid from, or look for calls recorded twice.",
    ),
    GapKind.PRICE: (
        "The bill charges another price per token than we do.",
        "Compare with the suggested price and set it; stored calls are priced again.",
    ),
    GapKind.MISSING_PRICE: (
        "We have no price for what the bill charges.",
        "Set the suggested price; stored calls are priced again.",
    ),
    GapKind.DISCOUNT: (
        "The provider takes a contract discount off that your prices do not know.",
        "Add the discount to your prices.",
    ),
    GapKind.TIER: (
        "The bill charges another service tier (batch, flex, priority) than the calls were recorded with.",
        "Send the served tier, or mark batch calls as batch.",
    ),
    GapKind.SPLIT: (
        "Cached tokens were recorded as plain input, or the other way round.",
        "Update the instrumentation, so that cache reads and writes arrive apart.",
    ),
    GapKind.ROUNDING: ("The bill rounds its lines.", "Nothing: it evens out."),
    GapKind.LATE: (
        "The provider has not finished the day's bill.",
        "Wait; the next reading fills it in.",
    ),
    GapKind.TIME_ZONE: (
        "The provider's day begins at another hour, so calls count on the neighbouring day.",
        "Nothing: over a month it evens out but for its first and last hours.",
    ),
    GapKind.CURRENCY: (
        "The provider converts at another rate of exchange than your rate table.",
        "Ask an operator to set the rates of your invoices.",
    ),
    GapKind.CREDITS: ("Credits and corrections that no call caused.", "Nothing."),
    GapKind.TAX: ("Tax on the bill.", "Nothing."),
    GapKind.FEE: (
        "Storage, seats, provisioned capacity and the like.",
        "Nothing; or allocate them as a shared cost.",
    ),
}
_SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6")
KINDS: dict[str, Words] = {
    kind.value: Words(str(kind.label), *_MEANS[kind], _SLOTS[place % len(_SLOTS)])
    for place, kind in enumerate(GapKind)
}
_NOTES = {
    "mapped": "Key {key} is marked as outside LLMLab.",
    "found": "Without key {key} the bill is what was recorded.",
    "no_calls": "Not one such call was recorded that day.",
    "more_requests": "The bill counts {requests} requests, LLMLab {calls}.",
    "requests_unknown": "The bill counts more tokens than were recorded; it does not count requests.",
    "shared": "{without_usage} of {calls} calls came without usage and the bill counts {requests} requests: divided by"
    " their number.",
    "average": "{without_usage} of {calls} calls came without usage, too few for all of it by the day's average; the"
    " bill does not count requests.",
    "no_usage": "{without_usage} of {calls} calls came without usage.",
    "estimated": "Calls carry estimated or incomplete token counts.",
    "same_calls": "Both sides count {calls} calls, but the bill more tokens.",
    "stated": "The cost is what your programs stated, not a price of ours.",
    "tier_unpriced": "The tier has no price here, so the standard price was taken.",
    "not_charged": "The usage report has these tokens, the bill does not charge them.",
    "price_of_tier": "The price charged is the {to} price.",
    "moved": "Recorded as {from}, billed as {to}.",
    "records": "Recorded costs are kept to twelve decimals.",
    "listed": "The bill's list price is ours; it asks {factor} of it.",
    "factor": "Every price on the bill is {factor} of ours.",
    "days": "The provider's days are days of {zone}.",
    "border": "The same calls lie on the next or previous day.",
}


@dataclass(frozen=True)
class Evidence:
    """One line of evidence."""

    usd: Decimal
    subject: str
    tokens: str
    prices: str
    note: str


def evidence_of(found: Mapping[str, Any]) -> Evidence:
    """What one entry of ReconciledCause.evidence says. Entries of older versions may lack any figure."""
    facts = {name: str(value) for name, value in found.items()}
    facts["from"] = (
        facts.get("tier", "") if facts.get("to", "") in _TIERS else facts.get("token_class", "")
    )
    facts["key"] = facts.get("key") or facts.get("sub_account", "")
    if "factor" in facts:
        facts["factor"] = f"{Decimal(facts['factor']) * 100:.4f}".rstrip("0").rstrip(".") + " %"
    template = _NOTES.get(facts.get("note", ""), "")
    subject = " · ".join(
        facts[name].replace("_", " ")
        for name in ("tier", "token_class", "words")
        if facts.get(name)
    )
    return Evidence(
        usd=Decimal(facts.get("usd", "0")),
        subject=subject,
        tokens=formats.count(int(Decimal(facts["tokens"]))) if "tokens" in facts else "",
        prices=_prices(facts),
        note=template.format_map(_Missing(facts)),
    )


_TIERS = ("standard", "batch", "flex", "priority", "fast")


class _Missing(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "an unknown number of" if key in ("requests", "calls", "without_usage") else "—"


def _prices(facts: Mapping[str, str]) -> str:
    ours, theirs = facts.get("ours"), facts.get("theirs")
    if theirs and ours and ours != theirs:
        return f"{per_million(theirs)} instead of {per_million(ours)}"
    return per_million(theirs or ours or "")


def per_million(price: str) -> str:
    """A price per token as people write it."""
    if not price:
        return ""
    # Ten significant digits: an average of many prices has no end.
    value = Decimal(f"{Decimal(price) * 1_000_000:.10g}")
    return f"${plain_decimal(value)} per 1M"
