"""Spend as CSV (pure)."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

from core.csv_cells import inert
from core.ranges import Bin, TimeRange
from costs.frames import Chart, rows_of
from costs.selectors.spend import Cell
from costs.selectors.sums import FIELDS


def chart_csv(chart: Chart) -> str:
    """The chart's numbers as drawn: one line per bin, one column per series. An empty cell is unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for place, line in enumerate(rows_of(chart)):
        writer.writerow([inert(str(text)) for text in line] if place == 0 else map(_plain, line))
    return out.getvalue()


def _plain(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value


def spend_csv(cells: Sequence[Cell], *, period: TimeRange, size: Bin, group: str) -> str:
    """One line per bin and group. Amounts keep every digit; times are UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["start", "end", group, *FIELDS])
    for cell in cells:
        span = period.bin_range(cell.at, size)
        sums = [
            _amount(cell.sums.known_cost_usd) if name == "cost_usd" else getattr(cell.sums, name)
            for name in FIELDS
        ]
        writer.writerow(
            [span.start.isoformat(), span.end.isoformat(), inert(cell.value or ""), *sums]
        )
    return out.getvalue()


def _amount(cost: Decimal | None) -> str:
    """Every digit; an empty cell is an unknown cost."""
    return "" if cost is None else f"{cost:f}"
