"""What the server's answer means for a batch: who was stored, who was refused, what it cost."""

from __future__ import annotations

from typing import Any

from llmlab.budgets import Budget
from llmlab.config import Settings
from llmlab.delivery.counts import Counts
from llmlab.delivery.outbox import RUNNING, SCORE, Entry
from llmlab.delivery.telling import Teller
from llmlab.delivery.transport import Answer


class Group:
    """One item of an upload: the entries of one trace, local root and budget."""

    __slots__ = ("budget", "entries")

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget
        self.entries: list[Entry] = []

    def body(self) -> bytes:
        """The item; the newest head speaks for all, and an ended step needs no announcement."""
        ended = {entry.step_id for entry in self.entries if entry.kind != RUNNING}
        bodies = [
            entry.body
            for entry in self.entries
            if entry.kind != RUNNING or entry.step_id not in ended
        ]
        return self.entries[-1].head + b',"steps":[' + b",".join(bodies) + b"]}"


def grouped(batch: list[Entry]) -> list[Group]:
    """The batch as items, in the order their first entries came."""
    groups: dict[tuple[Any, ...], Group] = {}
    for entry in batch:
        group = groups.get(entry.key)
        if group is None:
            group = groups[entry.key] = Group(entry.budget)
        group.entries.append(entry)
    return list(groups.values())


class Reader:
    """Counts and tells what the server said about each item."""

    def __init__(self, settings: Settings, counts: Counts, teller: Teller) -> None:
        self.settings = settings
        self.counts = counts
        self.teller = teller

    def accepted(self, answer: Answer, batch: list[Entry], groups: list[Group]) -> None:
        """Everything in the batch is done with; some of it may have been refused."""
        results = _results(answer)
        if batch and batch[0].kind == SCORE:
            refused = sum(self._score(result) for result in results.values())
            self.counts.sent += max(len(batch) - refused, 0)
            self.counts.rejected += refused
            return
        for index, group in enumerate(groups):
            self._group(group, results.get(index, {}))

    def refused(self, batch: list[Entry], groups: list[Group], detail: str, status: int) -> None:
        """The body as a whole was refused and will never be taken."""
        self.counts.rejected += sum(entry.kind != RUNNING for entry in batch)
        self.teller.once(
            f"refused {status}",
            "LLMLab refused %d steps for good (HTTP %d): %s",
            len(batch),
            status,
            detail,
        )
        for group in groups:
            settle(group.entries, None)

    def _group(self, group: Group, result: dict[str, Any]) -> None:
        rejected = [one for one in result.get("rejected") or () if isinstance(one, dict)]
        for one in rejected:
            self._tell(one)
        ended = [entry for entry in group.entries if entry.kind != RUNNING]
        self.counts.announced += len(group.entries) - len(ended)
        if result.get("result") == "rejected":
            bad = ended
        else:
            ids = {one.get("id") for one in rejected}
            bad = [entry for entry in ended if entry.step_id in ids]
        self.counts.rejected += len(bad)
        self.counts.sent += len(ended) - len(bad)
        if group.budget is not None:
            settle(bad, None)
            self._settle(group, result)

    def _settle(self, group: Group, result: dict[str, Any]) -> None:
        """What the item's calls cost. The server charges the innermost of nested calls only, so fewer
        calls than steps is right, unless an earlier answer got lost: then they were charged before.
        """
        cost, calls, unpriced = (result.get(k) for k in ("cost_usd", "calls", "unpriced_calls"))
        unknown = None
        if isinstance(calls, int) and isinstance(unpriced, int):
            counts = result.get("steps")
            repeated = counts.get("duplicate", 0) if isinstance(counts, dict) else 0
            paying = sum(entry.budget is not None for entry in group.entries)
            was_tried = any(entry.was_tried for entry in group.entries)
            unknown = unpriced + (max(paying - calls, 0) if was_tried and repeated else 0)
        settle(group.entries, None if cost is None else str(cost), unknown)

    def _score(self, result: dict[str, Any]) -> bool:
        status = result.get("status")
        if isinstance(status, int) and status >= 400:
            self._tell(result)
            return True
        return False

    def _tell(self, rejected: dict[str, Any]) -> None:
        code = str(rejected.get("code") or "rejected")
        self.teller.once(
            f"rejected {code}",
            "LLMLab did not store a step or score (%s): %s",
            code,
            rejected.get("detail") or "no reason given",
        )


def settle(entries: list[Entry], cost: str | None, unknown: int | None = None) -> None:
    """Tell the budgets what these calls cost together; without cost and number: never to be known.

    Where there is a cost or a number, all entries are of one budget.
    """
    by_budget: dict[int, tuple[Budget, list[str]]] = {}
    for entry in entries:
        if entry.budget is not None:
            by_budget.setdefault(id(entry.budget), (entry.budget, []))[1].append(entry.step_id)
    for budget, ids in by_budget.values():
        budget.settle(ids, cost, unknown)


def _results(answer: Answer) -> dict[int, dict[str, Any]]:
    document = answer.json()
    listed = document.get("results") if isinstance(document, dict) else document
    found: dict[int, dict[str, Any]] = {}
    for position, result in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(result, dict):
            index = result.get("index")
            found[index if isinstance(index, int) else position] = result
    return found
