"""What is charged, kept in a file from one start of the simulator to the next.

A bill that were empty after a restart would look like one that was taken back.
"""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.simulator.billing import world

_file: Path | None = None


def keep_in(path: Path) -> None:
    """Read the world from the file, if there is one, and write it there from now on."""
    global _file
    _file = path
    if path.exists():
        documents = json.loads(path.read_text(encoding="utf-8"))
        world.replace([world.read_charge(one) for one in documents])


def write() -> None:
    """Keep the world as it is now, where a file was named. Readers never see half of it."""
    if _file is None:
        return
    documents = [{name: _word(value) for name, value in vars(one).items()} for one in world.every()]
    beside = _file.with_suffix(".new")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(json.dumps(documents), encoding="utf-8")
    beside.replace(_file)


def _word(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value
