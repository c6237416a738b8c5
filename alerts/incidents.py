"""What decisions do to incidents: one transaction of one organisation, written together at its end.

The caller holds the rules' rows; incidents are locked here, in key order, before they are changed.
"""

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.utils.text import slugify

from accounts.models import User
from alerts import signals, telling, wording
from alerts.evaluate import BLIND, FIRE, LOWER, RAISE, Decision, State
from alerts.measures.base import Evidence, Measure, Reading
from alerts.measures.registry import measure_for
from alerts.models import (
    SEVERITY_RANK,
    Alert,
    AlertEvent,
    CompareWith,
    DeliveryAction,
    EntryKind,
    EventEntry,
    EventState,
)

logger = logging.getLogger(__name__)

_CHANGED = (
    "severity", "state", "title", "words", "value", "limit", "evidence", "acknowledged_at", "acknowledged_by",
    "snoozed_until", "resolved_at", "resolve_reason", "escalated_at", "waiting_since", "told_at", "updated_at",
)  # fmt: skip


@dataclass
class Round:
    """The incidents of one organisation in one transaction."""

    organization_id: UUID
    now: dt.datetime
    actor: User | None = None
    known: dict[UUID, AlertEvent] = field(default_factory=dict)
    fresh: list[AlertEvent] = field(default_factory=list)
    changed: dict[UUID, AlertEvent] = field(default_factory=dict)
    entries: list[EventEntry] = field(default_factory=list)
    news: list[telling.News] = field(default_factory=list)

    def lock(self, event_ids: Iterable[UUID | None]) -> None:
        """Hold incidents that may change. One query, none without ids."""
        wanted = {one for one in event_ids if one is not None and one not in self.known}
        if wanted:
            rows = AlertEvent.objects.select_for_update(of=("self",)).select_related("alert")
            self.known |= {one.pk: one for one in rows.filter(pk__in=wanted).order_by("pk")}

    def take(
        self, alert: Alert, state: State, decision: Decision, reading: Reading | None, last: UUID | None
    ) -> UUID | None:  # fmt: skip
        """Do what was decided about one key; returns the incident it belongs to. `state` is the one after it."""
        event = self.known.get(last) if last else None
        if decision.move in (FIRE, BLIND) and reading is not None:
            if decision.is_again and event is not None:
                self._again(event, decision, reading)
                return event.pk
            return self._begin(alert, state, decision, reading).pk
        if event is None or not event.is_open:
            return last
        if decision.move == RAISE and reading is not None:
            self._raise(event, decision, reading)
        elif decision.move == LOWER:
            self._lower(event, decision)
        else:
            self._resolve(event, decision)
        return last

    def _begin(
        self, alert: Alert, state: State, decision: Decision, reading: Reading
    ) -> AlertEvent:
        event = AlertEvent(
            organization_id=alert.organization_id,
            project_id=alert.project_id,
            alert=alert,
            kind=alert.kind,
            name=alert.name,
            key=reading.key,
            subject=reading.subject[:200],
            period=reading.period,
            dedup_key=dedup_key(alert, reading, state.episode),
            began_at=decision.began_at,
            fired_at=self.now,
        )
        self._say(event, decision, reading)
        self.fresh.append(event)
        self.known[event.pk] = event
        words = event.words
        if decision.is_quiet:
            words += " This was told shortly before. Nobody is told unless it stays."
        self._write(event, EntryKind.FIRED, words)
        if not decision.is_quiet:
            self._tell(event, DeliveryAction.TRIGGER)
        return event

    def _say(self, event: AlertEvent, decision: Decision, reading: Reading) -> None:
        """Words, figures and evidence as they are now."""
        alert, measure = reading.alert, measure_for(reading.alert.kind)
        event.severity = decision.severity
        event.value, event.limit = reading.value, decision.limit
        event.unit = "percent" if alert.compare_with == CompareWith.BEFORE else measure.unit
        event.evidence = wording.evidence_json(self._evidence(measure, reading), reading)
        if decision.move == BLIND:
            event.title, event.words = blind_words(reading)
        else:
            event.title, event.words = wording.title_and_words(event, alert)

    def _evidence(self, measure: Measure, reading: Reading) -> Evidence:
        """An alert without its causes is better than none: what fails here is left out."""
        try:
            with transaction.atomic():
                return measure.evidence(reading, self.now)
        except Exception:  # the edge of one measure's extras
            logger.exception("alerts.evidence.failed", extra={"alert_id": str(reading.alert.pk)})
            return Evidence()

    def _again(self, event: AlertEvent, decision: Decision, reading: Reading) -> None:
        """It came back soon after its recovery, or stayed after it had: the same incident goes on."""
        was_open = event.is_open
        if not was_open:
            self._write(event, EntryKind.FIRED, reopen(event, decision, self.now))
        if not decision.is_quiet:
            self._say(event, decision, reading)
            if was_open:
                self._write(event, EntryKind.REMINDED, "It came back and stays.")
            self._tell(event, DeliveryAction.TRIGGER)
        self.changed[event.pk] = event

    def _raise(self, event: AlertEvent, decision: Decision, reading: Reading) -> None:
        is_worse = SEVERITY_RANK[decision.severity] > SEVERITY_RANK.get(event.severity, 0)
        self._say(event, decision, reading)
        self._write(event, EntryKind.RAISED, event.words)
        self.changed[event.pk] = event
        if is_worse:
            # Who acknowledged or snoozed it did so for something smaller.
            event.state, event.snoozed_until = EventState.FIRING, None
            event.acknowledged_at = event.acknowledged_by = event.escalated_at = None
            event.waiting_since = self.now
        if not decision.is_quiet and (is_worse or event.state != EventState.SNOOZED):
            self._tell(event, DeliveryAction.RAISE)

    def _lower(self, event: AlertEvent, decision: Decision) -> None:
        """Nobody is told. A snoozed one keeps its severity: what it was snoozed at."""
        if event.state != EventState.SNOOZED:
            event.severity = decision.severity
        self._write(event, EntryKind.LOWERED, f"Below the next limit: {decision.severity}.")
        self.changed[event.pk] = event

    def _resolve(self, event: AlertEvent, decision: Decision) -> None:
        close(event, decision, self.now)
        self._write(event, EntryKind.RESOLVED, decision.reason)
        self.changed[event.pk] = event
        # Of what nobody heard begin, nobody needs to hear the end.
        if event.told_at is not None and not decision.is_quiet:
            self._tell(event, DeliveryAction.RESOLVE)

    def _write(self, event: AlertEvent, kind: str, words: str) -> None:
        self.entries.append(
            EventEntry(event=event, at=self.now, kind=kind, actor=self.actor, words=words)
        )

    def _tell(self, event: AlertEvent, action: str) -> None:
        self.news.append(telling.News(event, action))

    def save(self) -> list[AlertEvent]:
        """Write everything, queue the messages, ring on commit. A fixed number of queries and those of queueing."""
        store(self.fresh, list(self.changed.values()), self.entries, self.now)
        telling.tell(self.news, now=self.now)
        return announce([*self.fresh, *self.changed.values()], self.now)


def reopen(event: AlertEvent, decision: Decision, now: dt.datetime) -> str:
    """The same incident goes on, as if nobody had looked at it yet; returns the words of its entry."""
    event.state, event.resolved_at, event.resolve_reason = EventState.FIRING, None, ""
    event.acknowledged_at = event.acknowledged_by = event.snoozed_until = None
    event.escalated_at, event.waiting_since = None, now
    quiet = " Nobody is told unless it stays." if decision.is_quiet else ""
    return f"It came back soon after its recovery.{quiet}"


def close(event: AlertEvent, decision: Decision, now: dt.datetime) -> None:
    """It is over."""
    event.state, event.resolved_at = EventState.RESOLVED, now
    event.resolve_reason, event.snoozed_until = decision.reason[:200], None


def store(
    fresh: list[AlertEvent], changed: list[AlertEvent], entries: list[EventEntry], now: dt.datetime
) -> None:
    """Write incidents and what happened to them. Three queries at most."""
    AlertEvent.objects.bulk_create(fresh)
    if changed:
        for one in changed:
            one.updated_at = now
        AlertEvent.objects.bulk_update(changed, _CHANGED)
    EventEntry.objects.bulk_create(entries)


def dedup_key(alert: Alert, reading: Reading, episode: int) -> str:
    """What receivers fold repeated messages by: the same from the first to the last of an incident."""
    key = reading.key
    if len(key) > 80:
        key = hashlib.sha256(key.encode()).hexdigest()
    period = f"{slugify(reading.period)}/" if reading.period else ""
    return f"llmlab:{alert.kind}:{alert.pk}:{key}:{period}{episode}"


def blind_words(reading: Reading) -> tuple[str, str]:
    """Of a rule that has too little to judge."""
    alert, least = reading.alert, max(reading.alert.minimum_sample, 1)
    calls = "1 call" if reading.sample == 1 else f"{reading.sample:,} calls"
    words = (
        f"There is too little to judge: {calls} in the last {alert.window_minutes:,} minutes, and"
        f" this alert asks for at least {least:,}."
    )
    return f"{reading.subject or alert.name}: nothing to judge"[:200], words


def announce(events: list[AlertEvent], now: dt.datetime) -> list[AlertEvent]:
    """Say on commit which incidents changed, once per organisation; returns them."""
    by_organization: dict[UUID | None, list[UUID]] = {}
    for one in events:
        by_organization.setdefault(one.organization_id, []).append(one.pk)
    for organization_id, ids in by_organization.items():

        def send(organization_id: UUID | None = organization_id, ids: list[UUID] = ids) -> None:
            signals.events_changed.send(
                sender=AlertEvent, organization_id=organization_id, event_ids=ids, now=now
            )

        transaction.on_commit(send, robust=True)
    return events
