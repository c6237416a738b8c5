"""How far an import came: one small file per import beside the configuration, gone when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmlab.cli import profiles
from llmlab.cli.imports.units import Rejected

# More are counted, not kept.
MOST_KEPT = 10_000
OUTCOMES = ("stored", "updated", "duplicate", "accepted")


class State:
    """Records done and what became of them. The key: which files, which format, which project."""

    def __init__(self, digests: Sequence[str], form: str, address: str, project: str) -> None:
        key = hashlib.sha256("\n".join([*digests, form, address, project]).encode()).hexdigest()[
            :32
        ]
        self.path: Path = profiles.config_dir() / "imports" / f"{key}.json"
        self.about = {
            "address": address,
            "project": project,
            "format": form,
            "files": list(digests),
        }
        self.done = 0
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.rejected_count = 0
        self.rejected: list[Rejected] = []

    def load(self) -> bool:
        """Go on where an earlier run stopped; False when there is none."""
        try:
            document: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            self.done = int(document["done"])
            self.counts.update({name: int(document["counts"][name]) for name in OUTCOMES})
            self.rejected_count = int(document["rejected_count"])
            self.rejected = [
                Rejected(int(line), str(reason)) for line, reason in document["rejected"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return self.done > 0

    def save(self) -> None:
        """After each request that was acknowledged."""
        document = {
            **self.about,
            "done": self.done,
            "counts": self.counts,
            "rejected_count": self.rejected_count,
            "rejected": self.rejected,
        }
        profiles.write_private(self.path, json.dumps(document))

    def refuse(self, rejected: Rejected) -> None:
        """Note a row that was not stored."""
        self.rejected_count += 1
        if len(self.rejected) < MOST_KEPT:
            self.rejected.append(rejected)

    def forget(self) -> None:
        """The import is done; run again, it sends everything again and finds it there."""
        self.path.unlink(missing_ok=True)
