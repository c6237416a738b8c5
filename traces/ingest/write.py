"""The one writer: spans, payloads, cost records, traces and sums in one transaction, set-based and idempotent.

A batch belongs to one project. Statements per batch: 5 when all its traces are new, about a dozen otherwise, whatever
its size. Locks are taken in one order (traces by id, then aggregates by key), so writers never deadlock. When this
returns, everything named as stored is committed.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from costs.services import record_costs as ledger
from costs.services import rule_cache
from traces.ingest import far_twins, tally
from traces.ingest.batch import Batch, TraceVanishedError
from traces.ingest.context import IngestContext, Written
from traces.ingest.duplicates import without_duplicates
from traces.ingest.packs import sealed_rows
from traces.ingest.rows import SpanKey, key_of
from traces.ingest.span import NormalSpan, Rejection
from traces.ingest.tally import Counts
from traces.models import Outcome

__all__ = ["IngestContext", "Written", "write_spans"]

logger = logging.getLogger(__name__)
TABLES = ("traces_span", "traces_spanpayload", ledger.TABLE)
# How often a batch may fail for one reason. Each has its own count: rules that change, traces that are deleted and
# deadlocks meet in one batch when a project is busy, and none of them says that the others would not pass.
MAX_TRIES = 3


class _Failures(Counter[str]):
    """How often a batch failed, by reason."""

    def is_last(self, reason: str) -> bool:
        self[reason] += 1
        return self[reason] >= MAX_TRIES


def write_spans(
    context: IngestContext,
    spans: Sequence[NormalSpan],
    *,
    now: dt.datetime,
    refused: Sequence[Rejection] = (),
    repeated: int = 0,
) -> Written:
    """Store a batch. Raises OperationalError when PostgreSQL is away or too busy: nothing was stored, try again later.

    A span PostgreSQL will not take (DataError: a hole in the sanitiser) is refused alone; its neighbours are stored.
    `refused` (by the door) and `repeated` (merged by it) are only tallied.
    """
    counts = Counts()
    tally.add_rejections(counts, refused)
    if repeated:
        counts["", Outcome.DUPLICATE.value, ""] += repeated
    if not spans:
        _tally_alone(context, counts, now)
        return Written()
    allowed = context.capture.apply(list(spans))
    written = _write_or_halve(context, allowed, counts, now=now)
    far_twins.settle(context.project_id, spans, now=now)
    return written


def _write_or_halve(
    context: IngestContext, spans: Sequence[NormalSpan], counts: Counts, *, now: dt.datetime
) -> Written:
    """`counts` are tallied with the first part that is stored."""
    try:
        return _write_with_retry(context, spans, counts, now=now)
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
        tally.add_rejections(counts, [refused], dialect=span.dialect)
        _tally_alone(context, counts, now)
        return Written(rejections=[refused])
    middle = len(spans) // 2
    result = _write_or_halve(context, spans[:middle], counts, now=now)
    result += _write_or_halve(context, spans[middle:], Counts(), now=now)
    return result


def _tally_alone(context: IngestContext, counts: Counts, now: dt.datetime) -> None:
    """A batch of which nothing is stored is still accounted for."""
    if counts and context.door:
        with connection.cursor() as cursor:
            tally.write(
                cursor, project_id=context.project_id, door=context.door, counts=counts, now=now
            )


def _write_with_retry(
    context: IngestContext, spans: Sequence[NormalSpan], counts: Counts, *, now: dt.datetime
) -> Written:
    batch = {key_of(span): span for span in without_duplicates(spans)}
    counts = Counts(counts)
    if len(batch) < len(spans):
        repeats = Counter(span.dialect for span in spans)
        repeats.subtract(span.dialect for span in batch.values())
        for dialect, items in repeats.items():
            if items:
                counts[dialect, Outcome.DUPLICATE.value, ""] += items
    sealed = sealed_rows(
        batch.values(),
        cipher=context.sealing,
        project_id=context.project_id,
        is_shared=context.shares_rows,
    )
    days = {span.started_at.astimezone(dt.UTC).date() for span in batch.values()}
    is_paid, failures = False, _Failures()
    while True:
        ledger.ensure_partitions(days, tables=TABLES)
        try:
            # COPY raises psycopg's own errors; inside this they are Django's, which the handlers below name.
            with (
                connection.wrap_database_errors,
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                written = Batch(context, dict(batch), sealed, now, is_paid=is_paid).write(cursor)
                _tally(cursor, context, written, batch, Counts(counts), now)
                return written
        except rule_cache.StaleRulesError:
            if failures.is_last("rules"):
                raise OperationalError("The price rules keep changing.") from None
            rule_cache.load_rules(context.project_id)
        except TraceVanishedError:
            if failures.is_last("deleted"):
                raise OperationalError("The traces of this batch keep being deleted.") from None
        except IntegrityError:
            # A partition this process remembered was dropped by retention meanwhile: look again. Or a deleted trace
            # comes once more, and the ledger, which outlives traces, has its calls.
            ledger.forget_partitions()
            is_paid = True
            if failures.is_last("constraint"):
                raise
        except OperationalError as error:
            if not _is_passing(error) or failures.is_last("deadlock"):
                raise


def _tally(
    cursor: Any,
    context: IngestContext,
    written: Written,
    batch: dict[SpanKey, NormalSpan],
    counts: Counts,
    now: dt.datetime,
) -> None:
    """What became of the batch, counted in its own transaction."""
    if not context.door:
        return
    for outcome, keys in (
        (Outcome.STORED, written.stored),
        (Outcome.UPDATED, written.updated),
        (Outcome.DUPLICATE, written.duplicates),
    ):
        for key in keys:
            counts[batch[key].dialect, outcome.value, ""] += 1
    ends = [one.ended_at for one in batch.values() if one.ended_at is not None]
    if ends and written.stored:
        tally.lag_seconds.observe(max(0.0, (now - max(ends)).total_seconds()))
    tally.write(cursor, project_id=context.project_id, door=context.door, counts=counts, now=now)


def _is_passing(error: OperationalError) -> bool:
    """Deadlock or serialisation failure: the same batch succeeds when tried again."""
    return getattr(error.__cause__, "sqlstate", "") in ("40P01", "40001")
