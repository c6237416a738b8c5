"""The calls a question is about, and the sums it needs of them by group (numpy, exact)."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from costs.explorer.facts import Facts
from costs.explorer.grouping import amounts_by, count_by, sum_by
from costs.explorer.outcomes import Verdicts
from costs.explorer.reading import ERROR, ESTIMATED, SAVED, SAVED_UNKNOWN, TOKENS, UNPRICED

# The token classes whose quantities make up each count.
CLASSES = {
    "input_tokens": ("input", "cache_"),
    "output_tokens": ("output", "reasoning"),
    "cache_read_input_tokens": ("cache_read",),
    "cache_write_input_tokens": ("cache_write",),
    "reasoning_output_tokens": ("reasoning",),
}


class Rows:
    """The calls of a block that a question is about, or with token classes their lines of these classes."""

    def __init__(self, facts: Facts, mask: Any, classes: Any = None) -> None:
        self.facts = facts
        # Which calls and lines; None: all of them, as they lie.
        self.calls: Any = None if mask is None else np.flatnonzero(mask)
        self.lines: Any = None
        self.by_line = classes is not None
        # The first row of each call, where a call has one per line.
        self.is_first: Any = None
        if self.by_line:
            self._split(mask, classes)

    def __len__(self) -> int:
        return self.facts.rows if self.calls is None else len(self.calls)

    def _split(self, mask: Any, classes: Any) -> None:
        """Go from calls to their lines of these token classes."""
        self.calls = self.facts.line_rows()
        if mask is not None or not classes.all():
            lines = classes[self.facts["line.class"]]
            if mask is not None:
                lines &= mask[self.calls]
            self.lines = np.flatnonzero(lines)
            self.calls = self.calls[self.lines]
        self.is_first = np.ones(len(self.calls), dtype=bool)
        np.not_equal(self.calls[1:], self.calls[:-1], out=self.is_first[1:])

    def only(self, let: Any) -> "Rows":
        """Some of the rows."""
        found = copy(self)
        found.calls = np.flatnonzero(let) if self.calls is None else self.calls[let]
        if self.by_line:
            found.lines = np.flatnonzero(let) if self.lines is None else self.lines[let]
            found.is_first = self.is_first[let]
        return found

    def take(self, column: Any) -> Any:
        """A column of calls by row."""
        return column if self.calls is None else column[self.calls]

    def of(self, name: str) -> Any:
        return self.take(self.facts[name])

    def line(self, name: str) -> Any:
        """A column of lines by row."""
        return self.facts[name] if self.lines is None else self.facts[name][self.lines]

    def in_classes(self, prefixes: tuple[str, ...]) -> Any:
        """Which rows are lines of such a token class."""
        texts = self.facts.texts("line.class")
        return np.array([text.startswith(prefixes) for text in texts], dtype=bool)[
            self.line("line.class")
        ]

    def flagged(self, flag: int) -> Any:
        return self.take(self.facts["flags"] & flag > 0)


class Summing:
    """The sums of one block's rows by place. `is_first` where calls repeat and are counted once."""

    def __init__(
        self, rows: Rows, verdicts: Mapping[Any, Verdicts], hashes: Callable[[str], tuple[Any, Any]]
    ) -> None:
        self.rows, self.verdicts, self.hashes = rows, verdicts, hashes

    def sums(self, names: Sequence[str], places: Any, count: int, is_first: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            if name in found:
                continue
            if name in COUNTED or name.endswith(".unpriced"):
                found[name] = self.counts(name, places, count, is_first)
            elif name in TOKENS:
                found[name] = sum_by(places, self._tokens(name), count)
            elif name == "saved_unknown":
                found[name] = count_by(places, count, self._is_saving(SAVED_UNKNOWN))
            elif name.startswith("saved."):
                rows = self.rows
                found |= _amount("saved", places, count, rows.of("saved.high"), rows.of("saved.low"),
                                 self._is_saving(SAVED))  # fmt: skip
            else:
                found |= self._costs(name.partition(".")[0], places, count, found)
        return found

    def counts(self, name: str, places: Any, count: int, is_first: Any) -> Any:
        """How many calls of a kind."""
        flag = COUNTED.get(name, UNPRICED)
        let = self.rows.flagged(flag) if flag else None
        if name not in COUNTED and (own := self._belongs(name.partition(".")[0])) is not None:
            let = let & own
        if is_first is not None:
            let = is_first if let is None else let & is_first
        return count_by(places, count, let)

    def _tokens(self, name: str) -> Any:
        """Tokens by row: of the line's class, where calls are split by class."""
        if not self.rows.by_line:
            return self.rows.of(name)
        return self.rows.line("line.quantity") * self.rows.in_classes(CLASSES[name])

    def _is_saving(self, state: int) -> Any:
        """The rows that say what a cache read saved: once per call, at its class."""
        found = self.rows.of("saved.state") == state
        if not self.rows.by_line:
            return found
        texts = self.rows.facts.texts("line.class")
        is_read = np.array([text == "cache_read" for text in texts], dtype=bool)
        return found & is_read[self.rows.line("line.class")]

    def _costs(
        self, name: str, places: Any, count: int, found: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What calls cost: all, or those that name a user, a session, a judged trace."""
        let = None if name == "cost" else self._belongs(name)
        if let is None:
            for other in _COSTS:
                if f"{other}.high" in found and (other == "cost" or self._belongs(other) is None):
                    return {f"{name}.{half}": found[f"{other}.{half}"] for half in ("high", "low")}
        rows = self.rows
        high, low = (
            (rows.line("line.high"), rows.line("line.low"))
            if rows.by_line
            else (rows.of("cost.high"), rows.of("cost.low"))
        )
        return _amount(name, places, count, high, low, let)

    def _belongs(self, name: str) -> Any:
        """The rows whose cost counts for a ratio; None for all."""
        facts = self.rows.facts
        if name == "user_cost":
            let, codes = (
                np.array([text != "" for text in facts.texts("user")], dtype=bool),
                facts["user"],
            )
        else:
            codes, hashes = self.hashes("session" if name == "session_cost" else "trace")
            let = hashes != 0
            if name == "judged_cost":
                let = let & self.verdicts[facts.project_id].of(hashes)[0]
        return None if let.all() else self.rows.take(let[codes])


# Kinds of calls and their flag; 0: every call.
COUNTED = {"calls": 0, "errors": ERROR, "unpriced_calls": UNPRICED, "estimated_calls": ESTIMATED}
_COSTS = ("cost", "user_cost", "session_cost", "judged_cost")


def _amount(name: str, places: Any, count: int, high: Any, low: Any, let: Any) -> dict[str, Any]:
    if let is not None:
        places, high, low = places[let], high[let], low[let]
    halves = amounts_by(places, high, low, count)
    return {f"{name}.high": halves[0], f"{name}.low": halves[1]}
