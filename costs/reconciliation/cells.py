"""From solved groups to cells: amounts back to decimals, nothing lost on the way (pure)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costs.reconciliation.align import ZERO
from costs.reconciliation.facts import Cause, Cell, Charge, Line, PriceSeen
from costs.reconciliation.solve import Solver, is_near
from costs.reconciliation.true_prices import expected

if TYPE_CHECKING:
    from costs.reconciliation.groups import Book

UNIT = 10**18
_WIDE = Context(prec=60)
MOST_EVIDENCE = 12
# Evidence that adds up over lines which say the same.
_SUMMED = ("tokens",)


def to_decimal(value: Fraction) -> Decimal:
    """To eighteen decimals, exact where it is shorter."""
    return _scaled(round(value * UNIT))


def _scaled(units: int) -> Decimal:
    return Decimal(units).scaleb(-18, _WIDE)


def shares(values: Sequence[Fraction], whole: Fraction) -> list[Decimal]:
    """The values to eighteen decimals so that they add up to `whole`, which has no more: largest remainder."""
    floors = [int((value * UNIT).__floor__()) for value in values]
    missing = int(whole * UNIT) - sum(floors)
    order = sorted(
        range(len(values)), key=lambda place: values[place] * UNIT - floors[place], reverse=True
    )
    for place in order[:missing]:
        floors[place] += 1
    return [_scaled(units) for units in floors]


def divided(charge: Charge, models: Mapping[str, int]) -> Iterable[Charge]:
    """One charge over the models of its day by what they recorded of its class; sums kept."""
    total = Fraction(sum(models.values())) or Fraction(1)
    names = sorted(models)
    weights = [Fraction(models[name]) / total for name in names]

    def parts(amount: Decimal | None) -> list[Decimal | None]:
        if amount is None:
            return [None] * len(names)
        return list(shares([Fraction(amount) * weight for weight in weights], Fraction(amount)))

    rows = zip(
        names, parts(charge.amount), parts(charge.amount_usd), parts(charge.list_amount),
        parts(charge.quantity), strict=True,
    )  # fmt: skip
    for name, amount, usd, listed, quantity in rows:
        yield replace(
            charge,
            model=name,
            amount=amount or Decimal(0),
            amount_usd=usd,
            list_amount=listed,
            quantity=quantity,
        )


def cell_of(book: "Book", solvers: Sequence[Solver], *, zone: str, is_settled: bool) -> Cell | None:
    """The cell of a book; None when it holds nothing."""
    blamed = _blamed(book, solvers)
    if shift := book.recorded_here - book.recorded:
        blamed["time_zone"].append((shift, {"note": "days", "zone": zone}))
    gap = book.billed - book.recorded
    if not (book.billed or book.recorded or blamed or book.unconverted or book.calls):
        return None
    kinds = sorted(blamed)
    sums = [sum((usd for usd, _ in blamed[kind]), ZERO) for kind in kinds]
    amounts = shares([*sums, gap - sum(sums, ZERO)], gap)
    usage = sum((part.usd for part in book.parts), ZERO)
    requests = [s.group.requests for s in solvers if s.group.requests is not None]
    return Cell(
        day=book.day,
        model=book.model,
        billed_usd=to_decimal(book.billed),
        recorded_usd=to_decimal(book.recorded),
        matched_usd=to_decimal(max(ZERO, min(usage, book.recorded_here))),
        unexplained_usd=amounts[-1],
        causes=tuple(
            Cause(kind, amount, _evidence(blamed[kind]))
            for kind, amount in zip(kinds, amounts[:-1], strict=True)
            if amount
        ),
        lines=_lines(book),
        prices=_prices(solvers),
        unconverted=dict(book.unconverted),
        is_settled=is_settled,
        calls=sum(row.calls for row in book.calls),
        requests=sum(requests) if requests else None,
    )


def _blamed(
    book: "Book", solvers: Sequence[Solver]
) -> dict[str, list[tuple[Fraction, dict[str, Any]]]]:
    blamed: dict[str, list[tuple[Fraction, dict[str, Any]]]] = defaultdict(list)
    for solver in solvers:
        own = {"project": solver.group.owner} if solver.group.owner else {}
        for kind, rows in solver.group.found.items():
            blamed[kind].extend((usd, {**facts, **own}) for usd, facts in rows)
    for kind, usd, facts in book.apart:
        blamed[kind].append((usd, facts))
    return blamed


def _evidence(rows: list[tuple[Fraction, dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """The figures behind a cause, the largest first; what says the same is summed."""
    merged: dict[tuple[Any, ...], tuple[Fraction, dict[str, Any]]] = {}
    for usd, facts in rows:
        said = tuple(sorted((k, str(v)) for k, v in facts.items() if k not in _SUMMED))
        have = merged.get(said)
        if have is None:
            merged[said] = (usd, dict(facts))
            continue
        for name in _SUMMED:
            if name in facts:
                have[1][name] = have[1].get(name, ZERO) + facts[name]
        merged[said] = (have[0] + usd, have[1])
    ordered = sorted(merged.values(), key=lambda one: abs(one[0]), reverse=True)
    return tuple(
        {"usd": str(to_decimal(usd)), **{key: _plain(value) for key, value in facts.items()}}
        for usd, facts in ordered[:MOST_EVIDENCE]
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{to_decimal(value).normalize():f}"
    return str(value) if isinstance(value, Decimal) else value


def _lines(book: "Book") -> tuple[Line, ...]:
    """Both ledgers row by row: the bill by sub-account and key, the records by project."""
    billed = [
        Line(
            sub_account=part.owner_key[1],
            key=part.owner_key[2],
            tier=part.tier,
            token_class=part.token_class,
            billed_quantity=None if part.quantity is None else to_decimal(part.quantity),
            billed_usd=to_decimal(part.usd),
        )
        for part in book.parts
    ]
    sums: dict[tuple[str, str, str], list[Fraction]] = defaultdict(lambda: [ZERO, ZERO])
    for one in book.tokens:
        own = sums[one.project, one.tier, one.token_class]
        own[0] += one.quantity
        own[1] += Fraction(one.cost_usd or 0)
    recorded = [
        Line(
            project=project,
            tier=tier,
            token_class=name,
            recorded_quantity=to_decimal(quantity),
            recorded_usd=to_decimal(usd),
        )
        for (project, tier, name), (quantity, usd) in sorted(sums.items())
    ]
    return (*billed, *recorded)


def _prices(solvers: Sequence[Solver]) -> tuple[PriceSeen, ...]:
    found = []
    for solver in solvers:
        for place, seen in sorted(solver.seen.items()):
            atom = solver.group.atoms[place]
            ours = atom.our_price
            if ours is None and not atom.unpriced:
                # Nothing was recorded in this tier that day: what we would charge.
                ours = expected(solver.window, solver.group, place)
            found.append(
                PriceSeen(
                    tier=place[0],
                    token_class=place[1],
                    quantity=to_decimal(atom.billed or ZERO),
                    amount_usd=to_decimal(atom.usd),
                    ours=None if ours is None else to_decimal(ours),
                    billed=to_decimal(seen.price),
                    is_same=is_near(seen.price, ours),
                    is_sharp=seen.is_sharp,
                )
            )
    return tuple(found)
