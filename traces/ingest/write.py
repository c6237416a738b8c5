"""The one writer: spans, payloads, cost records, traces and sums in one transaction, set-based and idempotent.

A batch belongs to one project. Statements per batch: 5 when all its traces are new, about a dozen otherwise, whatever
its size. Locks are taken in one order (traces by id, then aggregates by key), so writers never deadlock. When this
returns, everything named as stored is committed.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from core import live, outbox
from costs.services import record_costs as ledger
from costs.services.aggregates import Deltas
from costs.services.rows import CostRow
from costs.usage import ChargeableCall
from projects.models import Project
from traces import signals
from traces.ingest import leaf, rollup, twins
from traces.ingest.duplicates import merged, without_duplicates
from traces.ingest.json_steps import DURATION_UNKNOWN
from traces.ingest.json_traces import STATUS_INFERRED
from traces.ingest.rows import (
    SPAN_COLUMNS,
    SpanKey,
    SpanRow,
    copy_payloads,
    copy_spans,
    key_of,
    sealed_payloads,
    span_row,
)
from traces.ingest.span import NormalSpan, Rejection
from traces.payloads import open_payload, payload_context, seal_text

logger = logging.getLogger(__name__)
TABLES = ("traces_span", "traces_spanpayload", ledger.TABLE)
MAX_TRIES = 3


class IngestContext(msgspec.Struct, frozen=True):
    """Whose batch it is: the project, its organisation's cipher, and the key that sent it."""

    project_id: UUID
    cipher: AESGCM
    api_key_id: str = ""


class Written(msgspec.Struct, kw_only=True):
    """What became of each span. `stored` and `updated` are committed; `duplicates` changed nothing."""

    stored: list[SpanKey] = []
    updated: list[SpanKey] = []
    duplicates: list[SpanKey] = []
    rejections: list[Rejection] = []

    def __iadd__(self, other: "Written") -> "Written":
        self.stored += other.stored
        self.updated += other.updated
        self.duplicates += other.duplicates
        self.rejections += other.rejections
        return self


class _TraceVanishedError(Exception):
    """A trace was deleted between insert and lock; the batch is tried again."""


def write_spans(
    context: IngestContext, spans: Sequence[NormalSpan], *, now: dt.datetime
) -> Written:
    """Store a batch. Raises OperationalError when PostgreSQL is away or too busy: nothing was stored, try again later.

    A span PostgreSQL will not take (DataError: a hole in the sanitiser) is refused alone; its neighbours are stored.
    """
    if not spans:
        return Written()
    try:
        return _write_with_retry(context, spans, now=now)
    except DataError:
        logger.exception("traces.ingest.unstorable", extra={"project_id": str(context.project_id)})
    if len(spans) == 1:
        span = spans[0]
        refused = Rejection(
            index=0,
            trace_id=span.trace_id,
            span_id=span.span_id,
            code="unstorable",
            detail="The database refused a value of this step; nothing of it was stored.",
        )
        return Written(rejections=[refused])
    middle = len(spans) // 2
    result = write_spans(context, spans[:middle], now=now)
    result += write_spans(context, spans[middle:], now=now)
    return result


def _write_with_retry(
    context: IngestContext, spans: Sequence[NormalSpan], *, now: dt.datetime
) -> Written:
    batch = {key_of(span): span for span in without_duplicates(spans)}
    sealed = sealed_payloads(
        list(batch.values()), cipher=context.cipher, project_id=context.project_id
    )
    days = {span.started_at.astimezone(dt.UTC).date() for span in batch.values()}
    for attempt in range(1, MAX_TRIES + 1):
        ledger.ensure_partitions(days, tables=TABLES)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                return _Batch(context, dict(batch), dict(sealed), now).write(cursor)
        except _TraceVanishedError:
            if attempt == MAX_TRIES:
                raise OperationalError("The traces of this batch keep being deleted.") from None
        except IntegrityError:
            # A partition this process remembered was dropped by retention meanwhile: look again.
            ledger.forget_partitions()
            if attempt == MAX_TRIES:
                raise
        except OperationalError as error:
            if attempt == MAX_TRIES or not _is_passing(error):
                raise
    raise AssertionError("unreachable")


def _is_passing(error: OperationalError) -> bool:
    """Deadlock or serialisation failure: the same batch succeeds when tried again."""
    return getattr(error.__cause__, "sqlstate", "") in ("40P01", "40001")


class _Batch:
    """The state of one transaction."""

    def __init__(
        self,
        context: IngestContext,
        spans: dict[SpanKey, NormalSpan],
        sealed: dict[SpanKey, tuple[bytes, int]],
        now: dt.datetime,
    ) -> None:
        self.context, self.spans, self.sealed, self.now = context, spans, sealed, now
        self.project_id = context.project_id
        self.previous: dict[SpanKey, SpanRow] = {}
        self.written = Written()

    def write(self, cursor: Any) -> Written:
        fresh = self._rolled_up_as_new()
        mine = rollup.insert_new(cursor, project_id=self.project_id, traces=list(fresh.values()))
        known_ids = set(fresh) - mine
        traces = {trace_id: fresh[trace_id] for trace_id in mine}
        window = None
        if known_ids:
            known = rollup.lock_existing(cursor, project_id=self.project_id, trace_ids=known_ids)
            if set(known) != known_ids:
                raise _TraceVanishedError
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
        calls = [
            self._call(span)
            for span in self.spans.values()
            if span.is_call and span.ended_at is not None
        ]
        self.costs: dict[SpanKey, CostRow] = {
            (row.trace_id, row.span_id): row for row in ledger.price_calls(calls, now=self.now)
        }
        self._new_family = self._family(self.spans)
        leaf.Family.climb(self._new_family, self._new_family.charged)
        traces = self._fresh_traces(self.spans)
        charged = {k: row for k, row in self.costs.items() if k not in self._new_family.below}
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
            trace.preview = seal_text(self.context.cipher, text, context)

    def _call(self, span: NormalSpan) -> ChargeableCall:
        return ChargeableCall(
            record_id=f"{span.trace_id}/{span.span_id}",
            occurred_at=span.started_at,
            trace_id=span.trace_id,
            span_id=span.span_id,
            provider=span.provider,
            model=span.response_model or span.request_model,
            request_model=span.request_model,
            operation=span.operation,
            service_tier=span.service_tier,
            processing=span.processing,
            speed=span.speed,
            usage=span.usage,
            client_cost_usd=span.client_cost_usd,
            is_error=span.status == "error",
            is_rejected=span.is_rejected,
            is_cache_hit=span.is_cache_hit,
            latency_ms=None if DURATION_UNKNOWN in span.flags else span.duration_ms,
            first_token_ms=span.first_token_ms,
            environment=span.environment,
            agent=span.agent,
            user_id=span.user_id,
            session_id=span.session_id,
            feature=span.feature,
            prompt_version=span.prompt_version,
            tags=span.tags,
            api_key_id=self.context.api_key_id,
        )

    def _family(self, spans: dict[SpanKey, NormalSpan]) -> leaf.Family:
        parents: dict[SpanKey, SpanKey | None] = {
            key: (span.trace_id, span.parent_span_id) if span.parent_span_id else None
            for key, span in spans.items()
        }
        charged = [
            key
            for key in spans
            if (row := self.costs.get(key))
            and (
                row.input_tokens is not None
                or row.output_tokens is not None
                or row.price_status == "client"
            )
        ]
        return leaf.Family(parents, charged)

    def _drop_duplicates(self, cursor: Any, known_ids: set[str], window: leaf.Window) -> None:
        """Ended steps stay as they are; running ones are completed from this batch."""
        keys = [key for key in self.spans if key[0] in known_ids]
        cursor.execute(
            f"SELECT {', '.join('s.' + name for name in SPAN_COLUMNS)} FROM traces_span s"  # noqa: S608
            " JOIN unnest(%s::text[], %s::text[]) AS k(trace_id, span_id)"
            " ON s.trace_id = k.trace_id AND s.span_id = k.span_id"
            " WHERE s.project_id = %s AND s.started_at BETWEEN %s AND %s AND s.trace_id = ANY(%s)",
            [[k[0] for k in keys], [k[1] for k in keys], self.project_id, *window, list(known_ids)],
        )
        for values in cursor.fetchall():
            stored = SpanRow(**dict(zip(SPAN_COLUMNS, values, strict=True)))
            key = (stored.trace_id, stored.span_id)
            if stored.status != "running":
                self.written.duplicates.append(key)
                del self.spans[key]
            else:
                self.previous[key] = stored
        if self.previous:
            self._complete_running(cursor)

    def _complete_running(self, cursor: Any) -> None:
        """Merge what was stored of each running step (columns and payload) under what has come now."""
        stored = list(self.previous.values())
        cursor.execute(
            "SELECT p.trace_id, p.span_id, p.data FROM traces_spanpayload p"
            " JOIN unnest(%s::text[], %s::text[], %s::timestamptz[]) AS k(trace_id, span_id, started_at)"
            " USING (trace_id, span_id, started_at)"
            " WHERE p.project_id = %s AND p.trace_id = ANY(%s) AND p.started_at = ANY(%s)",
            [*(keys := _key_columns(stored)), self.project_id, keys[0], keys[2]],
        )
        contents = {
            (trace_id, span_id): open_payload(
                self.context.cipher, data, payload_context(self.project_id, trace_id, span_id)
            )
            for trace_id, span_id, data in cursor.fetchall()
        }
        changed = {}
        for key, row in self.previous.items():
            news = self.spans[key]
            if STATUS_INFERRED in news.flags:
                news = msgspec.structs.replace(news, status="running", ended_at=None)
            span = merged(_as_span(row, contents.get(key, {})), news)
            if span.ended_at is not None and span.ended_at < row.started_at:
                span = msgspec.structs.replace(span, ended_at=row.started_at)
            changed[key] = self.spans[key] = msgspec.structs.replace(
                span, started_at=row.started_at
            )
            self.rows[key] = span_row(self.spans[key], now=self.now)
        calls = [
            self._call(span)
            for span in changed.values()
            if span.is_call and span.ended_at is not None
        ]
        for cost in ledger.price_calls(calls, now=self.now):
            self.costs[cost.trace_id, cost.span_id] = cost
        self.sealed |= sealed_payloads(
            list(changed.values()), cipher=self.context.cipher, project_id=self.project_id
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
        ledger.write_rows(
            cursor, project_id=self.project_id, rows=list(self.costs.values()), deltas=deltas
        )
        changed = [trace for trace_id, trace in traces.items() if trace_id in known_ids]
        rollup.update_existing(cursor, project_id=self.project_id, traces=changed)
        version = ledger.finish(
            cursor,
            project_id=self.project_id,
            deltas=deltas,
            recorded=len(self.costs),
            now=self.now,
        )
        self._announce(version, seq_of)

    def _ranked(
        self, costs: dict[SpanKey, CostRow]
    ) -> dict[SpanKey, tuple[twins.ResponseKey, twins.Rank]]:
        return {
            key: (
                (key[0], self.rows[key].response_id),
                twins.rank(
                    key[1],
                    is_unpriced=row.cost_usd is None,
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
        keys = [(f"{a.trace_id}/{a.span_id}", a.started_at) for a in [*charged, *displaced]]
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
        if self.previous:
            stored = list(self.previous.values())
            keys = _key_columns(stored)
            for table in ("traces_span", "traces_spanpayload"):
                cursor.execute(
                    f"DELETE FROM {table} s USING unnest(%s::text[], %s::text[], %s::timestamptz[])"  # noqa: S608
                    " AS k(trace_id, span_id, started_at) WHERE s.project_id = %s AND s.trace_id = k.trace_id"
                    " AND s.span_id = k.span_id AND s.started_at = k.started_at"
                    " AND s.trace_id = ANY(%s) AND s.started_at = ANY(%s)",
                    [*keys, self.project_id, keys[0], keys[2]],
                )
        rows = [self.rows[key] for key in self.spans]
        for key, row in zip(self.spans, rows, strict=True):
            row.seq = seq_of[row.trace_id]
            row.has_cost_below = key in family.below
            row.is_twin = key in self.twins
            if cost := self.costs.get(key):
                row.has_cost_record = True
                row.cost_usd, row.price_status = cost.cost_usd, cost.price_status
            (self.written.updated if key in self.previous else self.written.stored).append(key)
        copy_spans(cursor, project_id=self.project_id, rows=rows)
        copy_payloads(cursor, project_id=self.project_id, rows=rows, sealed=self.sealed)

    def _announce(self, version: int, seq_of: dict[str, int]) -> None:
        """Outbox rows inside the transaction; hints to open pages after it."""
        if version == 1 and Project.objects.filter(pk=self.project_id, first_trace_at=None).update(
            first_trace_at=self.now
        ):
            outbox.enqueue(
                topic="traces.first_trace",
                key=f"traces.first_trace:{self.project_id}",
                payload={"project_id": str(self.project_id), "trace_id": next(iter(seq_of))},
                now=self.now,
            )
        signals.spans_recorded.send(
            sender=Written, project_id=self.project_id, trace_ids=list(seq_of), now=self.now
        )
        transaction.on_commit(lambda: _hint(self.project_id, seq_of))


def _key_columns(rows: Sequence[SpanRow]) -> tuple[list[str], list[str], list[dt.datetime]]:
    """The rows' keys, column by column, for unnest."""
    return (
        [row.trace_id for row in rows],
        [row.span_id for row in rows],
        [row.started_at for row in rows],
    )


def _hint(project_id: UUID, seq_of: dict[str, int]) -> None:
    for trace_id, seq in seq_of.items():
        live.notify(
            live.trace_group(project_id, trace_id),
            {"type": "trace.changed", "trace_id": trace_id, "seq": seq},
        )


def _as_span(row: SpanRow, content: dict[str, Any]) -> NormalSpan:
    """A stored running step as the normal form again, for merging."""
    names = set(NormalSpan.__struct_fields__)
    facts = {name: getattr(row, name) for name in SPAN_COLUMNS if name in names and name != "flags"}
    facts |= {name: value for name, value in content.items() if name in names}
    return NormalSpan(**facts, flags=tuple(row.flags))
