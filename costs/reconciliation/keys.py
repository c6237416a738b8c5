"""Keys of the bill that carry nobody's calls here, found without anybody saying so (pure).

When the bill of a model's day is exactly what was recorded once some keys are left out, those keys are outside LLMLab:
to the token where nothing else happened, to the request where usage got lost.
"""

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from itertools import combinations

from costs.reconciliation.align import requests_of, used
from costs.reconciliation.classes import PROMPT
from costs.reconciliation.facts import Key, Use, Window
from costs.reconciliation.zones import billing_day

MOST_KEYS = 10
MOST_LEFT_OUT = 4
# Fewer requests than this agree by chance.
FEWEST = 3

_ModelDay = tuple[dt.date, str]
_Usage = dict[str, int]


def outside_keys(window: Window, unmapped: set[Key]) -> frozenset[Key]:
    """The keys among `unmapped` whose calls LLMLab does not see."""
    uses: dict[tuple[dt.date, str], list[Use]] = defaultdict(list)
    for use in window.uses:
        uses[use.day, use.model].append(use)
    recorded, calls = _recorded(window)
    out: dict[Key, int] = defaultdict(int)
    ours: dict[Key, int] = defaultdict(int)
    for place, rows in uses.items():
        found = _left_out(rows, recorded.get(place, {}), calls.get(place, 0), unmapped)
        if found is None:
            continue
        for key in {row.owner_key for row in rows} & unmapped:
            (out if key in found else ours)[key] += 1
    return frozenset(key for key, times in out.items() if times > ours[key])


def _recorded(
    window: Window,
) -> tuple[dict[tuple[dt.date, str], dict[str, Fraction]], dict[tuple[dt.date, str], int]]:
    tokens: dict[tuple[dt.date, str], dict[str, Fraction]] = defaultdict(
        lambda: defaultdict(Fraction)
    )
    calls: dict[tuple[dt.date, str], int] = defaultdict(int)
    for one in window.tokens:
        tokens[billing_day(one.hour, window.zone), one.model][one.token_class] += one.quantity
    for row in window.calls:
        calls[billing_day(row.hour, window.zone), row.model] += row.calls
    return tokens, calls


def _left_out(
    rows: list[Use], recorded: dict[str, Fraction], calls: int, unmapped: set[Key]
) -> frozenset[Key] | None:
    """The fewest keys whose leaving out makes both sides equal; None: no such set, or more than one."""
    keys = sorted({row.owner_key for row in rows} & unmapped)
    if not calls or len(keys) > MOST_KEYS:
        return None
    classes = sorted({row.token_class for row in rows} | set(recorded))
    by_key: dict[Key, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for (key, _, name), quantity in used(rows).items():
        by_key[key][name] += quantity
    requests: dict[Key, int] = defaultdict(int)
    for (key, _, _), count in requests_of(rows, ()).items():
        requests[key] += count
    target = [recorded.get(name, Fraction(0)) for name in classes]
    for size in range(min(len(keys) - 1, MOST_LEFT_OUT) + 1):
        fitting = [
            frozenset(chosen)
            for chosen in combinations(keys, size)
            if _fits(by_key, requests, frozenset(chosen), classes, target, calls)
        ]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _fits(
    by_key: dict[Key, dict[str, Fraction]],
    requests: dict[Key, int],
    without: frozenset[Key],
    classes: list[str],
    target: list[Fraction],
    calls: int,
) -> bool:
    rest = [key for key in by_key if key not in without]
    if [sum((by_key[key][name] for key in rest), Fraction(0)) for name in classes] == target:
        return True
    return calls >= FEWEST and bool(requests) and sum(requests[key] for key in rest) == calls


def owners_found(window: Window, unmapped: set[Key]) -> dict[Key, str]:
    """The project of a key nobody mapped: the only one whose calls agree with the key's bill to the token, on more days
    of a model than not. Prompts count whole: how they divide is another question."""
    billed: dict[Key, dict[_ModelDay, _Usage]] = defaultdict(lambda: defaultdict(_usage))
    for use in window.uses:
        if use.owner_key in unmapped and use.quantity:
            billed[use.owner_key][use.day, use.model][_whole(use.token_class)] += int(use.quantity)
    recorded: dict[_ModelDay, dict[str, _Usage]] = defaultdict(lambda: defaultdict(_usage))
    for one in window.tokens:
        place = billing_day(one.hour, window.zone), one.model
        recorded[place][one.project][_whole(one.token_class)] += one.quantity
    found = {}
    for key, days in billed.items():
        agreeing: dict[str, int] = defaultdict(int)
        for place, usage in days.items():
            for project, own in recorded[place].items():
                agreeing[project] += own == usage
        project = max(agreeing, key=lambda name: agreeing[name], default="")
        is_only = sum(map(bool, agreeing.values())) == 1
        if is_only and agreeing[project] >= FEWEST and agreeing[project] * 2 > len(days):
            found[key] = project
    return found


def _whole(token_class: str) -> str:
    return "input" if token_class in PROMPT else token_class


def _usage() -> _Usage:
    return defaultdict(int)
