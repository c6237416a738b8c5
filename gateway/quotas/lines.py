"""Which counters a call counts in, and how much of each is set aside for it (pure)."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from costs.budgets import scopes
from costs.budgets.periods import day_of, is_within, period_now
from gateway.models import LimitMetric, LimitScope
from gateway.quotas.bounds import Bounds
from gateway.quotas.windows import ALWAYS, window_end, window_start
from gateway.snapshot import BudgetView, LimitView, Snapshot
from gateway.structs import Call

ONE, ZERO = Decimal(1), Decimal(0)
BUDGET = "budget"
MAX_SUBJECT = 200
# What no database holds.
_SURROGATES = re.compile("[\ud800-\udfff]")
# A dated version of a model, as ledgers name what answered: -2024-08-06, -20250514.
_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}")


class CounterKey(NamedTuple):
    """Names a counter; sorted like this they are locked in one order by everybody."""

    organization: str  # UUID, hex
    key: str
    start: dt.datetime


class Line(msgspec.Struct, frozen=True):
    """One limit or budget that counts a call: in which counter, and at most how much."""

    at: CounterKey
    metric: str  # LimitMetric, or BUDGET
    need: Decimal
    rule: LimitView | BudgetView
    is_hard: bool = True
    resets_at: dt.datetime | None = None
    # Whose fallback may answer instead: only the model that answered is charged.
    model: str = ""

    @property
    def amount(self) -> Decimal:
        rule = self.rule
        return rule.amount_usd if isinstance(rule, BudgetView) else rule.amount

    @property
    def is_money(self) -> bool:
        return self.metric in (LimitMetric.USD, BUDGET)

    @property
    def window(self) -> str:
        rule = self.rule
        return rule.period if isinstance(rule, BudgetView) else rule.window

    def stored(self) -> list[str]:
        """As Reservation.lines keeps it."""
        return [self.at.key, self.at.start.isoformat(), str(self.need), self.metric, self.model]


def lines_of(call: Call, snapshot: Snapshot, bounds: Bounds, at: dt.datetime) -> list[Line]:
    """Every limit and running hard budget that counts the call; none where there are none."""
    if not snapshot.limits and not snapshot.budgets:
        return []
    found = [
        Line(
            CounterKey(snapshot.organization_id, f"{one.id}:{subject_of(subject)}", start),
            one.metric,
            _need(one.metric, bounds),
            one,
            one.is_hard,
            window_end(one.window, start),
            subject if one.scope == LimitScope.MODEL and subject in models_of(call) else "",
        )
        for one in snapshot.limits
        for start in (window_start(one.window, at),)
        for subject in _subjects(one, call)
    ]
    if snapshot.budgets:
        found += _budget_lines(call, snapshot, bounds, at)
    return found


def is_bounding(line: Line) -> bool:
    """Whether what a call uses must stay within what was set aside: a hard limit of tokens or dollars."""
    return line.is_hard and (line.is_money or line.metric == LimitMetric.TOKENS)


def models_of(call: Call) -> list[str]:
    """The models that may answer, in order."""
    return list(dict.fromkeys(target.model for target in call.decision.targets)) or [call.model]


def subject_of(text: str) -> str:
    """A subject as keys hold it: what is too long for one is its hash."""
    if len(text) <= MAX_SUBJECT and "\0" not in text and not _SURROGATES.search(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _need(metric: str, bounds: Bounds) -> Decimal:
    if metric == LimitMetric.TOKENS:
        return Decimal(bounds.tokens)
    if metric == LimitMetric.USD:
        return bounds.usd or ZERO
    return ONE


def _subjects(limit: LimitView, call: Call) -> Iterable[str]:
    caller, scope = call.caller, limit.scope
    if scope == LimitScope.ORGANIZATION:
        return ("",)
    if scope == LimitScope.MODEL:
        named = models_of(call)
        return _only(limit.value, (*named, call.model)) if limit.value else named
    if scope == LimitScope.TAG:
        return _only(limit.value, dict.fromkeys(caller.tags))
    if scope == LimitScope.PROJECT:
        return _only(_hex(limit.value), (_hex(caller.project_id),))
    if scope == LimitScope.KEY:
        # A person who calls by hand holds no key and counts as one of their own.
        return _only(_hex(limit.value), (_hex(caller.key_id) or caller.user,))
    return _only(limit.value, (caller.user,) if caller.user else ())


def _only(value: str, subjects: Iterable[str]) -> Iterable[str]:
    if not value:
        return subjects
    return (value,) if value in subjects else ()


def _hex(text: str) -> str:
    """An id in one form, whichever it came in."""
    return text.replace("-", "").lower()


def _budget_lines(
    call: Call, snapshot: Snapshot, bounds: Bounds, at: dt.datetime
) -> Iterable[Line]:
    asked: scopes.Call | None = None
    for one in snapshot.budgets:
        if not is_within(one, day_of(at, one.time_zone)):
            continue
        asked = asked or _asked(call, snapshot)
        if scopes.counts(one, asked) or (one.scope == "model" and _may_answer(one, call, asked)):
            yield Line(
                CounterKey(snapshot.organization_id, f"budget:{one.id}", ALWAYS),
                BUDGET,
                bounds.usd or ZERO,
                one,
                resets_at=period_now(one, at).ends_at,
            )


def _asked(call: Call, snapshot: Snapshot) -> scopes.Call:
    """The call as budgets ask of it."""
    caller = call.caller
    project_id, key = UUID(caller.project_id), str(UUID(caller.key_id)) if caller.key_id else ""
    team = None
    if snapshot.teams is not None:
        team = snapshot.teams.team_of(project_id, caller.tags, key, caller.user)
    return scopes.Call(
        project_id,
        user=caller.user,
        key=key,
        model=call.model,
        agent=caller.agent,
        tags=caller.tags,
        team=team,
    )


def _may_answer(budget: BudgetView, call: Call, asked: scopes.Call) -> bool:
    """Whether the ledger may name the budget's model as the one that answered."""
    if budget.project_id is not None and budget.project_id != asked.project_id:
        return False
    value = budget.value
    return any(
        value == name or (value.startswith(name) and _DATE.fullmatch(value, len(name)))
        for name in models_of(call)
    )


def read_line(stored: Any) -> tuple[str, dt.datetime, Decimal, str, str]:
    """A line of Reservation.lines: key, start, need, metric, model."""
    key, start, need, metric, model = stored
    return key, dt.datetime.fromisoformat(start), Decimal(need), metric, model
