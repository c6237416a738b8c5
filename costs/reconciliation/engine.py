"""Why a bill and the records differ: every gap with its causes, to the last digit (pure).

In order: what is no usage (credits, tax, fees), keys outside, the provider's day, the factor over the whole bill
(currency, discount), unit prices pooled over days, then per model and day rounding, prices, tiers, the cache split,
and what is left as a matter of quantity. Amounts are exact fractions until the very end, so that billed − recorded is
the sum of the causes and of what stays unexplained.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from costs.reconciliation import borders, cells
from costs.reconciliation.align import parts_of
from costs.reconciliation.classes import NOT_OF_CALLS
from costs.reconciliation.factor_steps import take_discounts, take_factors
from costs.reconciliation.facts import Cell, Charge, Window
from costs.reconciliation.groups import (
    Book,
    keys_outside,
    split_by_owner,
    take_outside,
    with_owners_found,
)
from costs.reconciliation.rounding import last_place
from costs.reconciliation.solve import Solver
from costs.reconciliation.true_prices import find_prices
from costs.reconciliation.volume import blame_volume
from costs.reconciliation.zones import billing_day, day_end, fitting_zone

NOT_USAGE = {"credit": "credits", "adjustment": "credits", "tax": "tax", "purchase": "fee"}


def reconcile(window: Window, *, finds_zone: bool = True) -> list[Cell]:
    """The cells of the window's days, by day and model. With `finds_zone` a bill that follows another zone's days than
    the account says is read by that zone."""
    if finds_zone:
        window = replace(window, zone=fitting_zone(window))
    books = _books(window)
    outside = keys_outside(window)
    said, window = window.owners, with_owners_found(window, outside)
    units = _units(window.charges)
    tiers = {row.tier for row in window.charges} | {row.tier for row in window.uses}
    for book in books.values():
        book.parts = parts_of(
            book.charges,
            book.uses,
            units=units,
            price_of=window.price_of,
            rates=window.rates,
            is_settled=bool(book.charges) and is_complete(window, book.day),
        )
        book.may_mix = tiers <= {"", "standard"}
        take_outside(book, outside)
        split_by_owner(window, book, outside, said)
    groups = [group for book in books.values() for group in book.groups]
    take_discounts(window, groups)
    take_factors(window, groups)
    seen = find_prices(window, groups)
    solvers = [Solver(window, group, seen[number]) for number, group in enumerate(groups)]
    for solver in solvers:
        solver.run()
    borders.settle(solvers)
    for solver in solvers:
        blame_volume(solver, is_late=_is_late(window, solver.group.day))
    by_group = {id(solver.group): solver for solver in solvers}
    found = [
        cells.cell_of(
            book,
            [by_group[id(group)] for group in book.groups],
            zone=window.zone,
            is_settled=is_complete(window, book.day),
        )
        for _, book in sorted(books.items())
    ]
    return [cell for cell in found if cell is not None]


def _books(window: Window) -> dict[tuple[dt.date, str], Book]:
    wanted = set(window.days)
    books: dict[tuple[dt.date, str], Book] = {}

    def book_of(day: dt.date, model: str) -> Book:
        return books.setdefault((day, model), Book(day, model))

    for charge in _spread(window):
        if charge.day in wanted:
            _put_charge(book_of(charge.day, charge.model), charge)
    for use in window.uses:
        if use.day in wanted:
            book_of(use.day, use.model).uses.append(use)
    for one in window.tokens:
        if (day := billing_day(one.hour, window.zone)) in wanted:
            book_of(day, one.model).tokens.append(one)
    for row in window.calls:
        usd = Fraction(row.cost_usd)
        if (day := billing_day(row.hour, window.zone)) in wanted:
            book_of(day, row.model).calls.append(row)
            book_of(day, row.model).recorded_here += usd
        if row.hour.date() in wanted:
            book_of(row.hour.date(), row.model).recorded += usd
    return books


def _put_charge(book: Book, charge: Charge) -> None:
    if charge.amount_usd is None:
        book.unconverted[charge.currency] += charge.amount
        return
    book.billed += Fraction(charge.amount_usd)
    kind = NOT_USAGE.get(charge.category)
    if kind is None and not charge.model and charge.token_class in NOT_OF_CALLS:
        kind = "fee"
    if kind is None:
        book.charges.append(charge)
        return
    evidence: dict[str, Any] = {"words": charge.words} if charge.words else {}
    book.apart.append((kind, Fraction(charge.amount_usd), evidence))


def _spread(window: Window) -> Iterable[Charge]:
    """Charges of a class that names no model (searches), divided among the models that recorded that class."""
    used: dict[tuple[dt.date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in window.tokens:
        used[billing_day(one.hour, window.zone), one.token_class][one.model] += one.quantity
    for charge in window.charges:
        models = used.get((charge.day, charge.token_class))
        is_whole = charge.model or charge.token_class in NOT_OF_CALLS or charge.category != "usage"
        if is_whole or not models or charge.amount_usd is None:
            yield charge
        else:
            yield from cells.divided(charge, models)


def _units(charges: Iterable[Charge]) -> dict[tuple[str, str], Fraction]:
    """The last decimal place of each account's bill by currency. Lines that were divided after reading say nothing one
    by one: their sum does."""
    amounts: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    whole: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for one in charges:
        place = (one.account, one.currency)
        amounts[place] += [] if one.is_allocated else [one.amount]
        if one.is_allocated:
            whole[(*place, one.day, one.sub_account, one.model, one.tier, one.token_class)] += (
                one.amount
            )
    for (account, currency, *_), amount in whole.items():
        amounts[account, currency].append(amount)
    return {place: last_place(found) for place, found in amounts.items()}


def is_complete(window: Window, day: dt.date) -> bool:
    """Whether the provider has said all it will about a billing day."""
    return window.complete_through is None or day_end(day, window.zone) <= window.complete_through


def _is_late(window: Window, day: dt.date) -> bool:
    """Whether the bill of a day may still grow."""
    if not is_complete(window, day):
        return True
    return window.settled_before is not None and day_end(day, window.zone) > window.settled_before
