"""What can be measured of a group of calls: the sums each measure needs, and what it is worth (pure).

Unknown is None, never zero: no price, nobody to divide by, nothing judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from costs.explorer.packing import HALF
from costs.explorer.reading import TOKENS

Value = int | Decimal | None
Sums = Mapping[str, int]
# Distinct things that are counted: name → part of the facts that tells them apart.
DISTINCT = {"users": "user", "sessions": "session", "solved_tasks": "trace"}


def usd(sums: Sums, name: str) -> Decimal:
    """The amount in two halves as exact dollars."""
    with localcontext(prec=60):
        return Decimal((sums[f"{name}.high"] << HALF) + sums[f"{name}.low"]).scaleb(-12)


def amount(name: str) -> tuple[str, str]:
    return f"{name}.high", f"{name}.low"


@dataclass(frozen=True)
class Measure:
    """`sums` are what the value is made of, `parts` the parts of facts they are read from."""

    label: str
    unit: str  # money, count, tokens
    sums: tuple[str, ...]
    parts: tuple[str, ...]
    value: Callable[[Sums], Value]
    distinct: str = ""


def _count(label: str, name: str, unit: str, part: str) -> Measure:
    return Measure(label, unit, (name,), (part,), lambda sums: sums[name])


def _cost(sums: Sums) -> Decimal | None:
    """Some calls without a price and no other that cost anything: unknown, not $0."""
    found = usd(sums, "cost")
    return None if sums["unpriced_calls"] and not found else found


def _per_call(sums: Sums) -> Decimal | None:
    """Per priced call."""
    cost, priced = _cost(sums), sums["calls"] - sums["unpriced_calls"]
    return None if cost is None or not priced else cost / priced


def _per(name: str, distinct: str) -> Callable[[Sums], Value]:
    """The cost of calls that belong to such a thing, for each of them."""

    def value(sums: Sums) -> Value:
        many, cost = sums[distinct], usd(sums, name)
        unpriced = sums[f"{name}.unpriced"]
        return None if not many or (unpriced and not cost) else cost / many

    return value


def _saved(sums: Sums) -> Decimal | None:
    """None when no cache read could be valued though there were some."""
    found = usd(sums, "saved")
    return None if sums["saved_unknown"] and not found else found


def _ratio(label: str, name: str, distinct: str, parts: tuple[str, ...]) -> Measure:
    return Measure(
        label,
        "money",
        (*amount(name), f"{name}.unpriced"),
        ("cost", "flags", *parts),
        _per(name, distinct),
        distinct,
    )


def _distinct(label: str, name: str) -> Measure:
    return Measure(label, "count", (), (DISTINCT[name],), lambda sums: sums[name], name)


MEASURES: dict[str, Measure] = {
    "cost_usd": Measure(
        "Cost", "money", (*amount("cost"), "unpriced_calls"), ("cost", "flags"), _cost
    ),
    "calls": Measure("Calls", "count", ("calls",), (), lambda sums: sums["calls"]),
    "errors": _count("Errors", "errors", "count", "flags"),
    "unpriced_calls": _count("Unpriced calls", "unpriced_calls", "count", "flags"),
    "estimated_calls": _count("Estimated calls", "estimated_calls", "count", "flags"),
    "total_tokens": Measure(
        "Tokens",
        "tokens",
        ("input_tokens", "output_tokens"),
        ("input_tokens", "output_tokens"),
        lambda sums: sums["input_tokens"] + sums["output_tokens"],
    ),
    **{
        name: _count(label, name, "tokens", name)
        for name, label in zip(
            TOKENS,
            (
                "Input tokens",
                "Output tokens",
                "Cache read tokens",
                "Cache write tokens",
                "Reasoning tokens",
            ),
            strict=True,
        )
    },
    "cost_per_call": Measure(
        "Cost per call",
        "money",
        (*amount("cost"), "unpriced_calls", "calls"),
        ("cost", "flags"),
        _per_call,
    ),
    "cost_per_user": _ratio("Cost per user", "user_cost", "users", ("user",)),
    "cost_per_session": _ratio("Cost per session", "session_cost", "sessions", ("session",)),
    "cost_per_solved_task": _ratio(
        "Cost per solved task", "judged_cost", "solved_tasks", ("trace",)
    ),
    "cache_savings_usd": Measure(
        "Saved by caching",
        "money",
        (*amount("saved"), "saved_unknown"),
        ("saved",),
        _saved,
    ),
    "users": _distinct("Users", "users"),
    "sessions": _distinct("Sessions", "sessions"),
    "solved_tasks": _distinct("Solved tasks", "solved_tasks"),
}
