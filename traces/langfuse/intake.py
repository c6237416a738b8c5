"""Take in a batch of Langfuse's events: facts add up, steps follow, all in one transaction.

The result is the same whatever the order and the batches the events come in: a step is written from all that is known
of it, and written again (traces.ingest.span.NormalSpan.is_amending) when more is. A trace that says who it was for
after its calls were charged has them counted under that person.
"""

import datetime as dt
from typing import Any

import msgspec
from django.db import connection, transaction

from core.masking import Masker
from costs.services import record_costs as ledger
from projects.models import ContentCapture
from traces.feedback.scores import record_scores
from traces.ingest import tally
from traces.ingest.capture import Capture
from traces.ingest.context import IngestContext, Written
from traces.ingest.limits import Limits, Window
from traces.ingest.rows import SpanKey
from traces.ingest.span import NormalSpan, Rejection
from traces.ingest.write import TABLES, write_spans
from traces.langfuse import state
from traces.langfuse.events import LOG, OBSERVATION, SCORE, TRACE, Batch, Event
from traces.langfuse.normal import INHERITED, place, root_of, span_id_of, step_of
from traces.langfuse.state import Item, Key
from traces.models import Outcome

DIALECT = "langfuse"
HAS_ENDED = (
    "This {what} ended and its last event came more than two days ago, or another client sent it: "
    "ended steps are not changed. Nothing of this event was stored."
)


class Taken(msgspec.Struct, kw_only=True):
    """What became of each event, by its position in the batch."""

    outcomes: dict[int, str] = {}
    rejections: dict[int, Rejection] = {}
    spans: list[NormalSpan] = []


def take_in(
    context: IngestContext, batch: Batch, *, now: dt.datetime, limits: Limits, window: Window
) -> Taken:
    """Store a batch; everything not named in `rejections` is committed when this returns. Raises OperationalError."""
    moments = [now, *(m for e in batch.events if (m := e.facts.get("startTime")) is not None)]
    moments += [e.at for e in batch.events if not window.complaint(e.at)]
    # Partitions are made outside the transaction.
    ledger.ensure_partitions({m.astimezone(dt.UTC).date() for m in moments}, tables=TABLES)
    taken = Taken(outcomes={}, rejections={r.index: r for r in batch.rejections})
    with transaction.atomic(), connection.cursor() as cursor:
        work = _Work(cursor, context, taken, now, limits, window)
        work.run([event for event in batch.events if event.about in (TRACE, OBSERVATION)])
        _take_scores(context, batch, taken, now)
        _count(cursor, context, taken, now)
    for event in batch.events:
        if event.about == LOG:
            taken.outcomes[event.index] = "log"
    return taken


class _Work:
    """One transaction over traces and observations."""

    def __init__(
        self,
        cursor: Any,
        context: IngestContext,
        taken: Taken,
        now: dt.datetime,
        limits: Limits,
        window: Window,
    ) -> None:
        self.cursor, self.context, self.taken = cursor, context, taken
        self.now, self.limits, self.window = now, limits, window
        self.project_id = context.project_id
        self.items: dict[Key, Item] = {}
        self.written: dict[Key, list[Event]] = {}  # events with news, by item

    def run(self, events: list[Event]) -> None:
        if not events:
            return
        state.lock(self.cursor, self.project_id)
        self._gather(events)
        inherited = {key: self._inherited(item) for key, item in self.items.items()}
        self._apply(events)
        changed = {
            item.item_id
            for key, item in self.items.items()
            if item.kind == TRACE and not item.is_new and self._inherited(item) != inherited[key]
        }
        if changed:
            for key, item in state.siblings(self.cursor, self.project_id, changed).items():
                self.items.setdefault(key, item).is_changed = True
        ready = [
            item
            for item in self.items.values()
            if item.kind == OBSERVATION and item.is_changed and item.trace_id
        ]
        for item in ready:
            place(item)
        self._save()
        spans = [
            step_of(item, self.items[TRACE, item.trace_id], limits=self.limits, window=self.window)
            for item in ready
        ]
        spans += self._roots({item.trace_id for item in ready})
        self.taken.spans = spans
        if spans:
            quiet = msgspec.structs.replace(self.context, door="")
            self._tell(write_spans(quiet, spans, now=self.now))

    @staticmethod
    def _inherited(item: Item) -> list[Any]:
        return [item.get(name) for name in INHERITED]

    def _gather(self, events: list[Event]) -> None:
        """The items the events speak of and the traces these belong to, known ones and new ones."""
        self.items = state.load(
            self.cursor, self.project_id, {(event.about, event.item_id) for event in events}
        )
        for event in events:
            key = (event.about, event.item_id)
            if key not in self.items:
                self.items[key] = Item(
                    kind=key[0], item_id=key[1], facts={}, content={}, is_new=True
                )
        named = {event.facts["traceId"] for event in events if "traceId" in event.facts}
        named |= {item.trace_id for item in self.items.values() if item.kind == OBSERVATION}
        wanted = {(TRACE, trace_id) for trace_id in named if trace_id} - set(self.items)
        self.items |= state.load(self.cursor, self.project_id, wanted)
        for key in wanted - set(self.items):
            # Nobody has spoken of the trace itself yet: it is there all the same.
            self.items[key] = Item(kind=TRACE, item_id=key[1], facts={}, content={}, is_new=True)
            self.items[key].is_changed = True
        for key, item in self.items.items():
            if key[0] == TRACE:
                item.trace_id = item.item_id

    def _apply(self, events: list[Event]) -> None:
        capture = self.context.capture
        masker = Masker(capture.rules) if _is_masked(capture) else None
        for event in sorted(events, key=lambda e: (e.rank, e.index)):
            item = self.items[event.about, event.item_id]
            _under_capture(event, capture, masker)
            if not item.trace_id and event.about == OBSERVATION:
                # The first event that names a trace decides; a create that names none is a trace of its own.
                item.trace_id = event.facts.get("traceId", "")
                if not item.trace_id and not event.is_update:
                    item.trace_id = item.item_id
                    key = (TRACE, item.trace_id)
                    self.items.setdefault(
                        key, Item(kind=TRACE, item_id=key[1], trace_id=key[1], facts={}, content={}, is_new=True)
                    )  # fmt: skip
                item.is_changed |= bool(item.trace_id)
            if item.take(event):
                self.written.setdefault((item.kind, item.item_id), []).append(event)
                first = item.is_new and len(self.written[item.kind, item.item_id]) == 1
                outcome = Outcome.STORED if first else Outcome.UPDATED
            else:
                outcome = Outcome.DUPLICATE
            self.taken.outcomes[event.index] = outcome.value

    def _roots(self, touched: set[str]) -> list[NormalSpan]:
        """The traces' own steps, where they or their extent changed."""
        traces = [
            item
            for item in self.items.values()
            if item.kind == TRACE and (item.is_changed or item.item_id in touched)
        ]
        if not traces:
            return []
        found = state.extents(self.cursor, self.project_id, {item.item_id for item in traces})
        spans = []
        for trace in traces:
            start, end, is_running, level = found.get(trace.item_id, (None, None, False, ""))
            if start is None and trace.get("~heard") is None:
                # Only named by an observation that belongs to another trace: nothing is there.
                trace.is_changed = False
                continue
            own = trace.moment("timestamp") or (trace.first_heard() if start is None else start)
            start = min(moment for moment in (start, own, trace.started_at) if moment is not None)
            extent = (start, max(end or start, start), is_running, level)
            before = (trace.started_at, trace.ended_at, trace.is_running, trace.get("~level") or "")
            if trace.is_changed or extent != before:
                trace.started_at, trace.ended_at, trace.is_running = extent[:3]
                trace.facts["~level"] = [0, 0, level]
                trace.is_changed = True
                spans.append(root_of(trace, extent, self.limits))
        state.save(
            self.cursor, self.project_id, [t for t in traces if t.is_changed], now=self.now
        )  # fmt: skip
        return spans

    def _save(self) -> None:
        """Observations before the extents of their traces are read; traces with these."""
        changed = [i for i in self.items.values() if i.kind == OBSERVATION and i.is_changed]
        state.save(self.cursor, self.project_id, changed, now=self.now)

    def _tell(self, written: Written) -> None:
        """Steps that were not written take their events along."""
        refused: dict[SpanKey, tuple[str, str]] = {
            (r.trace_id, r.span_id): (r.code, r.detail) for r in written.rejections
        }
        for key in written.duplicates:
            what = "trace" if key[0] == key[1] else "observation"
            refused[key] = ("already_ended", HAS_ENDED.format(what=what))
        for key, events in self.written.items():
            item = self.items[key]
            if found := refused.get((item.trace_id, span_id_of(item))):
                for event in events:
                    self.taken.outcomes.pop(event.index, None)
                    self.taken.rejections[event.index] = Rejection(
                        index=event.index,
                        trace_id=item.trace_id,
                        span_id=event.event_id,
                        code=found[0],
                        detail=found[1],
                    )


_MASKED = ("name", "tags", "statusMessage", "version", "release", "promptName")


def _is_masked(capture: Capture) -> bool:
    return bool(capture.rules) and capture.mode != ContentCapture.PLAIN.value


def _under_capture(event: Event, capture: Capture, masker: Masker | None) -> None:
    """Facts are kept beside the step, so what the project allows to store goes for them, too."""
    if capture.mode == ContentCapture.OFF.value:
        event.facts.pop("statusMessage", None)
    if masker is not None:
        for name in _MASKED:
            if name in event.facts:
                event.facts[name] = masker.value(event.facts[name])


def _take_scores(context: IngestContext, batch: Batch, taken: Taken, now: dt.datetime) -> None:
    events = [event for event in batch.events if event.about == SCORE]
    if not events:
        return
    items = [event.score for event in events if event.score is not None]
    found = record_scores(
        project_id=context.project_id, items=items, now=now, capture=context.capture
    )
    for event, told in zip(events, found, strict=True):
        if told.outcome == "rejected":
            taken.rejections[event.index] = Rejection(
                index=event.index, span_id=event.event_id, code="invalid_field", detail=told.detail
            )
        else:
            taken.outcomes[event.index] = told.outcome


def _count(cursor: Any, context: IngestContext, taken: Taken, now: dt.datetime) -> None:
    """Every event but the SDK's own log is one item sent; the last thing before COMMIT."""
    counts = tally.Counts()
    for outcome in taken.outcomes.values():
        counts[DIALECT, outcome, ""] += 1
    tally.add_rejections(counts, taken.rejections.values(), dialect=DIALECT)
    tally.write(
        cursor, project_id=context.project_id, door=context.door, counts=counts, now=now
    )  # fmt: skip
