"""An organisation's own prices and discounts, compiled for pricing (pure).

Which rule a call gets, of those whose provider, model, service tier and day fit: one that names the provider before
one for any provider, an exact model before a pattern, the pattern with more letters, one that names the tier before
one for every tier, and the model that answered before the one that was asked for before the catalogue's name of it.
Two rules that could tie are refused when they are written (costs.services.price_rules). At most one override and one
discount apply; discounts never add up.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from genai_prices.types import ModelPrice, Tier, TieredPrices

from costs.catalogue import Catalogue, Plan, plan_of

MAX_CHOICES = 4096
# Token class → the catalogue's price key, and how many units the price buys.
PRICE_KEYS = {
    "input": ("input_mtok", 1_000_000),
    "cache_read": ("cache_read_mtok", 1_000_000),
    "cache_write": ("cache_write_mtok", 1_000_000),
    "cache_write_5m": ("cache_write_5m_mtok", 1_000_000),
    "cache_write_1h": ("cache_write_1h_mtok", 1_000_000),
    "input_audio": ("input_audio_mtok", 1_000_000),
    "cache_read_audio": ("cache_audio_read_mtok", 1_000_000),
    "input_image": ("input_image_mtok", 1_000_000),
    "cache_read_image": ("cache_image_read_mtok", 1_000_000),
    "output": ("output_mtok", 1_000_000),
    "reasoning": ("output_reasoning_mtok", 1_000_000),
    "output_audio": ("output_audio_mtok", 1_000_000),
    "output_image": ("output_image_mtok", 1_000_000),
    "web_search": ("web_searches_kcount", 1_000),
    "request": ("requests_kcount", 1_000),
}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One override (`plan`) or discount (`factor`)."""

    number: int
    provider: str = ""
    pattern: str = "*"
    service_tier: str = ""
    plan: Plan | None = None
    factor: Decimal = Decimal(1)
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    def holds_on(self, day: dt.date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )

    @property
    def rank(self) -> tuple[bool, bool, int, bool]:
        """Larger goes first."""
        return specificity(self.provider, self.pattern, self.service_tier)


def specificity(provider: str, pattern: str, service_tier: str) -> tuple[bool, bool, int, bool]:
    """How narrow a rule is; larger goes first."""
    return (
        bool(provider),
        "*" not in pattern,
        len(pattern) - pattern.count("*"),
        bool(service_tier),
    )


class Choice(msgspec.Struct, frozen=True):
    """The rules of one call."""

    override: Rule | None = None
    discount: Rule | None = None


NOTHING = Choice()


class RuleSet:
    """The rules of one organisation at one version. Falsy without any rule."""

    def __init__(self, version: int = 0, rules: Iterable[Rule] = ()) -> None:
        self.version = version
        self.rules = tuple(rules)
        self._fitting: dict[tuple[str, str, str], tuple[tuple[Rule, ...], tuple[Rule, ...]]] = {}
        self._catalogue: Catalogue | None = None

    def __bool__(self) -> bool:
        return bool(self.rules)

    def without_discounts(self) -> "RuleSet":
        return RuleSet(self.version, [rule for rule in self.rules if rule.plan is not None])

    def choose(
        self,
        catalogue: Catalogue,
        provider: str,
        model: str,
        request_model: str,
        *,
        tier: str,
        day: dt.date,
    ) -> Choice:
        """What applies to a call; `tier` is "" when its tier is not one we know."""
        if not self.rules:
            return NOTHING
        if catalogue is not self._catalogue or len(self._fitting) >= MAX_CHOICES:
            self._fitting.clear()
            self._catalogue = catalogue
        key = (provider, model, request_model)
        fitting = self._fitting.get(key)
        if fitting is None:
            fitting = self._fitting[key] = self._fit(catalogue, *key)
        overrides, discounts = fitting
        if not overrides and not discounts:
            return NOTHING
        return Choice(_first(overrides, tier, day), _first(discounts, tier, day))

    def _fit(
        self, catalogue: Catalogue, provider: str, model: str, request_model: str
    ) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Overrides and discounts that fit the names, best first."""
        providers, names = catalogue.identify(provider, model, request_model)
        found = []
        for rule in self.rules:
            if rule.provider and rule.provider not in providers:
                continue
            place = next((i for i, name in enumerate(names) if fits(rule.pattern, name)), None)
            if place is not None:
                found.append(((rule.rank, -place, -rule.number), rule))
        ordered = [rule for _, rule in sorted(found, key=lambda item: item[0], reverse=True)]
        return (
            tuple(rule for rule in ordered if rule.plan is not None),
            tuple(rule for rule in ordered if rule.plan is None),
        )


NO_RULES = RuleSet()


def _first(rules: Sequence[Rule], tier: str, day: dt.date) -> Rule | None:
    for rule in rules:
        if rule.holds_on(day) and (not rule.service_tier or rule.service_tier == tier):
            return rule
    return None


def fits(pattern: str, name: str) -> bool:
    """Whether `name` has the form of `pattern`, in which * stands for any characters. Linear in both."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    if not name.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        found = name.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(name) - place >= len(rest[-1]) and name.endswith(rest[-1])


def can_meet(one: str, other: str) -> bool:
    """Whether some name fits both patterns."""
    # reach[j]: the part of `one` read so far meets other[:j].
    reach = [True] + [False] * len(other)
    for j, char in enumerate(other):
        reach[j + 1] = reach[j] and char == "*"
    for char in one:
        row = [reach[0] and char == "*"]
        for j, against in enumerate(other):
            if char == "*" or against == "*":
                row.append(reach[j + 1] or row[j] or reach[j])
            else:
                row.append(reach[j] and char == against)
        reach = row
    return reach[-1]


def compile_prices(prices: Sequence[dict[str, Any]]) -> Plan:
    """The plan of an override's `prices` (PriceRule.prices)."""
    units: dict[str, Any] = {}
    for line in prices:
        key, _ = PRICE_KEYS[line["class"]]
        base = Decimal(line["price_usd"])
        tiers = [
            Tier(tier["above_input_tokens"], Decimal(tier["price_usd"]))
            for tier in line.get("tiers", ())
        ]
        units[key] = TieredPrices(base, tiers) if tiers else base
    return plan_of(ModelPrice(**units))
