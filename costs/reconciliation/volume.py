"""Quantities only one side holds: calls elsewhere, usage that got lost, bills that are not complete (pure)."""

from fractions import Fraction
from math import isqrt

from costs.reconciliation.align import ZERO
from costs.reconciliation.atoms import Group, Place
from costs.reconciliation.solve import Solver

# Without a count of requests: how many times larger than the others one call that lost its usage may have been. Many
# such calls come nearer to the average.
BENEFIT = 9


def blame_volume(solver: Solver, *, is_late: bool) -> None:
    """Give every remaining quantity of a group its cause."""
    group = solver.group
    lost = _lost_share(group)
    facts = _figures(group)
    for place, atom in sorted(group.atoms.items()):
        if atom.billed is None:
            continue
        words = {"tier": place[0], "token_class": place[1]}
        if atom.over > 0:
            usd = atom.over * (atom.price or ZERO)
            share = _share_at(group, place, lost)
            for kind, part in (("lost_usage", share), ("outside", 1 - share)):
                if part:
                    group.blame(
                        kind, usd * part, tokens=atom.over * part, theirs=atom.price,
                        note=_note(group, kind, share), **words, **facts,
                    )  # fmt: skip
        elif left := solver.left[place][0]:
            _blame_left(solver, place, left, is_late=is_late)


def _blame_left(solver: Solver, place: Place, left: Fraction, *, is_late: bool) -> None:
    group, atom = solver.group, solver.group.atoms[place]
    ours = atom.our_price or ZERO
    group.blame(
        "late" if is_late else "not_billed", -left * ours, tokens=left, ours=ours,
        tier=place[0], token_class=place[1], **_figures(group),
    )  # fmt: skip


def _figures(group: Group) -> dict[str, object]:
    return {"calls": group.calls, "requests": group.requests, "without_usage": group.without_usage}


def _extra_requests(group: Group) -> int | None:
    """How many requests the bill counts beyond our calls; calls that failed without usage may or may not count."""
    if group.requests is None:
        return None
    return max(0, group.requests - group.calls)


def _lost_share(group: Group) -> Fraction | None:
    """How much of the billed surplus belongs to calls that were recorded without their usage; None: a class's own
    figures must say."""
    extra, without = _extra_requests(group), group.without_usage
    if not group.calls:
        return ZERO
    if extra == 0:
        return Fraction(1)
    if extra is None:
        return None if without or group.estimated else ZERO
    if not without:
        return ZERO
    return Fraction(without, without + extra)


def _share_at(group: Group, place: Place, share: Fraction | None) -> Fraction:
    """The share of one class: by the hours in which only one of both happened where the bill counts by hour; without
    any count of requests, what calls of that day use on average."""
    if share is None:
        return _by_average(group)
    if not group.hourly or share in (0, 1):
        return share
    lost = whole = ZERO
    for hour in group.hourly.values():
        over = max(ZERO, hour.over.get(place[1], ZERO))
        extra = max(0, hour.requests - hour.calls)
        if over and (extra or hour.without_usage):
            lost += over * Fraction(hour.without_usage, hour.without_usage + extra)
            whole += over
    return lost / whole if whole else share


def _by_average(group: Group) -> Fraction:
    """By money, all classes together: one call's classes differ far more from another's than its cost does."""
    counted = group.calls - group.without_usage
    atoms = [atom for atom in group.atoms.values() if atom.billed is not None]
    over = sum((max(ZERO, atom.over) * (atom.price or ZERO) for atom in atoms), ZERO)
    recorded = sum((atom.recorded * (atom.price or ZERO) for atom in atoms), ZERO)
    if counted <= 0 or not recorded or not over:
        return Fraction(1)
    likely = recorded / counted * group.without_usage
    spread = 1 + BENEFIT / Fraction(max(isqrt(group.without_usage), 1))
    return Fraction(1) if over <= likely * spread else likely / over


def _note(group: Group, kind: str, share: Fraction) -> str:
    if not group.calls:
        return "no_calls"
    if 0 < share < 1:
        return "shared" if group.requests is not None else "average"
    if kind == "outside":
        return "more_requests" if group.requests is not None else "requests_unknown"
    if not group.without_usage:
        return "estimated" if group.estimated else "same_calls"
    return "no_usage"
