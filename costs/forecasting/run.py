"""Forecasts and strange days of many series, in a process of its own: `python -m costs.forecasting.run task.json`.

statsmodels, pandas and scipy take 150 MB and two seconds to load, so they live as long as one task. No Django here.

The task file: {"result": path, "series": [{"key", "days": [amounts], "horizon", "running", "least"}]}; the result file:
{key: {"forecast": {…} | null, "outliers": [{"place", "expected", "low", "high", "score"}]}}. Amounts are decimal
strings on both sides: the ledger's own are exact, and what is estimated is rounded to six decimals here, once.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

# One thread: the worker beside us has work, too. Before numpy reads it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def written(amount: float) -> str:
    """A decimal string of six places."""
    return f"{amount:.6f}"


def one(series: dict[str, Any]) -> dict[str, Any]:
    """What is to be said about one series."""
    import numpy as np

    from costs.forecasting import backtest, outliers

    days = np.array([float(amount) for amount in series["days"]], dtype=np.float64)
    made = backtest.forecast(days, int(series["horizon"]))
    running = None if series["running"] is None else float(series["running"])
    strange = outliers.outliers(days, least=float(series["least"]), running=running)
    return {
        "forecast": None if made is None else _forecast(made),
        "outliers": [
            {
                "place": day.place,
                "expected": written(day.expected),
                "low": written(day.low),
                "high": written(day.high),
                "score": f"{day.score:.2f}",
            }
            for day in strange
        ],
    }


def _forecast(made: Any) -> dict[str, Any]:
    return {
        "method": made.method,
        "path": [
            [written(value) for value in day]
            for day in zip(made.path, made.low, made.high, strict=True)
        ],
        "low": written(made.total_low),
        "high": written(made.total_high),
        "error_share": written(min(made.error_share, 99999.0)),
        "naive_error_share": written(min(made.naive_error_share, 99999.0)),
        "tested": made.tested,
        "covered": made.covered,
    }


def main() -> int:
    task = json.loads(Path(sys.argv[1]).read_text())
    found = {series["key"]: one(series) for series in task["series"]}
    Path(task["result"]).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
