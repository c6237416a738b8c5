"""The limits of a rule: each with the severity it is told with (pure)."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from alerts.models.rules import (
    MAX_LEVELS,
    SEVERITY_RANK,
    CompareWith,
    Direction,
    Severity,
)
from alerts.rules.reading import invalid, number
from core.formats import plain_decimal

# The least and the most a limit may be, by unit.
_RANGES = {
    "usd": (Decimal(0), Decimal(10_000_000)),
    "percent": (Decimal(0), Decimal(10_000)),
    "ms": (Decimal(0), Decimal(3_600_000)),
    "per_minute": (Decimal(0), Decimal(10**12)),
    "seconds": (Decimal(0), Decimal(604_800)),
    "minutes": (Decimal(0), Decimal(43_200)),
    "failures": (Decimal(0), Decimal(1000)),
    "score": (Decimal(-1_000_000_000), Decimal(1_000_000_000)),
}


def read_levels(
    given: object, *, unit: str, direction: str, compare_with: str
) -> list[dict[str, str]]:
    """Levels as they are stored, least severe first. Raises InvalidRuleError."""
    if not isinstance(given, (list, tuple)) or not given:
        raise invalid(
            "levels",
            given or "",
            'at least one level such as {"limit": "5", "severity": "warning"}',
        )
    if len(given) > MAX_LEVELS:
        raise invalid("levels", f"{len(given)} levels", f"at most {MAX_LEVELS}")
    found = [_level(one, unit, direction, compare_with) for one in given]
    sign = 1 if direction == Direction.ABOVE else -1
    found.sort(key=lambda one: sign * one[0])
    for (before, low), (after, high) in pairwise(found):
        if before == after:
            raise invalid("levels", plain_decimal(after), "named once")
        if SEVERITY_RANK[high] < SEVERITY_RANK[low]:
            raise invalid(
                "levels", f"{plain_decimal(after)} {high}",
                f"at least as severe as {plain_decimal(before)} ({low}), which is reached first",
            )  # fmt: skip
    return [{"limit": plain_decimal(limit), "severity": severity} for limit, severity in found]


def _level(given: object, unit: str, direction: str, compare_with: str) -> tuple[Decimal, str]:
    if not isinstance(given, Mapping) or set(given) - {"limit", "severity"}:
        raise invalid("levels", given, 'objects such as {"limit": "5", "severity": "warning"}')
    severity: Any = given.get("severity")
    if severity not in Severity.values:
        raise invalid(
            "levels", "" if severity is None else severity,
            f"of a severity: {', '.join(Severity.values)}",
        )  # fmt: skip
    low, high, rule = limits(unit, direction, compare_with)
    limit = number(given.get("limit"), "levels", rule)
    # Nothing lies below nothing; a rate of zero a minute is silence, which may be watched from above by no rule.
    is_open = low == 0 and direction == Direction.ABOVE
    if not low <= limit <= high or (is_open and limit == 0):
        raise invalid("levels", given.get("limit"), rule)
    return limit, str(severity)


def limits(unit: str, direction: str, compare_with: str) -> tuple[Decimal, Decimal, str]:
    """The least and the most a limit may be, and that in words."""
    if compare_with == CompareWith.BEFORE:
        if direction == Direction.ABOVE:
            return Decimal(0), Decimal(100_000), "limits above 0, the rise: 50, 100"
        return Decimal(-100), Decimal("-0.01"), "limits from -100 to below 0, the fall: -50 is half"
    low, high = _RANGES[unit]
    words = {"usd": "US dollars", "ms": "milliseconds", "per_minute": "per minute"}.get(unit, unit)
    edge = "above 0 and" if low == 0 and direction == Direction.ABOVE else f"from {low}"
    return low, high, f"limits in {words} {edge} up to {high:,} with at most 12 decimals, as text"
