"""A model's day, sorted by whose it is (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from costs.reconciliation.align import ZERO, Part, requests_of
from costs.reconciliation.atoms import Group, Hour, add_recorded, fold
from costs.reconciliation.facts import OUTSIDE, Calls, Charge, Key, Tokens, Use, Window
from costs.reconciliation.keys import outside_keys, owners_found


@dataclass(slots=True)
class Book:
    """A model's day of the window, before and after it is worked out."""

    day: dt.date
    model: str
    charges: list[Charge] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    tokens: list[Tokens] = field(default_factory=list)
    calls: list[Calls] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    # Found outside the groups: (kind, dollars, evidence).
    apart: list[tuple[str, Fraction, dict[str, Any]]] = field(default_factory=list)
    unconverted: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    # The provider names no tier but the standard one, on any day: its lines may charge others all the same.
    may_mix: bool = False
    # All dollars of the bill, and the recorded dollars of the UTC day and of the billing day.
    billed: Fraction = ZERO
    recorded: Fraction = ZERO
    recorded_here: Fraction = ZERO


def owner_of(window: Window, key: Key) -> str:
    """Project id, OUTSIDE or nothing for a key of the bill: what is said of the key, else of its sub-account."""
    account, sub_account, name = key
    for place in (key, (account, "", name) if name else key, (account, sub_account, "")):
        if (found := window.owners.get(place)) is not None:
            return found
    return ""


def keys_outside(window: Window) -> dict[Key, str]:
    """Keys outside: said so (`mapped`), or found so (`found`)."""
    keys = {row.owner_key for row in window.charges} | {row.owner_key for row in window.uses}
    said = {key: owner_of(window, key) for key in keys}
    outside = {key: "mapped" for key, owner in said.items() if owner == OUTSIDE}
    # A bill without keys says nothing about keys.
    unmapped = {key for key, owner in said.items() if not owner and (key[1] or key[2])}
    if unmapped:
        inside = tuple(use for use in window.uses if use.owner_key not in outside)
        found = outside_keys(replace(window, uses=inside), unmapped)
        outside |= dict.fromkeys(found, "found")
    return outside


def take_outside(book: Book, outside: Mapping[Key, str]) -> None:
    """Blame the keys outside for all of their money."""
    inside = []
    for part in book.parts:
        if (how := outside.get(part.owner_key)) is None:
            inside.append(part)
            continue
        _, sub_account, key = part.owner_key
        evidence = {
            "note": how, "sub_account": sub_account, "key": key, "tokens": part.quantity,
            "tier": part.tier, "token_class": part.token_class,
        }  # fmt: skip
        book.apart.append(("outside", part.usd, evidence))
    book.groups = []
    _make_groups(book, inside, [use for use in book.uses if use.owner_key not in outside], outside)


def _make_groups(
    book: Book, parts: list[Part], uses: list[Use], outside: Mapping[Key, str]
) -> None:
    if not (parts or book.calls):
        return
    group = Group(book.day, book.model, "")
    charges = [row for row in book.charges if row.owner_key not in outside]
    _fill(group, parts, uses, charges, book.tokens, book.calls, may_mix=book.may_mix)
    book.groups.append(group)


def with_owners_found(window: Window, outside: Mapping[Key, str]) -> Window:
    """The window with the projects of the keys nobody mapped, where every project's keys are known."""
    keys = {use.owner_key for use in window.uses} - set(outside)
    unmapped = {key for key in keys if (key[1] or key[2]) and not owner_of(window, key)}
    found = owners_found(window, unmapped)
    owners = {**window.owners, **found}
    is_whole = {call.project for call in window.calls} <= set(owners.values())
    return replace(window, owners=owners) if found and is_whole else window


def split_by_owner(
    window: Window, book: Book, outside: Mapping[Key, str], said: Mapping[Key, str]
) -> None:
    """One group per project instead of one for all, where every key of the day's bill has an owner: else a project's
    calls may lie under a key nobody mapped. Owners that nobody `said` divide only what does not agree as a whole: a
    project may have used another's key."""
    parts = [part for part in book.parts if part.owner_key not in outside]
    owners = {owner_of(window, part.owner_key) for part in parts}
    if not owners or "" in owners:
        return
    if window.owners != said and all(_agrees(group) for group in book.groups):
        return
    uses = [use for use in book.uses if use.owner_key not in outside]
    charges = [row for row in book.charges if row.owner_key not in outside]
    mapped = set(window.owners.values()) - {OUTSIDE}
    names = owners | {call.project if call.project in mapped else "" for call in book.calls}
    book.groups = []
    for name in sorted(names):
        group = Group(book.day, book.model, name)
        _fill(
            group,
            [part for part in parts if owner_of(window, part.owner_key) == name],
            [use for use in uses if owner_of(window, use.owner_key) == name],
            [row for row in charges if owner_of(window, row.owner_key) == name],
            [t for t in book.tokens if (t.project if t.project in mapped else "") == name],
            [c for c in book.calls if (c.project if c.project in mapped else "") == name],
            may_mix=book.may_mix,
        )
        book.groups.append(group)


def _agrees(group: Group) -> bool:
    return all(atom.billed == atom.recorded for atom in group.atoms.values())


def _fill(
    group: Group,
    parts: Iterable[Part],
    uses: list[Use],
    charges: list[Charge],
    tokens: list[Tokens],
    calls: list[Calls],
    *,
    may_mix: bool,
) -> None:
    for part in parts:
        group.atoms[part.tier, part.token_class].add_part(part)
    add_recorded(group, tokens, calls)
    requests = requests_of(uses, charges)
    group.requests = sum(requests.values()) if requests else None
    hours = {hour for _, _, hour in requests}
    if hours and None not in hours:
        group.hourly = _hours(requests, uses, tokens, calls)
    fold(group, may_mix=may_mix)


def _hours(
    requests: Mapping[tuple[Key, str, dt.datetime | None], int],
    uses: list[Use],
    tokens: list[Tokens],
    calls: list[Calls],
) -> dict[dt.datetime, Hour]:
    """The hours of a day that the bill counts by hour throughout."""
    found: dict[dt.datetime, Hour] = defaultdict(Hour)
    for (_, _, hour), count in requests.items():
        if hour is not None:
            found[hour].requests += count
    for row in calls:
        found[row.hour].calls += row.calls
        found[row.hour].without_usage += row.without_usage
    for use in uses:
        if use.hour is not None:
            found[use.hour].over[use.token_class] += Fraction(use.quantity)
    for one in tokens:
        found[one.hour].over[one.token_class] -= one.quantity
    return dict(found)
