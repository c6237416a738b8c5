"""The rule of a rule (pure): where it stands, what it sees, and so what happens. docs/alerts.md says it in words.

`step` is called with each reading and is the only place that decides; `replayed` draws the past with it. The caller
keeps the State, its row locked, and does what the Decisions say (alerts.deciding).
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from typing import Protocol

from alerts.terms import (
    FIRING,
    NO_DATA,
    OK,
    PENDING,
    Decision,
    Level,
    Observation,
    Observed,
    Rule,
    State,
    Terms,
    terms_of,
)

__all__ = [
    "BLIND",
    "FIRE",
    "LOWER",
    "RAISE",
    "RESOLVE",
    "Decision",
    "Firing",
    "Level",
    "Observation",
    "Observed",
    "Rule",
    "State",
    "Terms",
    "closed",
    "replayed",
    "step",
    "terms_of",
]

FIRE, RAISE, LOWER, RESOLVE, BLIND = "fire", "raise", "lower", "resolve", "no_data"

# Told again of the same height, while it goes on, at most this often.
AGAIN_AFTER = dt.timedelta(hours=24)

RECOVERED = "Back within the limit."
LIMIT_CHANGED = "The limit was changed; it is not passed any more."
PERIOD_ENDED = "The period ended; the new one begins with nothing."
CALLS_CAME = "There is something to judge again."
TAKEN_AS_FINE = "There is too little to judge, which this alert takes as fine."


def step(
    rule: Terms, state: State, reading: Observed, now: dt.datetime
) -> tuple[State, list[Decision]]:
    """The next state, and what to do. A reading older than the last one changes nothing; the same again neither."""
    if state.evaluated_at is not None and now < state.evaluated_at:
        return state, []
    made: list[Decision] = []
    if reading.period and state.period and reading.period != state.period:
        state = _ended(rule, state, now, PERIOD_ENDED, made)
    state = replace(state, period=reading.period or state.period, evaluated_at=now)
    if gone := str(reading.facts.get("gone", "")):
        state = _ended(rule, state, now, gone, made)
        return replace(state, value=None, sample=0), made
    value = reading.value if reading.sample >= rule.minimum_sample else None
    basis = _basis(rule, reading)
    is_edited = state.basis not in ("", basis)
    state = replace(state, value=value, sample=reading.sample, basis=basis)
    if value is None:
        return _unseen(rule, state, now, made), made
    if state.status == NO_DATA:
        state = _resolved(rule, state, now, CALLS_CAME, made)
    if state.status == FIRING:
        return _going_on(rule, state, value, now, made, is_edited=is_edited), made
    return _at_rest(rule, state, value, now, made), made


def closed(
    rule: Terms, state: State, now: dt.datetime, reason: str
) -> tuple[State, list[Decision]]:
    """The rule was switched off, deleted or lost what it watched: whatever is open ends."""
    made: list[Decision] = []
    return replace(_ended(rule, state, now, reason, made), value=None, sample=0), made


def _basis(rule: Terms, reading: Observed) -> str:
    words = f"{rule.print}|{reading.facts.get('basis', '')}"
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _at_rest(
    rule: Terms, state: State, value: Decimal, now: dt.datetime, made: list[Decision]
) -> State:
    reached = rule.reached(value)
    if reached < 0:
        return _rested(state, now)
    began = state.pending_since or now
    if now - began < rule.pending:
        since = state.since if state.status == PENDING else now
        return replace(state, status=PENDING, since=since, pending_since=began)
    return _fired(rule, state, reached, now, began, made)


def _rested(state: State, now: dt.datetime) -> State:
    since = state.since if state.status == OK else now
    return replace(state, status=OK, since=since or now, pending_since=None)


def _fired(
    rule: Terms,
    state: State,
    level: int,
    now: dt.datetime,
    began: dt.datetime,
    made: list[Decision],
) -> State:
    """A new incident; so soon after the last recovery, the last one goes on if it was about a limit, too."""
    is_soon = _is_soon(rule, state, now)
    heard = state.heard(is_blind=False) if is_soon else None
    is_again, is_quiet = is_soon and state.top >= 0, heard is not None and level <= heard
    made.append(
        _decision(rule, FIRE, level, state, now, began=began, quiet=is_quiet, again=is_again)
    )
    return replace(
        state,
        status=FIRING,
        level=level,
        since=now,
        pending_since=None,
        clear_since=None,
        episode=state.episode if is_again else state.episode + 1,
        top=level if heard is None else max(level, heard),
        other_top=state.heard(is_blind=True) if is_soon else None,
        told_at=state.told_at if is_quiet else now,
        is_quiet=is_quiet,
    )


def _is_soon(rule: Terms, state: State, now: dt.datetime) -> bool:
    return state.recovered_at is not None and now - state.recovered_at < rule.window


def _going_on(
    rule: Terms,
    state: State,
    value: Decimal,
    now: dt.datetime,
    made: list[Decision],
    *,
    is_edited: bool,
) -> State:
    reached = rule.reached(value)
    held = reached if is_edited else max(reached, rule.held(value))
    if held > state.level and reached > state.level:
        return _raised(rule, state, reached, now, made)
    state = replace(state, pending_since=None)
    if held < state.level:
        began = state.clear_since or now
        if not is_edited and now - began < rule.recover:
            return replace(state, clear_since=began)
        if held < 0:
            reason = LIMIT_CHANGED if is_edited else RECOVERED
            return _resolved(rule, state, now, reason, made)
        made.append(_decision(rule, LOWER, held, state, now, quiet=True))
        state = replace(state, level=held)
    return _told_late(rule, replace(state, clear_since=None), now, made)


def _raised(rule: Terms, state: State, level: int, now: dt.datetime, made: list[Decision]) -> State:
    """A higher level, which must last as long as the first one had to."""
    began = state.pending_since or now
    if now - began < rule.pending:
        return replace(state, pending_since=began, clear_since=None)
    is_old = state.told_at is None or now - state.told_at >= AGAIN_AFTER
    # It came back quietly, and the window in which it may is over.
    is_late = state.is_quiet and not _is_soon(rule, state, now)
    is_quiet = level <= state.top and not is_old and not is_late
    made.append(_decision(rule, RAISE, level, state, now, quiet=is_quiet))
    return replace(
        state,
        level=level,
        top=max(level, state.top),
        told_at=state.told_at if is_quiet else now,
        is_quiet=state.is_quiet and is_quiet,
        pending_since=None,
        clear_since=None,
    )


def _told_late(rule: Terms, state: State, now: dt.datetime, made: list[Decision]) -> State:
    """It came back quietly and did not go away: the window is over, so people hear of it."""
    if not state.is_quiet or _is_soon(rule, state, now):
        return state
    move = BLIND if state.status == NO_DATA else FIRE
    made.append(_decision(rule, move, state.level, state, now, again=True))
    return replace(state, is_quiet=False, told_at=now)


def _resolved(
    rule: Terms, state: State, now: dt.datetime, reason: str, made: list[Decision]
) -> State:
    """`level` and `since` begin anew; `top` and `recovered_at` say what a quick return goes on with."""
    made.append(
        _decision(rule, RESOLVE, state.level, state, now, quiet=state.is_quiet, reason=reason)
    )
    # A quiet return does not push the end of the window on: who flaps all day is heard of once per window.
    recovered = state.recovered_at if state.is_quiet else now
    return replace(
        state,
        status=OK,
        level=-1,
        since=now,
        pending_since=None,
        clear_since=None,
        recovered_at=recovered,
        is_quiet=False,
    )


def _ended(rule: Terms, state: State, now: dt.datetime, reason: str, made: list[Decision]) -> State:
    """As `_resolved`, and what comes after is news."""
    if state.is_open:
        state = _resolved(rule, state, now, reason, made)
    return replace(
        _rested(state, now), level=-1, top=-1, other_top=None, told_at=None, recovered_at=None,
        clear_since=None, basis="",
    )  # fmt: skip


def _unseen(rule: Terms, state: State, now: dt.datetime, made: list[Decision]) -> State:
    """Nothing to judge. What was counted towards a change is not known to have lasted."""
    if rule.on_no_data == "resolve":
        if state.is_open:
            return _resolved(rule, state, now, TAKEN_AS_FINE, made)
        return _rested(state, now)
    if state.is_open:
        state = replace(state, pending_since=None, clear_since=None)
        return _told_late(rule, state, now, made) if state.status == NO_DATA else state
    if rule.on_no_data != "alert":
        return _rested(state, now)
    began = state.pending_since or now
    if now - began < rule.pending:
        since = state.since if state.status == PENDING else now
        return replace(state, status=PENDING, since=since, pending_since=began)
    is_soon = _is_soon(rule, state, now)
    is_again, is_quiet = (
        is_soon and state.top < 0,
        is_soon and state.heard(is_blind=True) is not None,
    )
    made.append(_decision(rule, BLIND, 0, state, now, began=began, quiet=is_quiet, again=is_again))
    return replace(
        state, status=NO_DATA, level=-1, since=now, pending_since=None, clear_since=None, top=-1,
        other_top=state.heard(is_blind=False) if is_soon else None,
        episode=state.episode if is_again else state.episode + 1,
        told_at=state.told_at if is_quiet else now, is_quiet=is_quiet,
    )  # fmt: skip


def _decision(
    rule: Terms,
    move: str,
    level: int,
    state: State,
    now: dt.datetime,
    *,
    began: dt.datetime | None = None,
    quiet: bool = False,
    again: bool = False,
    reason: str = "",
) -> Decision:
    known = rule.levels[min(max(level, 0), len(rule.levels) - 1)] if rule.levels else None
    return Decision(
        move=move,
        level=level,
        severity=known.severity if known else "warning",
        limit=known.limit if known and move != BLIND else None,
        value=state.value,
        at=now,
        began_at=began or state.since or now,
        is_quiet=quiet,
        is_again=again,
        reason=reason,
    )


class Placed(Protocol):
    """A point of a course (alerts.measures.base.Point)."""

    @property
    def at(self) -> dt.datetime: ...
    @property
    def value(self) -> Decimal | None: ...


@dataclass(frozen=True)
class Firing:
    """One incident there would have been: its highest level, and the value with which it began."""

    at: dt.datetime
    level: int
    value: Decimal | None
    resolved_at: dt.datetime | None = None


def replayed(
    terms: Terms,
    points: Sequence[Placed],
    period_of: Callable[[dt.datetime], str] | None = None,
    samples: Iterable[int] = (),
) -> list[Firing]:
    """What a rule would have done along a course, oldest first. Without `samples` each point counts."""
    state, found = State(), list[Firing]()
    for point, sample in zip_longest(points, samples, fillvalue=None):
        if point is None:
            break
        seen = Observation(
            point.value,
            terms.minimum_sample if sample is None else sample,
            period_of(point.at) if period_of else "",
        )
        state, decisions = step(terms, state, seen, point.at)
        for one in decisions:
            if one.move in (FIRE, BLIND) and not one.is_again:
                found.append(Firing(one.at, one.level, one.value))
            elif one.move == RESOLVE:
                found[-1] = replace(found[-1], resolved_at=one.at)
            elif one.move != LOWER:
                found[-1] = replace(
                    found[-1], resolved_at=None, level=max(found[-1].level, one.level)
                )
    return found
