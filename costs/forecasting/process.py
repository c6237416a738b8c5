"""Runs costs.forecasting.run beside the worker, so that the worker stays as small as it was."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from core.formats import plain_decimal

LONGEST_S = 180


def task_of(
    key: str, days: Sequence[Decimal], *, horizon: int, running: Decimal | None, least: Decimal
) -> dict[str, Any]:
    """One series of a task; `days` are whole days, `running` is what today has cost so far."""
    return {
        "key": key,
        "days": [plain_decimal(amount) for amount in days],
        "horizon": horizon,
        "running": None if running is None else plain_decimal(running),
        "least": plain_decimal(least),
    }


def fit(series: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is to be said about each series, by key. Raises RuntimeError with the process's words when it fails."""
    if not series:
        return {}
    spool = Path(settings.LLMLAB_DATA_DIR) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool, prefix="forecast-") as place:
        task, result = Path(place) / "task.json", Path(place) / "result.json"
        task.write_text(json.dumps({"result": str(result), "series": list(series)}))
        _run([sys.executable, "-m", "costs.forecasting.run", str(task)])
        found: dict[str, Any] = json.loads(result.read_text())
        return found


def _run(command: list[str]) -> None:
    """Run a command, and keep the step's transaction awake: PostgreSQL ends sessions that idle in one."""
    end = time.monotonic() + LONGEST_S
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                if time.monotonic() > end:
                    raise RuntimeError(f"Forecasting took longer than {LONGEST_S} s.")
                try:
                    process.wait(2)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise RuntimeError(
                f"Forecasting failed: {said.read()[-1000:].decode(errors='replace')}"
            )
