"""Cells as CSV: a column per cause, exact decimals."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.csv_cells import inert
from costs.models import GapKind, ReconciledCell

_KINDS = [str(kind) for kind in GapKind.values]
COLUMNS = [
    "provider", "day", "model", "billed_usd", "recorded_usd", "gap_usd", *_KINDS, "unexplained_usd", "calls",
    "requests", "is_settled", "unconverted",
]  # fmt: skip


def cell_rows(cells: Iterable[ReconciledCell]) -> Iterator[Sequence[Any]]:
    """The rows of the file, its head first."""
    yield COLUMNS
    for cell in cells:
        causes = {cause.kind: cause.amount_usd for cause in cell.causes.all()}
        yield [
            cell.provider,
            cell.day.isoformat(),
            cell.model,
            cell.billed_usd,
            cell.recorded_usd,
            cell.billed_usd - cell.recorded_usd,
            *(causes.get(kind, 0) for kind in _KINDS),
            cell.unexplained_usd,
            cell.calls,
            "" if cell.requests is None else cell.requests,
            "yes" if cell.is_settled else "no",
            " ".join(f"{amount} {inert(name)}" for name, amount in cell.unconverted.items()),
        ]
