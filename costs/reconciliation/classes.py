"""One set of words for tiers and token classes of both ledgers (pure)."""

from costs.rates import STANDARD_TIERS

_TIERS = {
    "on_demand_flex": "flex",
    "flex_discount": "flex",
    "on_demand_priority": "priority",
    "priority_on_demand": "priority",
}
_CLASSES = {
    "reasoning": "output",
    "cache_read_audio": "cache_read",
    "cache_read_image": "cache_read",
}
# A class and what it is a part of, where one side does not tell them apart.
PARENT = {
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write",
    "cache_write": "input",
    "cache_read": "input",
    "input_audio": "input",
    "input_image": "input",
    "output_audio": "output",
    "output_image": "output",
}
# Tokens of a prompt: how they divide depends on what the sender said about the cache.
PROMPT = frozenset({"input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h"})
# Known of no token: nothing of the kind is in a record.
NOT_OF_CALLS = frozenset({"", "other"})


def tier_of(words: str, *, processing: str = "", speed: str = "") -> str:
    """The tier a record or a line names: standard, batch, flex, priority, fast or its own word."""
    tier = words.strip().lower()
    if processing.lower() == "batch" or tier == "batch":
        return "batch"
    if speed.lower() == "fast":
        return "fast"
    if tier in STANDARD_TIERS:
        return "standard"
    return _TIERS.get(tier, tier)


def class_of(words: str) -> str:
    """A breakdown's class in the bill's words."""
    return _CLASSES.get(words, words)
