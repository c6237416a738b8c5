"""The calls a question is about, and the sums it needs of them by group (numpy, exact)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from costs.explorer.facts import Facts
from costs.explorer.grouping import amounts_by, count_by, sum_by
from costs.explorer.outcomes import Verdicts
from costs.explorer.reading import ERROR, ESTIMATED, SAVED, SAVED_UNKNOWN, TOKENS, UNPRICED


class Rows:
    """The calls of a block that a question is about. With token classes `own` says what these classes alone cost and
    count; None there is nothing."""

    def __init__(self, facts: Facts, calls: Any, own: Mapping[str, Any] | None = None) -> None:
        # `calls`: which ones; None for all of them, as they lie.
        self.facts, self.calls, self.own = facts, calls, own or {}

    def __len__(self) -> int:
        return self.facts.rows if self.calls is None else len(self.calls)

    def only(self, let: Any) -> "Rows":
        """Some of the rows."""
        calls = np.flatnonzero(let) if self.calls is None else self.calls[let]
        own = {name: None if one is None else one[let] for name, one in self.own.items()}
        return Rows(self.facts, calls, own)

    def take(self, column: Any) -> Any:
        """A column of calls by row."""
        return column if self.calls is None else column[self.calls]

    def of(self, name: str) -> Any:
        """A column of the facts by row."""
        return self.own[name] if name in self.own else self.take(self.facts[name])

    def flagged(self, flag: int) -> Any:
        return self.take(self.facts["flags"] & flag > 0)


class Summing:
    """The sums of one block's rows by place."""

    def __init__(self, rows: Rows, verdicts: Mapping[Any, Verdicts]) -> None:
        self.rows, self.verdicts = rows, verdicts

    def sums(self, names: Sequence[str], places: Any, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        nothing: Any = np.zeros(count, dtype=np.int64)
        for name in names:
            if name in found:
                continue
            rows = self.rows
            if is_count(name):
                found[name] = self._counts(name, places, count)
            elif name in TOKENS:
                tokens = rows.of(name)
                found[name] = nothing if tokens is None else sum_by(places, tokens, count)
            elif name.startswith("saved"):
                if (states := rows.of("saved.state")) is None:
                    found[name] = nothing
                elif name == "saved_unknown":
                    found[name] = count_by(places, count, states == SAVED_UNKNOWN)
                else:
                    found |= _amount("saved", places, count, rows.of("saved.high"), rows.of("saved.low"),
                                     states == SAVED)  # fmt: skip
            else:
                found |= self._costs(name.partition(".")[0], places, count, found)
        return found

    def _counts(self, name: str, places: Any, count: int) -> Any:
        """How many calls of a kind."""
        flag = COUNTED.get(name, UNPRICED)
        let = self.rows.flagged(flag) if flag else None
        if name not in COUNTED and (own := self._belongs(name.partition(".")[0])) is not None:
            let = let & own
        return count_by(places, count, let)

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
        return _amount(name, places, count, rows.of("cost.high"), rows.of("cost.low"), let)

    def _belongs(self, name: str) -> Any:
        """The rows whose cost counts for a ratio; None for all."""
        facts = self.rows.facts
        if name == "user_cost":
            let, codes = (
                np.array([text != "" for text in facts.texts("user")], dtype=bool),
                facts["user"],
            )
        else:
            codes, hashes = facts.hashes("session" if name == "session_cost" else "trace")
            let = hashes != 0
            if name == "judged_cost":
                let = let & self.verdicts[facts.project_id].of(hashes)[0]
        return None if let.all() else self.rows.take(let[codes])


# Kinds of calls and their flag; 0: every call.
COUNTED = {"calls": 0, "errors": ERROR, "unpriced_calls": UNPRICED, "estimated_calls": ESTIMATED}
_COSTS = ("cost", "user_cost", "session_cost", "judged_cost")


def is_count(name: str) -> bool:
    """Whether a sum counts calls."""
    return name in COUNTED or name.endswith(".unpriced")


def _amount(name: str, places: Any, count: int, high: Any, low: Any, let: Any) -> dict[str, Any]:
    if let is not None:
        places, high, low = places[let], high[let], low[let]
    halves = amounts_by(places, high, low, count)
    return {f"{name}.high": halves[0], f"{name}.low": halves[1]}
