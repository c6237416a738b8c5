"""Units to the doors in batches; what was refused is told by line. Sending again is safe: ids follow from content."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from llmlab.cli.api import Api, Refused
from llmlab.cli.imports import otlp
from llmlab.cli.imports.state import State
from llmlab.cli.imports.units import COSTS, OTLP, SCORES, TRACES, Item, Rejected, Unit

# Below the server's own bounds (8 MiB packed, 1,000 traces, 5,000 steps, 1,000 scores a request).
MOST_UNITS = 500
MOST_STEPS = 4_000
MOST_BYTES = 4 * 1024 * 1024
_OTLP_NAMED = re.compile(r"(?:^|; )span (\d+): (.*?)(?=; span \d+: |$)", re.DOTALL)


class Sender:
    """Collects the units of whole records, sends them, and notes in the state how far that came."""

    def __init__(self, api: Api, state: State, on_progress: Callable[[int], None]) -> None:
        self.api = api
        self.state = state
        self.on_progress = on_progress
        self._units: list[Unit] = []
        self._weight = self._bytes = self._records = 0
        self._rejected: list[Rejected] = []

    def run(self, records: Iterable[list[Item]]) -> None:
        """Everything after what an earlier run has done. Raises CliError when the server is gone or refuses the key."""
        for number, items in enumerate(records):
            if number < self.state.done:
                continue
            self._records += 1
            for item in items:
                self._take(item)
            if (
                len(self._units) >= MOST_UNITS
                or self._weight >= MOST_STEPS
                or self._bytes >= MOST_BYTES
            ):
                self._flush()
        self._flush()

    def _take(self, item: Item) -> None:
        if isinstance(item, Rejected):
            self._rejected.append(item)
            return
        self._units.append(item)
        self._weight += item.weight
        self._bytes += len(json.dumps(item.body))

    def _flush(self) -> None:
        """Send what is collected, in pieces a request can hold, then note it as done."""
        refused = list(self._rejected)
        for door in (TRACES, OTLP, COSTS, SCORES):
            for piece in _pieces([unit for unit in self._units if unit.door == door]):
                refused += self._send(door, piece)
        for one in sorted(refused):
            self.state.refuse(one)
        self.state.done += self._records
        self.state.save()
        self.on_progress(self.state.done)
        self._units, self._rejected = [], []
        self._weight = self._bytes = self._records = 0

    def _send(self, door: str, units: list[Unit]) -> list[Rejected]:
        """One request. What is too large, or unreadable as a whole, is halved until it is one unit."""
        path, body = self._request(door, units)
        try:
            answer = self.api.post(path, body, is_repeatable=True)
        except Refused as error:
            if error.status not in (400, 413, 422):
                raise
            if len(units) == 1:
                return [Rejected(units[0].line, error.detail)]
            middle = len(units) // 2
            return self._send(door, units[:middle]) + self._send(door, units[middle:])
        if door == OTLP:
            return self._read_otlp(units, answer)
        return self._read_results(units, answer)

    def _request(self, door: str, units: list[Unit]) -> tuple[str, Any]:
        if door == OTLP:
            return "/v1/traces", otlp.request(units)
        return self.api.path(door), {door: [unit.body for unit in units]}

    def _read_results(self, units: list[Unit], answer: Any) -> list[Rejected]:
        """One result per unit, in order."""
        refused: list[Rejected] = []
        results = answer.get("results") if isinstance(answer, dict) else None
        for index, unit in enumerate(units):
            result = results[index] if isinstance(results, list) and index < len(results) else {}
            word = str(result.get("result", ""))
            if word == "rejected" and "detail" in result:
                refused.append(Rejected(unit.line, str(result["detail"])))
                continue
            for one in result.get("rejected") or []:
                step = f"step {one['id']}: " if one.get("id") and unit.weight > 1 else ""
                refused.append(Rejected(unit.line, f"{step}{one['detail']}"))
            if word == "rejected" and not result.get("rejected"):
                refused.append(Rejected(unit.line, "the server refused it and did not say why"))
            elif word != "rejected":
                self._count(_outcome(word))
        return refused

    def _read_otlp(self, units: list[Unit], answer: Any) -> list[Rejected]:
        """OTLP counts the refused and names the first twenty; where it names fewer than it counts, halves are sent."""
        partial = (answer or {}).get("partialSuccess") or {}
        number = int(partial.get("rejectedSpans") or 0)
        if not number:
            self._count("accepted", len(units))
            return []
        message = str(partial.get("errorMessage") or "")
        named = [(int(index), words) for index, words in _OTLP_NAMED.findall(message)]
        if len(named) == number and all(index < len(units) for index, _ in named):
            self._count("accepted", len(units) - number)
            return [
                Rejected(units[index].line, f"span {_span_name(units[index])}: {words}")
                for index, words in named
            ]
        if len(units) == 1:
            return [Rejected(units[0].line, f"span {_span_name(units[0])}: {message or 'refused'}")]
        middle = len(units) // 2
        return self._send(OTLP, units[:middle]) + self._send(OTLP, units[middle:])

    def _count(self, outcome: str, number: int = 1) -> None:
        self.state.counts[outcome] += number


def _outcome(word: str) -> str:
    """Of the doors' words, ours. `partial`: some of its steps were stored, the others are listed."""
    return {
        "duplicate": "duplicate",
        "known": "duplicate",
        "updated": "updated",
        "corrected": "updated",
    }.get(word, "stored")


def _span_name(unit: Unit) -> str:
    span = unit.body["span"]
    return (
        str(span.get("spanId") or span.get("name") or "?")[:40] if isinstance(span, dict) else "?"
    )


def _pieces(units: list[Unit]) -> Iterable[list[Unit]]:
    """Requests within the bounds: a record with many steps may go beyond them with its neighbours."""
    piece: list[Unit] = []
    weight = 0
    for unit in units:
        if piece and (weight + unit.weight > MOST_STEPS or len(piece) >= MOST_UNITS):
            yield piece
            piece, weight = [], 0
        piece.append(unit)
        weight += unit.weight
    if piece:
        yield piece
