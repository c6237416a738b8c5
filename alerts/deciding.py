"""From readings to incidents: one transaction per organisation, in which a rule's row guards its states.

Rules are locked in key order, then the incidents that may change; nobody locks them the other way round. Rules are read
anew under the lock: one that was switched off, deleted or edited meanwhile is judged by what it says now.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from uuid import UUID

from django.db import Error, transaction

from accounts.models import User
from alerts.evaluate import Decision, State, Terms, closed, step, terms_of
from alerts.incidents import Round
from alerts.measures.base import Reading
from alerts.models import Alert, AlertEvent, AlertState

logger = logging.getLogger(__name__)

_NAMES = tuple(one.name for one in fields(State))
_KEPT = (*_NAMES, "subject", "event")
# A state in which nothing moved is written this often, so that a page can say when it was looked at; one whose figure
# alone moved (with every batch, while calls come) this often.
_SEEN_EVERY, _FIGURE_EVERY = dt.timedelta(seconds=50), dt.timedelta(seconds=8)
ZERO = Decimal(0)
_PLACES, _WIDE = Decimal("1e-12"), Context(prec=40, rounding=ROUND_HALF_EVEN)
GONE = "What it watched is not there any more."


def decide(
    readings: Sequence[Reading], *, now: dt.datetime, watched: Collection[Alert] = ()
) -> list[AlertEvent]:
    """Take readings of any organisations; returns the incidents that changed. `now` is when they began to be read: a
    later reading that was decided first is not undone.

    Of the rules `watched` the readings are complete: what has none any more is over. Per organisation three queries,
    a fourth where a state changed, and those of what happened (alerts.incidents). An organisation that fails is
    logged and does not stop the others.
    """
    by_organization: dict[UUID, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_organization[reading.alert.organization_id].append(reading)
    complete: dict[UUID, set[UUID]] = defaultdict(set)
    for alert in watched:
        complete[alert.organization_id].add(alert.pk)
    changed: list[AlertEvent] = []
    for organization_id in sorted({*by_organization, *complete}):
        try:
            with transaction.atomic():
                changed += _decide_one(
                    organization_id,
                    by_organization[organization_id],
                    complete[organization_id],
                    now,
                )
        except (Error, ArithmeticError, LookupError, TypeError, ValueError):
            logger.exception(
                "alerts.deciding.failed", extra={"organization_id": str(organization_id)}
            )
    return changed


def close_rule(
    *, alert: Alert, reason: str, actor: User | None, now: dt.datetime
) -> list[AlertEvent]:
    """End whatever is open of a rule that is switched off or about to be deleted; what it remembers is forgotten, so
    that it begins anew when it is switched on. Call it inside the transaction that does so, before the row is deleted.
    """
    with transaction.atomic():
        held = Alert.objects.select_for_update(no_key=True).filter(pk=alert.pk).first()
        if held is None:
            return []
        terms = terms_of(held)
        judged = []
        for row in AlertState.objects.filter(alert=held).order_by("key"):
            before = state_of(row)
            after, decisions = closed(terms, before, now, reason)
            judged.append(_Judged(row, held, None, before, after, decisions))
        return _carry_out(alert.organization_id, judged, now, actor)


@dataclass
class _Judged:
    """One key of one rule: what came of it."""

    row: AlertState
    alert: Alert
    reading: Reading | None
    before: State
    after: State
    decisions: list[Decision]


def _decide_one(
    organization_id: UUID, readings: Sequence[Reading], complete: set[UUID], now: dt.datetime
) -> list[AlertEvent]:
    wanted = {one.alert.pk for one in readings} | complete
    held = (
        Alert.objects.select_for_update(no_key=True)
        .filter(organization_id=organization_id, pk__in=wanted)
        .order_by("pk")
    )
    alerts = {one.pk: one for one in held if one.is_enabled}
    rows = {(row.alert_id, row.key): row for row in AlertState.objects.filter(alert_id__in=alerts)}
    terms = {pk: terms_of(one) for pk, one in alerts.items()}
    judged, seen = [], set()
    for reading in readings:
        alert = alerts.get(reading.alert.pk)
        if alert is None or (alert.pk, reading.key) in seen:
            continue
        seen.add((alert.pk, reading.key))
        row = rows.get((alert.pk, reading.key)) or AlertState(alert=alert, key=reading.key)
        judged.append(_judge(row, terms[alert.pk], replace(reading, alert=alert), now))
    for place, row in rows.items():
        if row.alert_id in complete and place not in seen:
            judged.append(_judge_gone(row, alerts[row.alert_id], terms[row.alert_id], now))
    return _carry_out(organization_id, judged, now, None)


def _judge(row: AlertState, terms: Terms, reading: Reading, now: dt.datetime) -> _Judged:
    before = state_of(row)
    after, decisions = step(terms, before, reading, now)
    return _Judged(row, reading.alert, reading, before, after, decisions)


def _judge_gone(row: AlertState, alert: Alert, terms: Terms, now: dt.datetime) -> _Judged:
    before = state_of(row)
    if before.evaluated_at is not None and now < before.evaluated_at:
        return _Judged(row, alert, None, before, before, [])
    after, decisions = closed(terms, before, now, GONE)
    return _Judged(row, alert, None, before, after, decisions)


def _carry_out(
    organization_id: UUID, judged: Iterable[_Judged], now: dt.datetime, actor: User | None
) -> list[AlertEvent]:
    judged = list(judged)
    turn = Round(organization_id, now, actor)
    turn.lock(one.row.event_id for one in judged if one.decisions)
    for one in judged:
        for decision in one.decisions:
            one.row.event_id = turn.take(
                one.alert, one.after, decision, one.reading, one.row.event_id
            )
    events = turn.save()
    _save_states(_worth_writing(judged))
    return events


def _worth_writing(judged: Sequence[_Judged]) -> list[_Judged]:
    """What moved; and where a figure has become old, all figures, so that they become old again together."""
    news = [bool(one.decisions) or is_news(one.before, one.after) for one in judged]
    is_due = any(found and not one.decisions for one, found in zip(judged, news, strict=True))
    return [
        one
        for one, found in zip(judged, news, strict=True)
        if found or (is_due and _figure(one.before) != _figure(one.after))
    ]


def _figure(state: State) -> tuple[int, Decimal | None]:
    return state.sample, _stored(state.value)


def is_news(before: State, after: State) -> bool:
    """Whether the row must be written: something moved, or it was not written for long."""
    if before.evaluated_at is None or after.evaluated_at is None:
        return True
    age = after.evaluated_at - before.evaluated_at
    if age >= _SEEN_EVERY or _but_figure(after) != _but_figure(before):
        return True
    return age >= _FIGURE_EVERY and _figure(before) != _figure(after)


def _but_figure(state: State) -> State:
    """What is written at once when it changes. Nothing to judge is not a figure."""
    return replace(state, evaluated_at=None, sample=0, value=None if state.value is None else ZERO)


def _save_states(judged: Sequence[_Judged]) -> None:
    """One statement; rows of a rule are nobody else's while its row is held."""
    if not judged:
        return
    for one in judged:
        for name in _NAMES:
            setattr(one.row, name, getattr(one.after, name))
        one.row.value = _stored(one.after.value)
        if one.reading is not None:
            one.row.subject = one.reading.subject[:200]
    AlertState.objects.bulk_create(
        [one.row for one in judged],
        update_conflicts=True,
        unique_fields=["alert", "key"],
        update_fields=_KEPT,
    )


def _stored(value: Decimal | None) -> Decimal | None:
    """As the column keeps it. Decisions are taken with all digits."""
    return None if value is None else value.quantize(_PLACES, context=_WIDE)


def state_of(row: AlertState) -> State:
    """The state a row keeps."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _NAMES}
    return State(**values)
