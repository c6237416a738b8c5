"""What moved a day's total: model × feature × user × prompt version (and project), in dollars that add up (pure).

The day's calls are held against the mix of comparable days, scaled to what the day was expected to cost. From the whole
down, the value that explains most of the difference is fixed, one dimension after the other, until no single value
explains it: a broad cause ("gpt-5, any user") stays broad, a narrow one ("gpt-5 · triage · user 17") becomes narrow.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

DIMENSIONS = ("project", "model", "feature", "user", "prompt_version")
ZERO = Decimal(0)
# A value must explain this much of a difference to be named.
ENOUGH = Decimal("0.6")
# Causes are named until this much of the excess is left.
LEFT = Decimal("0.1")
MOST = 6
DIGITS = Decimal("0.000000000001")

Key = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """Calls that agree in every dimension: what they cost and were expected to."""

    key: Key
    actual: Decimal
    expected: Decimal
    calls: int
    expected_calls: Decimal

    @property
    def moved(self) -> Decimal:
        return self.actual - self.expected


@dataclass(frozen=True)
class Cause:
    """`where` are the dimensions that were fixed; empty: all that no other cause holds."""

    where: Mapping[str, str]
    usd: Decimal
    actual_usd: Decimal
    expected_usd: Decimal
    calls: int
    expected_calls: Decimal


def cells_of(
    day: Mapping[Key, tuple[Decimal, int]],
    usual: Mapping[Key, tuple[Decimal, int]],
    *,
    expected: Decimal,
) -> list[Cell]:
    """The day's cells against the usual mix of some days together, scaled to add up to `expected`, sorted by key."""
    total = sum((cost for cost, _ in usual.values()), ZERO)
    scale = expected / total if total > 0 else ZERO
    none = (ZERO, 0)
    return [
        Cell(
            key,
            day.get(key, none)[0],
            (usual.get(key, none)[0] * scale).quantize(DIGITS),
            day.get(key, none)[1],
            usual.get(key, none)[1] * scale,
        )
        for key in sorted({*day, *usual})
    ]


def explain(cells: Sequence[Cell], excess: Decimal) -> list[Cause]:
    """Causes, the largest first, and the rest last; their dollars add up to `excess` to the last digit."""
    free = list(cells)
    named: list[Cause] = []
    left = excess
    while free and len(named) < MOST and abs(left) > abs(excess) * LEFT:
        where, inside = _drill(free, is_rise=excess > 0)
        if not where:
            break
        cause = _cause(where, inside)
        if (cause.usd > 0) != (excess > 0) or abs(cause.usd) < abs(excess) * LEFT / 2:
            break
        named.append(cause)
        left -= cause.usd
        taken = {cell.key for cell in inside}
        free = [cell for cell in free if cell.key not in taken]
    named.sort(key=lambda cause: (-abs(cause.usd), sorted(cause.where.items())))
    if left or not named:
        rest = _cause({}, free)
        named.append(
            Cause({}, left, rest.actual_usd, rest.expected_usd, rest.calls, rest.expected_calls)
        )
    return named


def _drill(cells: list[Cell], *, is_rise: bool) -> tuple[dict[str, str], list[Cell]]:
    """The values that hold most of the movement, and the cells within them."""
    where: dict[str, str] = {}
    inside = cells
    while True:
        found = _most_moving(inside, where, is_rise=is_rise, must=bool(where))
        if found is None:
            return where, inside
        place, value = found
        where[DIMENSIONS[place]] = value
        inside = [cell for cell in inside if cell.key[place] == value]


def _most_moving(
    cells: Iterable[Cell], fixed: Mapping[str, str], *, is_rise: bool, must: bool
) -> tuple[int, str] | None:
    """The dimension and value that explain most; none when all agree or, further down, when none explains enough.

    A dimension with one value explains everything and says nothing, so it is passed over.
    """
    sign = 1 if is_rise else -1
    listed = list(cells)
    whole = sign * sum((cell.moved for cell in listed), ZERO)
    best: tuple[Decimal, int, str] | None = None
    for place, name in enumerate(DIMENSIONS):
        if name in fixed:
            continue
        moved: dict[str, Decimal] = defaultdict(Decimal)
        for cell in listed:
            moved[cell.key[place]] += sign * cell.moved
        if len(moved) < 2:
            continue
        value = min(moved, key=lambda one: (-moved[one], one))
        if best is None or moved[value] > best[0]:
            best = (moved[value], place, value)
    if best is None or best[0] <= 0 or (must and best[0] < ENOUGH * whole):
        return None
    return best[1], best[2]


def _cause(where: dict[str, str], cells: Iterable[Cell]) -> Cause:
    listed = list(cells)
    actual = sum((cell.actual for cell in listed), ZERO)
    expected = sum((cell.expected for cell in listed), ZERO)
    return Cause(
        dict(where),
        actual - expected,
        actual,
        expected,
        sum(cell.calls for cell in listed),
        sum((cell.expected_calls for cell in listed), ZERO),
    )
