"""One transaction of the writer: which spans are new, which are charged, what every row becomes.

Locks are taken in one order (traces by id, then sums by key), so writers never deadlock.
"""

import datetime as dt
from collections import defaultdict
from typing import Any
from uuid import UUID

from django.db import transaction

from core import live, outbox
from costs.services import record_costs as ledger
from costs.services import rule_cache
from costs.services.aggregates import Deltas
from costs.services.rows import CostRow
from projects.models import Project
from traces import signals
from traces.ingest import leaf, rollup, running, twins
from traces.ingest.calls import counts_tokens, priced_calls
from traces.ingest.context import IngestContext, Written
from traces.ingest.packs import SealedRow, Stored, copy_rows, sealed_rows
from traces.ingest.rows import SpanKey, SpanRow, copy_spans, span_row
from traces.ingest.span import NormalSpan
from traces.payloads import payload_context, seal_text


class TraceVanishedError(Exception):
    """A trace was deleted between insert and lock; the batch is tried again."""


class Batch:
    """The state of one transaction."""

    def __init__(
        self,
        context: IngestContext,
        spans: dict[SpanKey, NormalSpan],
        sealed: list[SealedRow],
        now: dt.datetime,
        *,
        is_paid: bool = False,
    ) -> None:
        """`is_paid`: the ledger may hold calls of the batch already; they are taken over, not counted twice."""
        self.is_paid = is_paid
        self.context, self.spans, self.sealed, self.now = context, spans, sealed, now
        self.project_id = context.project_id
        self.rules = rule_cache.known_rules(context.project_id)
        self.previous: dict[SpanKey, SpanRow] = {}
        self.stored = Stored(context.cipher, context.project_id)
        self.written = Written()

    def write(self, cursor: Any) -> Written:
        fresh = self._rolled_up_as_new()
        mine, self.is_first = rollup.insert_new(
            cursor, project_id=self.project_id, traces=list(fresh.values())
        )
        known_ids = set(fresh) - mine
        traces = {trace_id: fresh[trace_id] for trace_id in mine}
        window = None
        if known_ids:
            known = rollup.lock_existing(cursor, project_id=self.project_id, trace_ids=known_ids)
            if set(known) != known_ids:
                raise TraceVanishedError
            window = (
                min(t.first_span_at for t in known.values()),
                max(t.last_span_at for t in known.values()),
            )
            self._drop_duplicates(cursor, known_ids, window)
            traces |= {key[0]: known[key[0]] for key in self.spans if key[0] in known_ids}
        if not self.spans:
            return self.written
        self._store(cursor, traces, mine, known_ids, window)
        return self.written

    def _rolled_up_as_new(self) -> dict[str, rollup.TraceRow]:
        """Every trace of the batch as if it were new, ready to insert complete: no second write for new traces."""
        self.rows = {key: span_row(span, now=self.now) for key, span in self.spans.items()}
        self.costs = self._priced(self.spans)
        family = self._family(self.spans)
        family.climb(family.charged)
        traces = self._fresh_traces(self.spans)
        charged = {k: row for k, row in self.costs.items() if k not in family.below}
        lesser, _ = twins.settle(self._ranked(charged), stored={})
        for key, row in charged.items():
            if key not in lesser:
                rollup.add_costs(traces[key[0]], [row])
        for trace in traces.values():
            rollup.conclude(trace, now=self.now)
        return traces

    def _fresh_traces(self, spans: dict[SpanKey, NormalSpan]) -> dict[str, rollup.TraceRow]:
        traces: dict[str, rollup.TraceRow] = {}
        for key, span in spans.items():
            trace = traces.get(key[0])
            if trace is None:
                trace = traces[key[0]] = rollup.new_trace(
                    key[0], started_at=span.started_at, now=self.now
                )
            self._add(trace, span, self.rows[key], previous=None)
        return traces

    def _add(
        self, trace: rollup.TraceRow, span: NormalSpan, row: SpanRow, *, previous: SpanRow | None
    ) -> None:
        if rollup.add_span(trace, span, row, previous=previous) and (
            text := rollup.preview_text(span.input)
        ):
            context = payload_context(self.project_id, trace.trace_id, "preview")
            trace.preview = seal_text(self.context.sealing, text, context)

    def _family(self, spans: dict[SpanKey, NormalSpan]) -> leaf.Family:
        parents: dict[SpanKey, SpanKey | None] = {
            key: (span.trace_id, span.parent_span_id) if span.parent_span_id else None
            for key, span in spans.items()
        }
        charged = [key for key, row in self.costs.items() if key in spans and counts_tokens(row)]
        return leaf.Family(parents, charged)

    def _drop_duplicates(self, cursor: Any, known_ids: set[str], window: leaf.Window) -> None:
        """Ended steps stay as they are unless amended; running ones are completed from this batch."""
        keys = [key for key in self.spans if key[0] in known_ids]
        for key, row in running.stored_rows(cursor, self.context, keys=keys, window=window).items():
            if row.status == "running" or self.spans[key].is_amending:
                self.previous[key] = row
            else:
                self.written.duplicates.append(key)
                del self.spans[key]
        if self.previous:
            self._complete(cursor)
        if touched := {key[0] for key in (*self.written.duplicates, *self.previous)}:
            news = [span for key, span in self.spans.items() if key[0] in touched]
            self.sealed = [row for row in self.sealed if row.trace_id not in touched]
            self.sealed += sealed_rows(
                news,
                cipher=self.context.sealing,
                project_id=self.project_id,
                is_shared=self.context.shares_rows,
            )

    def _complete(self, cursor: Any) -> None:
        self.stored.read(cursor, {key: row.started_at for key, row in self.previous.items()})
        changed = running.completed(
            running=self.previous, contents=self.stored.contents, news=self.spans
        )
        # What was stored under an earlier choice of the project's follows today's.
        today = self.context.capture.apply(list(changed.values()))
        changed = dict(zip(changed, today, strict=True))
        self.spans |= changed
        self.rows |= {key: span_row(span, now=self.now) for key, span in changed.items()}
        self.costs |= self._priced(changed)

    def _priced(self, spans: dict[SpanKey, NormalSpan]) -> dict[SpanKey, CostRow]:
        return priced_calls(
            spans.values(),
            api_key_id=self.context.api_key_id,
            rules=self.rules,
            now=self.now,
        )

    def _store(
        self,
        cursor: Any,
        traces: dict[str, rollup.TraceRow],
        mine: set[str],
        known_ids: set[str],
        window: leaf.Window | None,
    ) -> None:
        self.costs = {key: row for key, row in self.costs.items() if key in self.spans}
        family = self._family(self.spans)
        leaf.settle(
            cursor, project_id=self.project_id, family=family, known_traces=known_ids, window=window
        )
        self.costs = {key: row for key, row in self.costs.items() if key not in family.below}
        displaced = self._settle_twins(cursor, family, known_ids, window)
        seq_of = {
            trace_id: trace.seq + (trace_id not in mine) for trace_id, trace in traces.items()
        }
        deltas: Deltas = {}
        removed = self._remove_wrappers(cursor, family, displaced, seq_of, deltas)
        self._roll_up_known(traces, known_ids, removed)
        self._write_rows(cursor, family, seq_of)
        if self.is_paid:
            keys = [(row.record_id, row.occurred_at) for row in self.costs.values()]
            ledger.remove_rows(cursor, project_id=self.project_id, keys=keys, deltas=deltas)
        ledger.write_rows(
            cursor, project_id=self.project_id, rows=list(self.costs.values()), deltas=deltas
        )
        self.written.costs = {key: row.cost_usd for key, row in self.costs.items()}
        changed = [trace for trace_id, trace in traces.items() if trace_id in known_ids]
        rollup.update_existing(cursor, project_id=self.project_id, traces=changed)
        ledger.finish(
            cursor,
            project_id=self.project_id,
            deltas=deltas,
            recorded=len(self.costs),
            now=self.now,
            rules=self.rules,
        )
        self._announce(seq_of)

    def _ranked(
        self, costs: dict[SpanKey, CostRow]
    ) -> dict[SpanKey, tuple[twins.ResponseKey, twins.Rank]]:
        return {
            key: (
                (key[0], self.rows[key].response_id),
                twins.rank(
                    key[1],
                    is_unpriced=row.cost_usd is None,
                    dialect=self.rows[key].dialect,
                    is_cache_hit=self.rows[key].is_cache_hit,
                    cache_read=row.cache_read_input_tokens,
                    cache_write=row.cache_write_input_tokens,
                    reasoning=row.reasoning_output_tokens,
                ),
            )
            for key, row in costs.items()
            if self.rows[key].response_id
        }

    def _settle_twins(
        self, cursor: Any, family: leaf.Family, known_ids: set[str], window: leaf.Window | None
    ) -> list[leaf.Ancestor]:
        """Of the steps that report one provider response one keeps its record; returns stored ones that lose it."""
        ranked = self._ranked(self.costs)
        stored: twins.Charged = {}
        if window is not None:
            known = {response for key, (response, _) in ranked.items() if key[0] in known_ids}
            stored = twins.stored_twins(
                cursor, project_id=self.project_id, responses=known, window=window
            )
        marked = {(step.trace_id, step.span_id) for step in family.stored.values()}
        stored = {
            response: (step, own)
            for response, (step, own) in stored.items()
            if (step.trace_id, step.span_id) not in marked  # a call below it was found just now
            and (step.trace_id, step.span_id)
            not in self.previous  # amended: its new self is in the batch
        }
        lesser, displaced = twins.settle(ranked, stored=stored)
        self.twins = lesser
        self.costs = {key: row for key, row in self.costs.items() if key not in lesser}
        return displaced

    def _remove_wrappers(
        self,
        cursor: Any,
        family: leaf.Family,
        displaced: list[leaf.Ancestor],
        seq_of: dict[str, int],
        deltas: Deltas,
    ) -> list[CostRow]:
        twins.mark_twins(cursor, project_id=self.project_id, twins=displaced, seq_of=seq_of)
        charged = leaf.mark_ancestors(
            cursor, project_id=self.project_id, ancestors=family.stored.values(), seq_of=seq_of
        )
        # An amended step loses the record it had; the one it deserves now is written with the others.
        amended = [row for row in self.previous.values() if row.has_cost_record]
        gone: list[leaf.Ancestor | SpanRow] = [*charged, *displaced, *amended]
        keys = list({(f"{a.trace_id}/{a.span_id}", a.started_at): None for a in gone})
        return ledger.remove_rows(cursor, project_id=self.project_id, keys=keys, deltas=deltas)

    def _roll_up_known(
        self, traces: dict[str, rollup.TraceRow], known_ids: set[str], removed: list[CostRow]
    ) -> None:
        for key, span in self.spans.items():
            if key[0] in known_ids:
                self._add(traces[key[0]], span, self.rows[key], previous=self.previous.get(key))
        by_trace: dict[str, list[CostRow]] = defaultdict(list)
        for row in self.costs.values():
            by_trace[row.trace_id].append(row)
        for trace_id in known_ids & set(traces):
            rollup.add_costs(traces[trace_id], by_trace[trace_id])
            rollup.add_costs(
                traces[trace_id], [row for row in removed if row.trace_id == trace_id], sign=-1
            )
            rollup.conclude(traces[trace_id], now=self.now)

    def _write_rows(self, cursor: Any, family: leaf.Family, seq_of: dict[str, int]) -> None:
        running.delete_rows(cursor, self.context, list(self.previous.values()))
        rows = [self.rows[key] for key in self.spans]
        for key, row in zip(self.spans, rows, strict=True):
            row.seq = row.placed_seq = seq_of[row.trace_id]
            before = self.previous.get(key)
            if before is not None and before.parent_span_id == row.parent_span_id:
                row.placed_seq = before.placed_seq
            row.has_cost_below = key in family.below
            row.is_twin = key in self.twins
            if cost := self.costs.get(key):
                row.has_cost_record = True
                row.cost_usd, row.price_status = cost.cost_usd, cost.price_status
            (self.written.updated if key in self.previous else self.written.stored).append(key)
        copy_spans(cursor, project_id=self.project_id, rows=rows)
        others = self.stored.make_room(cursor)
        copy_rows(cursor, project_id=self.project_id, rows=[*self.sealed, *others])

    def _announce(self, seq_of: dict[str, int]) -> None:
        """Outbox rows inside the transaction; hints to open pages after it."""
        projects = Project.objects.filter(pk=self.project_id, first_trace_at=None)
        if self.is_first and projects.update(first_trace_at=self.now):
            outbox.enqueue(
                topic="traces.first_trace",
                key=f"traces.first_trace:{self.project_id}",
                payload={"project_id": str(self.project_id), "trace_id": next(iter(seq_of))},
                now=self.now,
            )
        signals.spans_recorded.send(
            sender=Written, project_id=self.project_id, trace_ids=list(seq_of), now=self.now
        )
        transaction.on_commit(lambda: hint(self.project_id, seq_of))


def hint(project_id: UUID, seq_of: dict[str, int]) -> None:
    """To open pages: these traces changed."""
    for trace_id, seq in seq_of.items():
        live.notify(
            live.trace_group(project_id, trace_id),
            {"type": "trace.changed", "trace_id": trace_id, "seq": seq},
        )
