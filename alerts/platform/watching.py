"""LLMLab looks at itself, each minute: the checks, judged by the rule of all rules (alerts.evaluate), become incidents
of no organisation that the operators are told of.

When scheduler, workers, Redis or PostgreSQL are gone nobody runs this: that is what deploy/grafana is for.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from django.db import DatabaseError, connection, transaction

from alerts.evaluate import Decision, Level, Observation, State, Terms, closed, step
from alerts.models import AlertEvent, WatchSample, WatchState
from alerts.platform.checks import CHECKS, Check, Seen
from alerts.platform.incidents import Turn
from alerts.platform.look import WINDOW, Look

logger = logging.getLogger(__name__)

PENDING = dt.timedelta(minutes=2)
RECOVER = dt.timedelta(minutes=2)
KEEP_SAMPLES = 3 * WINDOW
GONE = "It is not watched any more."
_NAMES = tuple(one.name for one in fields(State))
_PLACES, _WIDE = Decimal("1e-12"), Context(prec=40, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Taken:
    """What one check saw; `error` when it could not look."""

    check: Check
    seen: Sequence[Seen]
    error: str = ""


def terms_of(check: Check) -> Terms:
    """The check as a rule: two minutes until it fires, two until it has recovered, 5 % to come back by."""
    limit = check.limit
    return Terms(
        levels=() if limit is None else (Level(limit, check.severity),),
        is_above=check.is_above,
        pending=PENDING,
        recover=RECOVER,
        minimum_sample=check.least_sample,
        on_no_data="resolve" if check.is_of_requests else "keep",
    )


def take_all(look: Look) -> list[Taken]:
    """Every check; one that cannot look says so and leaves the others standing. Nine queries at most."""
    return [_take(check, look) for check in CHECKS]


def _take(check: Check, look: Look) -> Taken:
    try:
        return Taken(check, check.read(look))
    except (DatabaseError, OSError, ValueError, ArithmeticError) as error:
        logger.warning("alerts.platform.unread: %s %s", check.kind, type(error).__name__)
        return Taken(check, (), f"It could not be read ({type(error).__name__}).")


def watch(*, now: dt.datetime) -> list[AlertEvent]:
    """Look, judge, tell; returns the incidents that changed. Of two at once the second does nothing.

    Nine queries to look, five around the judgement, two for the counters' sample, and those of what happened.
    """
    look = Look(now)
    taken = take_all(look)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('alerts.platform'))")
            if not cursor.fetchone()[0]:
                return []
        _keep_sample(look)
        return _judge_all(taken, now)


def _keep_sample(look: Look) -> None:
    if look.totals is None:
        return
    WatchSample.objects.bulk_create(
        [WatchSample(at=look.now, totals=look.totals.to_json())], ignore_conflicts=True
    )
    WatchSample.objects.filter(at__lt=look.now - KEEP_SAMPLES).delete()


def _judge_all(taken: Iterable[Taken], now: dt.datetime) -> list[AlertEvent]:
    rows = {(row.kind, row.key): row for row in WatchState.objects.all()}
    turn = Turn(now)
    turn.lock([row.event_id for row in rows.values()])
    written: list[WatchState] = []
    known: set[str] = set()
    for one in taken:
        known.add(one.check.kind)
        terms = terms_of(one.check)
        for seen in one.seen:
            place = (one.check.kind, seen.key)
            row = rows.pop(place, None) or WatchState(kind=place[0], key=place[1])
            before = _state_of(row)
            after, decisions = step(terms, before, Observation(seen.value, seen.sample), now)
            row.event_id = turn.take_all(one.check, seen, after, decisions, row.event_id)
            written.append(_filled(row, after))
        if not one.seen:  # nothing is known of its keys
            for place in [place for place in rows if place[0] == one.check.kind]:
                del rows[place]
    _end_gone(list(rows.values()), turn)
    events = turn.save()
    WatchState.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["kind", "key"],
        update_fields=[*_NAMES, "event"],
    )
    return events


def _end_gone(rows: Sequence[WatchState], turn: Turn) -> None:
    """Of disks and queues that are not there any more, and of checks of another release."""
    for row in rows:
        decisions: list[Decision] = closed(Terms(levels=()), _state_of(row), turn.now, GONE)[1]
        turn.take_all(None, None, State(), decisions, row.event_id)
    if rows:
        WatchState.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _state_of(row: WatchState) -> State:
    values: dict[str, Any] = {name: getattr(row, name) for name in _NAMES}
    return State(**values)


def _filled(row: WatchState, state: State) -> WatchState:
    value = state.value
    if value is not None:
        state = replace(state, value=value.quantize(_PLACES, context=_WIDE))
    for name in _NAMES:
        setattr(row, name, getattr(state, name))
    return row
