"""How calls ended, into PostgreSQL: steps and ledger by the one writer, then the request list and what hangs on it.

Idempotent: the same end twice changes nothing. Steps know their ids, and rows of the request list are written once;
what is settled or kept for a call is settled in the transaction of its row.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction

from core import crypto
from costs.services import record_costs as ledger
from costs.services import rule_cache
from gateway.cache import storing
from gateway.cache.meaning import VECTORS
from gateway.models import RequestState
from gateway.quotas.settling import settle
from gateway.recording import given_up, rows, spans
from gateway.recording.lost import QUEUE_LOST
from gateway.requests.jobs import finish_jobs
from gateway.structs import Finished
from gateway.sums import adding
from projects.models import Project
from traces.ingest.calls import chargeable_call
from traces.ingest.capture import capture_of
from traces.ingest.context import IngestContext
from traces.ingest.rows import SpanKey, key_of
from traces.ingest.span import NormalSpan
from traces.ingest.write import write_spans

logger = logging.getLogger(__name__)
TABLE = "gateway_llmrequest"
MAX_TRIES = 3
FREE = Decimal(0)
_COPY = f"COPY {TABLE} ({', '.join(rows.COLUMNS)}) FROM STDIN"
_KNOWN = f"""
SELECT r.id, r.state, r.error FROM {TABLE} r
JOIN unnest(%s::uuid[], %s::timestamptz[]) AS k(id, accepted_at)
  ON r.id = k.id AND r.accepted_at = k.accepted_at
WHERE r.project_id = %s AND r.accepted_at BETWEEN %s AND %s
"""  # noqa: S608
_FORGET_LOST = f"""
DELETE FROM {TABLE} WHERE project_id = %s AND id = ANY(%s) AND accepted_at BETWEEN %s AND %s AND state = 'lost'
"""  # noqa: S608
Costs = Mapping[str, Decimal | None]  # by call id


def record(finished: Iterable[Finished], *, now: dt.datetime) -> None:
    """Record what ended. Raises OperationalError when PostgreSQL is away: part of it may be stored, give all again."""
    by_project: dict[str, dict[str, Finished]] = defaultdict(dict)
    for one in finished:
        mine = by_project[one.call.caller.project_id]
        key = spans.span_id_of(one)
        # Of two ends of one call the one that was seen counts before the one that was supposed.
        is_supposed = key in mine and mine[key].state == RequestState.LOST.value
        if key not in mine or (is_supposed and one.error != QUEUE_LOST):
            mine[key] = one
    contexts = _contexts(by_project)
    for project_id in sorted(by_project):
        context = contexts.get(project_id)
        if context is None:
            logger.info("gateway.recording.project_gone", extra={"project_id": project_id})
            continue
        _record(context, list(by_project[project_id].values()), now=now)


def _contexts(project_ids: Iterable[str]) -> dict[str, IngestContext]:
    """What the writer needs to know of each project. One query; a project that is gone is not in it."""
    found = Project.objects.filter(pk__in=list(project_ids)).values_list(
        "pk", "content_capture", "masking", "organization__data_key"
    )
    return {
        pk.hex: IngestContext(
            project_id=pk,
            cipher=crypto.data_cipher(data_key),
            capture=capture_of(mode, masking),
        )
        for pk, mode, masking, data_key in found
    }


def _record(context: IngestContext, finished: list[Finished], *, now: dt.datetime) -> None:
    for attempt in range(MAX_TRIES):
        known = _known_states(context.project_id, finished)
        fresh = [one for one in finished if _is_news(one, known)]
        if not fresh:
            return
        stored = _write_spans(context, fresh, known, now=now)
        try:
            _write_rows(context, fresh, known, stored, now=now)
            return
        except IntegrityError:
            # Another process wrote one of them meanwhile, or retention dropped a partition we remembered.
            ledger.forget_partitions()
            if attempt == MAX_TRIES - 1:
                raise


def _known_states(project_id: UUID, finished: Sequence[Finished]) -> dict[str, str]:
    """How those that are in the request list already ended: the state, or QUEUE_LOST. One query."""
    moments = [spans.moment(one.call.accepted_at) for one in finished]
    with connection.cursor() as cursor:
        ids = [UUID(one.call.id) for one in finished]
        cursor.execute(_KNOWN, [ids, moments, project_id, min(moments), max(moments)])
        return {
            call_id.hex: QUEUE_LOST if error == QUEUE_LOST else state
            for call_id, state, error in cursor.fetchall()
        }


def _is_news(finished: Finished, known: Mapping[str, str]) -> bool:
    """What was supposed lost may turn out to have ended; everything else is said once."""
    state = known.get(finished.call.id)
    if spans.is_lost_try(finished):
        return True  # a step of its own, which the writer knows
    if state == QUEUE_LOST:
        return finished.error != QUEUE_LOST
    return state is None or (
        state == RequestState.LOST.value and finished.state != RequestState.LOST.value
    )


def _write_spans(
    context: IngestContext, fresh: Sequence[Finished], known: Mapping[str, str], *, now: dt.datetime
) -> dict[str, Decimal | None]:
    """Store the steps; what each call costs with all its tries, by call id."""
    steps: dict[SpanKey, NormalSpan] = {}
    call_of: dict[SpanKey, str] = {}
    for one in fresh:
        if spans.has_span(one):
            span = spans.span_of(one)
            span.is_amending = one.call.id in known and not spans.is_lost_try(one)
            for step in (span, *given_up.spans_of(one, span)):
                step.is_amending = span.is_amending
                steps[key_of(step)] = step
                call_of[key_of(step)] = one.call.id
    if not steps:
        return {}
    written = write_spans(context, list(steps.values()), now=now)
    for rejection in written.rejections:
        logger.error(
            "gateway.recording.unstorable",
            extra={"trace_id": rejection.trace_id, "span_id": rejection.span_id},
        )
    costs = {key: cost for key, cost in written.costs.items() if key in call_of}
    # A step that was stored before, or whose cost another step carries, still has a price of its own.
    rest = [span for key, span in steps.items() if key not in costs and span.is_call]
    if rest:
        rules = rule_cache.known_rules(context.project_id)
        calls = [chargeable_call(span, api_key_id="") for span in rest]
        for row in ledger.price_calls(calls, rules=rules, now=now):
            costs[row.trace_id, row.span_id] = row.cost_usd
    # Counting tokens is no call to the ledger: it is free.
    free = {call_of[key]: FREE for key, span in steps.items() if not span.is_call}
    return _by_call(steps, call_of, costs) | free


def _by_call(
    steps: Mapping[SpanKey, NormalSpan],
    call_of: Mapping[SpanKey, str],
    costs: Mapping[SpanKey, Decimal | None],
) -> dict[str, Decimal | None]:
    """The sum over a call's steps; unknown when one that used something has no price."""
    total: dict[str, Decimal | None] = {}
    unknown = set()
    for key, cost in costs.items():
        call_id, usage = call_of[key], steps[key].usage
        if cost is None and usage is not None and usage.is_known:
            unknown.add(call_id)
        so_far = total.get(call_id)
        total[call_id] = so_far if cost is None else (so_far or Decimal(0)) + cost
    return total | dict.fromkeys(unknown)


def _write_rows(
    context: IngestContext,
    fresh: Sequence[Finished],
    known: Mapping[str, str],
    costs: Costs,
    *,
    now: dt.datetime,
) -> None:
    listed = [one for one in fresh if not spans.is_lost_try(one)]
    if not listed:
        with transaction.atomic(), connection.cursor() as cursor:
            finish_jobs(cursor, fresh, context.cipher, now)
        return
    moments = [spans.moment(one.call.accepted_at) for one in listed]
    ledger.ensure_partitions({moment.date() for moment in moments}, tables=(TABLE,))
    replaced = [UUID(one.call.id) for one in listed if one.call.id in known]
    with (
        connection.wrap_database_errors,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        if replaced:
            bounds = [min(moments), max(moments)]
            cursor.execute(_FORGET_LOST, [context.project_id, replaced, *bounds])
        with cursor.copy(_COPY) as copy:
            for one in listed:
                copy.write_row(rows.row_of(one, cost_usd=costs.get(one.call.id)))
        finish_jobs(cursor, fresh, context.cipher, now)
        _keep_answers(listed, costs)
        adding.add(cursor, context.project_id, listed)
        # Last: it locks the counters of limits until the end. What counted as lost is not charged twice; what the queue
        # lost was not charged.
        owed = [one for one in listed if known.get(one.call.id) in (None, QUEUE_LOST)]
        settle(cursor, owed, now, costs=costs)


def _keep_answers(finished: Sequence[Finished], costs: Costs) -> None:
    """Keep answers and count hits. An answer that cannot be kept is no reason to forget the call."""
    try:
        storing.store(finished, costs=costs, vectors=VECTORS)
    except (DataError, ValueError, TypeError, ArithmeticError, crypto.DecryptionError):
        logger.exception("gateway.recording.answers_not_kept")
