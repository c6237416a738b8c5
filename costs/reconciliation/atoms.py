"""Both ledgers side by side: one model's day, tier by tier and class by class (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from costs.reconciliation.align import ZERO, Part
from costs.reconciliation.classes import PARENT
from costs.reconciliation.facts import Calls, Tokens
from costs.reconciliation.rounding import FLOAT_NOISE, Span, span_of

Place = tuple[str, str]  # tier, token class
# How many times better an explanation has to be.
MUCH = 4
ONE = Fraction(1)


@dataclass(slots=True)
class Atom:
    """One tier and class. Quantities of the bill and of the records (priced, and unpriced), and their dollars."""

    billed: Fraction | None = ZERO
    usd: Fraction = ZERO
    list_usd: Fraction | None = ZERO
    tolerance: Fraction = ZERO
    # Each line's dollars, quantity and tolerance: all of them say more of the price than their sum.
    lines: list[tuple[Fraction, Fraction, Fraction]] = field(default_factory=list)
    currency: str = "USD"
    has_charge: bool = False
    priced: Fraction = ZERO
    unpriced: Fraction = ZERO
    recorded_usd: Fraction = ZERO
    guessed: Fraction = ZERO
    stated_usd: Fraction = ZERO
    # What was taken out of `usd` and `tolerance` as one factor over the whole bill, and as which cause.
    factor: Fraction = ONE
    factor_kind: str = ""
    factor_facts: dict[str, Any] = field(default_factory=dict)
    # Found while solving: the bill's price per unit, and what is left over.
    price: Fraction | None = None
    over: Fraction = ZERO

    @property
    def recorded(self) -> Fraction:
        return self.priced + self.unpriced

    @property
    def our_price(self) -> Fraction | None:
        return self.recorded_usd / self.priced if self.priced else None

    def add_part(self, part: Part) -> None:
        if part.quantity is None or self.billed is None:
            self.billed = None
        else:
            self.billed += part.quantity
        self.usd += part.usd
        if part.list_usd is None or self.list_usd is None:
            self.list_usd = None if part.is_charged else self.list_usd
        else:
            self.list_usd += part.list_usd
        self.tolerance += part.tolerance
        if part.is_charged and part.quantity:
            self.lines.append((part.usd, part.quantity, part.tolerance))
        self.has_charge |= part.is_charged
        if part.is_charged:
            self.currency = part.currency

    def prices(self, rounds: int = 0) -> Span:
        """What the price of a billed unit can be: what every line agrees with, else their sum. `rounds`: 0 to the
        nearest, 1 up, -1 down."""
        whole = _unit_price(self.usd, self.billed or ONE, self.tolerance, rounds)
        if sum((quantity for _, quantity, _ in self.lines), ZERO) != self.billed:
            # Some of the quantity has no line of its own.
            return whole
        met: Span | None = None
        for usd, quantity, tolerance in self.lines:
            span = _unit_price(usd, quantity, tolerance, rounds)
            met = span if met is None else met.meet(span)
            if met is None:
                return whole
        return met or whole

    def divide(self, factor: Fraction, kind: str, **facts: Any) -> None:
        """Take a factor out of the bill's money."""
        self.usd, self.tolerance = self.usd / factor, self.tolerance / factor
        self.lines = [(usd / factor, count, slack / factor) for usd, count, slack in self.lines]
        self.factor, self.factor_kind, self.factor_facts = factor, kind, {"factor": factor, **facts}

    def absorb(self, other: "Atom") -> None:
        """Take in another tier's or class's figures."""
        self.billed = (
            None if self.billed is None or other.billed is None else self.billed + other.billed
        )
        self.usd += other.usd
        if self.list_usd is not None:
            self.list_usd = None if other.list_usd is None else self.list_usd + other.list_usd
        self.tolerance += other.tolerance
        self.lines = [] if other.has_charge and self.has_charge else self.lines or other.lines
        self.has_charge |= other.has_charge
        self.currency = other.currency if other.has_charge else self.currency
        for name in ("priced", "unpriced", "recorded_usd", "guessed", "stated_usd"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def _unit_price(usd: Fraction, quantity: Fraction, tolerance: Fraction, rounds: int) -> Span:
    slack = tolerance + abs(usd) * FLOAT_NOISE
    return span_of(usd - rounds * tolerance, slack, quantity)


@dataclass(slots=True)
class Hour:
    """An hour of a group, where the bill counts by hour: `over` is billed − recorded by token class."""

    requests: int = 0
    calls: int = 0
    without_usage: int = 0
    over: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))


@dataclass(slots=True)
class Group:
    """A model's day of one owner: a project, or everybody whose keys nobody mapped."""

    day: dt.date
    model: str
    owner: str
    atoms: dict[Place, Atom] = field(default_factory=lambda: defaultdict(Atom))
    calls: int = 0
    without_usage: int = 0
    failed: int = 0
    estimated: int = 0
    lost_by_tier: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    # Recorded dollars that no class carries: rounding of records, and stated costs without usage.
    loose_usd: Fraction = ZERO
    requests: int | None = None
    hourly: dict[dt.datetime, Hour] = field(default_factory=dict)
    # What was found so far: kind → (dollars, evidence).
    found: dict[str, list[tuple[Fraction, dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def blame(self, kind: str, usd: Fraction, **evidence: Any) -> None:
        if usd:
            self.found[kind].append((usd, {key: one for key, one in evidence.items() if one}))


def add_recorded(group: Group, tokens: Iterable[Tokens], calls: Iterable[Calls]) -> None:
    """The recorded side."""
    charged = ZERO
    for one in tokens:
        atom = group.atoms[one.tier, one.token_class]
        if one.cost_usd is None:
            atom.unpriced += one.quantity
            continue
        usd = Fraction(one.cost_usd)
        charged += usd
        atom.priced += one.quantity
        atom.recorded_usd += usd
        atom.guessed += one.quantity if one.is_tier_guessed else 0
        atom.stated_usd += usd if one.is_stated else 0
    total = ZERO
    for row in calls:
        group.calls += row.calls
        group.without_usage += row.without_usage
        group.lost_by_tier[row.tier] += row.without_usage
        group.failed += row.failed
        group.estimated += row.estimated
        total += Fraction(row.cost_usd)
    group.loose_usd = total - charged


def fold(group: Group, *, may_mix: bool = False) -> None:
    """Bring both sides to the coarser of their grains: tiers the bill does not tell apart, classes one side lacks."""
    tiers = {tier for (tier, _), atom in group.atoms.items() if atom.has_charge}
    if "" in tiers or (may_mix and tiers == {"standard"} and _mixes_tiers(group)):
        for place in [place for place in group.atoms if place[0]]:
            group.atoms["", place[1]].absorb(group.atoms.pop(place))
    classes = {name for (_, name), atom in group.atoms.items() if atom.has_charge}
    if classes == {""}:
        for place in [place for place in group.atoms if place[1]]:
            group.atoms[place[0], ""].absorb(group.atoms.pop(place))
        return
    _name_writes(group)
    # The finest first, so that a part of a part goes up twice.
    for name in ("cache_write_5m", "cache_write_1h", *PARENT):
        for tier in {tier for tier, _ in group.atoms}:
            _fold_class(group, tier, name)


def _mixes_tiers(group: Group) -> bool:
    """Whether a bill that says standard throughout charges what all recorded tiers cost together, far rather than what
    the standard tier costs: then it does not tell tiers apart."""
    together = alone = ZERO
    for (tier, name), atom in group.atoms.items():
        others = [one for (_, kind), one in group.atoms.items() if kind == name]
        priced = sum((one.priced for one in others), ZERO)
        if tier != "standard" or not atom.billed or not atom.priced or priced == atom.priced:
            continue
        mixed = sum((one.recorded_usd for one in others), ZERO) / priced
        together += abs(atom.usd - atom.billed * mixed)
        alone += abs(atom.usd - atom.billed * (atom.recorded_usd / atom.priced))
    return together * MUCH < alone


def _name_writes(group: Group) -> None:
    """Cache writes recorded without their age are of the one age the bill knows."""
    for tier in {tier for tier, _ in group.atoms}:
        plain = group.atoms.get((tier, "cache_write"))
        aged = [
            p for p in ((tier, f"cache_write_{age}") for age in ("5m", "1h")) if p in group.atoms
        ]
        charged = [place for place in aged if group.atoms[place].has_charge]
        if plain is not None and not plain.has_charge and not plain.billed and len(charged) == 1:
            group.atoms[charged[0]].absorb(group.atoms.pop((tier, "cache_write")))


def _fold_class(group: Group, tier: str, name: str) -> None:
    child, parent = group.atoms.get((tier, name)), PARENT[name]
    if child is None:
        return
    above = group.atoms.get((tier, parent))
    if name in ("cache_write_5m", "cache_write_1h"):
        is_coarser = above is not None and (
            (above.has_charge and not child.has_charge)
            or (child.has_charge and bool(above.recorded) and not child.recorded)
        )
    else:
        # The bill has no such line, and we charge it like the whole.
        is_coarser = (
            above is not None
            and not child.has_charge
            and not child.billed
            and child.our_price is not None
            and child.our_price == above.our_price
        )
    if is_coarser and above is not None:
        above.absorb(group.atoms.pop((tier, name)))
