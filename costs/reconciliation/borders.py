"""Calls around midnight: counted by the provider on one day, recorded on the other (pure)."""

import datetime as dt
from fractions import Fraction

from costs.reconciliation.align import ZERO
from costs.reconciliation.atoms import Place
from costs.reconciliation.solve import Solver


def settle(solvers: list[Solver]) -> None:
    """Where two days of a model differ by exactly the same quantities in opposite directions, the same calls lie on
    both sides of the border."""
    by_place = {(s.group.model, s.group.owner, s.group.day): s for s in solvers}
    for (model, owner, day), one in sorted(by_place.items()):
        other = by_place.get((model, owner, day + dt.timedelta(days=1)))
        if other is None:
            continue
        mine, theirs = _over(one), _over(other)
        if mine and mine == {place: -quantity for place, quantity in theirs.items()}:
            _blame(one, mine)
            _blame(other, theirs)


def _over(solver: Solver) -> dict[Place, Fraction]:
    return {
        place: atom.over
        for place, atom in solver.group.atoms.items()
        if atom.billed is not None and atom.over
    }


def _blame(solver: Solver, over: dict[Place, Fraction]) -> None:
    for place, quantity in over.items():
        atom, left = solver.group.atoms[place], solver.left[place]
        facts = {"note": "border", "tier": place[0], "token_class": place[1]}
        if quantity > 0:
            usd = quantity * (atom.price or ZERO)
        else:
            usd, left[0], left[1] = -left[0] * (atom.our_price or ZERO), ZERO, ZERO
        solver.group.blame("time_zone", usd, tokens=abs(quantity), **facts)
        atom.over = ZERO
