"""One transaction for the calls of a few milliseconds: lock their counters, decide each in the order they came, write.

Exact under any concurrency: every process that grants holds the counters' row locks while it decides.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec
from django.db import transaction

from gateway.quotas import counters as rows
from gateway.quotas.deciding import Counter, Granted, Refused, blocking, granted, refused, take
from gateway.quotas.lines import BUDGET, CounterKey, Line
from gateway.quotas.spending import spent_of
from gateway.snapshot import BudgetView
from gateway.structs import Call

MAX_KNOWN = 20_000
# A counter that was purged between being made and being locked is made again.
MAX_TRIES = 3


class Asked(msgspec.Struct, frozen=True):
    """A call that waits for its answer."""

    call: Call
    lines: list[Line]
    at: dt.datetime


class Known:
    """The counters this process has seen last: made again only when they are new, and what holds while PostgreSQL is
    away."""

    def __init__(self) -> None:
        self.counters: OrderedDict[CounterKey, Counter] = OrderedDict()

    def missing(self, keys: Iterable[CounterKey]) -> list[CounterKey]:
        return [key for key in keys if key not in self.counters]

    def note(self, found: dict[CounterKey, Counter]) -> None:
        self.counters.update(found)
        for key in found:
            self.counters.move_to_end(key)
        while len(self.counters) > MAX_KNOWN:
            self.counters.popitem(last=False)

    def drop(self, keys: Iterable[CounterKey]) -> None:
        for key in keys:
            self.counters.pop(key, None)


def grant(
    asked: Sequence[Asked], *, owner: str, known: Known, now: dt.datetime
) -> list[Granted | Refused]:
    """Decide them all. Four queries where counters are new, else three; one or two more with budgets.

    Raises DatabaseError when PostgreSQL is away: nothing was granted then, unless the end of the transaction got lost.
    """
    keys = {line.at for one in asked for line in one.lines}
    for left in range(MAX_TRIES - 1, -1, -1):
        if new := known.missing(keys):
            rows.make(new)
        with transaction.atomic():
            found = rows.lock(keys)
            if not left:  # of an organisation that is being deleted
                found |= {key: Counter() for key in keys - found.keys()}
            if len(found) == len(keys):
                outcomes = _decide(asked, found, owner, now)
                known.note(found)
                return outcomes
        known.drop(keys - found.keys())
    raise AssertionError("The last try has all counters.")


def would_grant(one: Asked, now: dt.datetime) -> Granted | Refused:
    """What `grant` would say; nothing is counted. Three queries at most. Raises DatabaseError."""
    keys = {line.at for line in one.lines}
    with transaction.atomic():
        found = {key: Counter() for key in keys} | rows.lock(keys)
        _add_spent([one], found, now)
        return decide(one, found)


def _decide(
    asked: Sequence[Asked], found: dict[CounterKey, Counter], owner: str, now: dt.datetime
) -> list[Granted | Refused]:
    _add_spent(asked, found, now)
    before = {key: (one.used, one.reserved) for key, one in found.items()}
    outcomes: list[Granted | Refused] = []
    written: list[rows.Row] = []
    for one in asked:
        outcome = decide(one, found)
        outcomes.append(outcome)
        if isinstance(outcome, Granted):
            written.append(rows.Row(one.call, one.lines, owner, now))
    deltas = {}
    for key, (used, reserved) in before.items():
        counter = found[key]
        if counter.used != used or counter.reserved != reserved:
            deltas[key] = rows.Delta(counter.used - used, counter.reserved - reserved)
    rows.grow_and_reserve(deltas, written)
    return outcomes


def decide(one: Asked, found: dict[CounterKey, Counter]) -> Granted | Refused:
    """Take what the call needs from the counters, or nothing."""
    is_anthropic = one.call.dialect.is_anthropic
    line = blocking(one.lines, found)
    if line is not None:
        return refused(line, one.lines, found, one.at, is_anthropic=is_anthropic)
    take(one.lines, found)
    return granted(one.lines, found, one.at, is_anthropic=is_anthropic)


def _add_spent(asked: Sequence[Asked], found: dict[CounterKey, Counter], now: dt.datetime) -> None:
    """A budget's counter holds what is set aside; what was spent is the ledger's."""
    budgets: dict[str, dict[CounterKey, BudgetView]] = {}
    for one in asked:
        for line in one.lines:
            if line.metric == BUDGET and isinstance(line.rule, BudgetView):
                budgets.setdefault(line.at.organization, {})[line.at] = line.rule
    for organization, mine in budgets.items():
        spent = spent_of(organization, list(mine.values()), now)
        for key, budget in mine.items():
            found[key].used = spent[budget.id]
