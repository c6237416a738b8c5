"""Cells as CSV: a column per cause, exact decimals."""

import csv
from collections.abc import Iterable, Iterator

from core.csv_cells import Echo, inert
from core.formats import plain_decimal
from costs.models import GapKind, ReconciledCell

_KINDS = [str(kind) for kind in GapKind.values]
COLUMNS = [
    "provider", "day", "model", "billed_usd", "recorded_usd", "gap_usd", *_KINDS, "unexplained_usd", "calls",
    "requests", "is_settled", "unconverted",
]  # fmt: skip


def cells_csv(cells: Iterable[ReconciledCell]) -> Iterator[bytes]:
    """Row by row."""
    writer = csv.writer(Echo(), lineterminator="\r\n")
    yield writer.writerow(COLUMNS).encode()
    for cell in cells:
        causes = {cause.kind: cause.amount_usd for cause in cell.causes.all()}
        yield writer.writerow(
            [
                cell.provider,
                cell.day.isoformat(),
                inert(cell.model),
                plain_decimal(cell.billed_usd),
                plain_decimal(cell.recorded_usd),
                plain_decimal(cell.billed_usd - cell.recorded_usd),
                *(plain_decimal(causes[kind]) if kind in causes else "0" for kind in _KINDS),
                plain_decimal(cell.unexplained_usd),
                cell.calls,
                "" if cell.requests is None else cell.requests,
                "yes" if cell.is_settled else "no",
                " ".join(f"{amount} {inert(name)}" for name, amount in cell.unconverted.items()),
            ]
        ).encode()
