"""What decisions about the installation do to its incidents, written together at the end of the caller's transaction.

An incident of the installation has no organisation and no rule; its key is `llmlab:platform.<check>:<key>:…`.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.urls import reverse
from django.utils.text import slugify

from alerts.evaluate import BLIND, FIRE, LOWER, RAISE, Decision, State
from alerts.incidents import announce, close, reopen, store
from alerts.models import AlertEvent, DeliveryAction, EntryKind, EventEntry
from alerts.platform import telling
from alerts.platform.checks import Check, Seen
from core.person_formats import ANYONE, reading_as

PREFIX = "platform."


class Turn:
    """One round of judging; the caller holds the lock that lets only one at it."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self._known: dict[UUID, AlertEvent] = {}
        self._fresh: list[AlertEvent] = []
        self._changed: dict[UUID, AlertEvent] = {}
        self._entries: list[EventEntry] = []
        self._news: list[telling.News] = []

    def lock(self, event_ids: Iterable[UUID | None]) -> None:
        """Hold the incidents that may change, against operators who acknowledge. One query, none without ids."""
        wanted = [one for one in event_ids if one is not None]
        if wanted:
            rows = AlertEvent.objects.select_for_update().filter(pk__in=wanted).order_by("pk")
            self._known = {one.pk: one for one in rows}

    def take_all(
        self, check: Check | None, seen: Seen | None, state: State, decisions: Sequence[Decision], last: UUID | None
    ) -> UUID | None:  # fmt: skip
        """Do what was decided about one key; returns the incident it belongs to. `state` is the one after it."""
        for decision in decisions:
            last = self._take(check, seen, state, decision, last)
        return last

    def _take(
        self, check: Check | None, seen: Seen | None, state: State, decision: Decision, last: UUID | None
    ) -> UUID | None:  # fmt: skip
        event = self._known.get(last) if last else None
        if decision.move in (FIRE, BLIND) and check and seen:
            if decision.is_again and event is not None:
                self._again(event, check, seen, decision)
                return event.pk
            return self._begin(check, seen, state, decision).pk
        if event is None or not event.is_open or decision.move in (RAISE, LOWER):
            return last  # a check has one level: nothing rises or falls
        self._resolve(event, decision)
        return last

    def _begin(self, check: Check, seen: Seen, state: State, decision: Decision) -> AlertEvent:
        event = AlertEvent(
            organization=None,
            kind=f"{PREFIX}{check.kind}"[:32],
            name=check.label,
            key=seen.key,
            subject=check.thing(seen),
            unit=check.unit,
            dedup_key=dedup_key(check, seen, state.episode, self.now),
            began_at=decision.began_at,
            fired_at=self.now,
            waiting_since=self.now,
        )
        _say(event, check, seen, decision)
        self._fresh.append(event)
        self._known[event.pk] = event
        self._write(event, EntryKind.FIRED, event.words)
        self._news.append(telling.News(event, DeliveryAction.TRIGGER))
        return event

    def _again(self, event: AlertEvent, check: Check, seen: Seen, decision: Decision) -> None:
        """It came back soon after its recovery, or stayed after it had: the same incident goes on."""
        was_open = event.is_open
        if not was_open:
            self._write(event, EntryKind.FIRED, reopen(event, decision, self.now))
        if not decision.is_quiet:
            _say(event, check, seen, decision)
            if was_open:
                self._write(event, EntryKind.REMINDED, "It came back and stays.")
            self._news.append(telling.News(event, DeliveryAction.TRIGGER))
        self._changed[event.pk] = event

    def _resolve(self, event: AlertEvent, decision: Decision) -> None:
        close(event, decision, self.now)
        self._write(event, EntryKind.RESOLVED, decision.reason)
        self._changed[event.pk] = event
        if event.told_at is not None and not decision.is_quiet:
            self._news.append(telling.News(event, DeliveryAction.RESOLVE))

    def _write(self, event: AlertEvent, kind: str, words: str) -> None:
        self._entries.append(EventEntry(event=event, at=self.now, kind=kind, words=words))

    def save(self) -> list[AlertEvent]:
        """Write everything, queue the messages, ring on commit; nothing without news."""
        changed = [one for one in self._changed.values() if one not in self._fresh]
        if not self._fresh and not changed:
            return []
        store(self._fresh, changed, self._entries, self.now)
        telling.tell(self._news, now=self.now)
        return announce([*self._fresh, *changed], self.now)


def dedup_key(check: Check, seen: Seen, episode: int, now: dt.datetime) -> str:
    """What receivers fold repeated messages by. With the time, so that it is new also when the memory was lost."""
    return f"llmlab:{PREFIX}{check.kind}:{slugify(seen.key)}:{episode}:{now:%Y%m%dT%H%M%S}"


def _say(event: AlertEvent, check: Check, seen: Seen, decision: Decision) -> None:
    """Words and figures as they are now, written for nobody in particular."""
    with reading_as(lambda: ANYONE):
        value, limit = check.figure(seen.value), check.figure(decision.limit)
        head = seen.words[:1].upper() + seen.words[1:]
        at = "The limit is" if check.unit or check.setting else ""
        said = [head, f"{at} {limit}." if at else "", check.advice]
        event.severity, event.value, event.limit = decision.severity, seen.value, decision.limit
        shown = f": {value}" if check.setting else " does not answer"
        event.title = f"LLMLab: {check.thing(seen)}{shown}"[:200]
        event.words = " ".join(filter(None, said))
        rows = [("Value", value), ("Limit", limit)] if check.setting else []
        event.evidence = {
            "rows": [list(one) for one in (*rows, ("What to do", check.advice))],
            "url": reverse("admin:system"),
            "url_label": "Open the system page",
        }
