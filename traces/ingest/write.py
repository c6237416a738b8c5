"""The one writer: spans, payloads, cost records, traces and sums in one transaction, set-based and idempotent.

A batch belongs to one project. Statements per batch: 5 when all its traces are new, about a dozen otherwise, whatever
its size. Locks are taken in one order (traces by id, then aggregates by key), so writers never deadlock. When this
returns, everything named as stored is committed.
"""

import datetime as dt
import logging
from collections.abc import Sequence

from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from costs.services import record_costs as ledger
from traces.ingest.batch import Batch, TraceVanishedError
from traces.ingest.context import IngestContext, Written
from traces.ingest.duplicates import without_duplicates
from traces.ingest.rows import key_of, sealed_payloads
from traces.ingest.span import NormalSpan, Rejection

__all__ = ["IngestContext", "Written", "write_spans"]

logger = logging.getLogger(__name__)
TABLES = ("traces_span", "traces_spanpayload", ledger.TABLE)
MAX_TRIES = 3


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
                return Batch(context, dict(batch), dict(sealed), now).write(cursor)
        except TraceVanishedError:
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
