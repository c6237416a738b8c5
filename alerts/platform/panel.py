"""The section "Watch" of the operators' system page: every check's figure now, beside its limit and where it stands."""

import datetime as dt

from alerts.models import StateStatus, WatchState
from alerts.platform.checks import Check, Seen
from alerts.platform.look import Look
from alerts.platform.watching import take_all
from core import formats, system

HEADS = ("Check", "Now", "Told from", "Stands", "In words")


def watch_section(now: dt.datetime) -> system.Section:
    """Nine queries for the figures and one for where they stand."""
    rows: list[tuple[str, ...]] = []
    firing: list[str] = []
    states = {(one.kind, one.key): one for one in WatchState.objects.all()}
    for taken in take_all(Look(now)):
        check = taken.check
        if not taken.seen:
            words = taken.error or "Not known while Redis does not answer."
            rows.append((check.label, formats.DASH, limit_words(check), formats.DASH, words))
        for seen in taken.seen:
            state = states.get((check.kind, seen.key))
            rows.append(_row(check, seen, state, now))
            if state and state.status == StateStatus.FIRING:
                firing.append(f"{check.thing(seen)}: {check.advice}")
    last = max((one.evaluated_at for one in states.values() if one.evaluated_at), default=None)
    return system.Section("Watch", HEADS, rows, " ".join(filter(None, [_late(last, now), *firing])))


def _row(check: Check, seen: Seen, state: WatchState | None, now: dt.datetime) -> tuple[str, ...]:
    stands = formats.DASH
    if state:
        stands = state.get_status_display()
        if state.since and state.status != StateStatus.OK:
            stands += f" since {formats.relative_time(state.since, now)}"
    value = formats.DASH if seen.value is None else check.figure(seen.value)
    return (check.thing(seen), value, limit_words(check), stands, seen.words)


def limit_words(check: Check) -> str:
    """`1,000 or more`, `10% or less`, `no answer`, `not watched`."""
    if check.limit is None:
        return "not watched"
    if not check.setting:
        return check.figure(check.limit)
    return f"{check.figure(check.limit)} or {'more' if check.is_above else 'less'}"


def _late(last: dt.datetime | None, now: dt.datetime) -> str:
    if last is None:
        return "LLMLab has not looked at itself yet: is the scheduler running, and a worker?"
    if now - last > dt.timedelta(minutes=5):
        return (
            f"LLMLab last looked at itself {formats.relative_time(last, now)}: nobody is told of"
            " anything below until scheduler, workers and Redis run again."
        )
    return ""
