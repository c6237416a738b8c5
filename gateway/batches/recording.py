"""Recording a batch's results and settling what was set aside for it: to be repeated as often as need be.

Results are written in pieces, each idempotent by the calls' ids. Only once all are in the ledger the reservation is
settled, in the transaction that marks the batch recorded: a worker that dies in between leaves it to the next one.
"""

import datetime as dt
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum

from gateway.batches import holding
from gateway.batches.results import FLAG, caller_of, finished_of
from gateway.batches.wires import Result
from gateway.models import Batch, BatchState, LLMRequest
from gateway.recording import writer
from gateway.structs import Dialect, Finished, Target

PIECE = 200


def record_results(
    batch: Batch,
    results: Iterator[Result],
    *,
    organization_id: UUID,
    kind: str,
    now: dt.datetime,
) -> int:
    """Record them; how many there were. Raises OperationalError when PostgreSQL is away: begin again then."""
    caller, count = caller_of(batch, organization_id), 0
    while piece := list(itertools.islice(results, PIECE)):
        ends: list[Finished] = [
            finished_of(batch, one, caller=caller, kind=kind, now=now) for one in piece
        ]
        writer.record(ends, now=now)
        count += len(piece)
    return count


def settle(batch: Batch, *, organization_id: UUID, kind: str, now: dt.datetime) -> bool:
    """Everything is recorded: charge its sums, give back the rest, and mark it; False when that was done before."""
    with transaction.atomic(), connection.cursor() as cursor:
        rows = Batch.objects.select_for_update().filter(project=batch.project_id, id=batch.id)
        row = rows.first()
        if row is None or row.state in (BatchState.RECORDED, BatchState.LOST):
            return False
        used = sums_of(row)
        if row.has_reservation:
            targets = [
                Target(
                    connection=row.connection_id.hex, kind=kind, model=name, provider=row.provider
                )
                for name in row.model_names
            ]
            caller = caller_of(row, organization_id)
            call = holding.call_of(
                row.id.hex, Dialect(row.dialect), caller, targets, row.created_at
            )
            holding.settle(cursor, call, used)
        total = _totals(row)
        rows.update(
            state=BatchState.RECORDED,
            has_reservation=False,
            recorded_at=now,
            poll_at=None,
            cost_usd=total["usd"] if total["calls"] else Decimal(0),
            input_tokens=total["input"] or 0,
            output_tokens=total["output"] or 0,
            succeeded=total["done"],
            failed=total["calls"] - total["done"],
        )
    return True


def sums_of(batch: Batch) -> dict[str, holding.Used]:
    """What its recorded calls used, by the model that was asked for. One query."""
    rows = (
        _recorded(batch)
        .exclude(attempts=0)
        .values_list("asked_model")
        .annotate(
            calls=Count("id"), into=Sum("input_tokens"), out=Sum("output_tokens"),
            usd=Sum("cost_usd"), unpriced=Count("id", filter=_UNPRICED),
        )
    )  # fmt: skip
    return {
        model: holding.Used(
            calls, (into or 0) + (out or 0), None if unpriced else usd or Decimal(0)
        )
        for model, calls, into, out, usd, unpriced in rows
    }


_UNPRICED = Q(cost_usd=None, state="done")


def _totals(batch: Batch) -> dict[str, Any]:
    found: dict[str, Any] = _recorded(batch).aggregate(
        calls=Count("id"), done=Count("id", filter=Q(state="done")), input=Sum("input_tokens"),
        output=Sum("output_tokens"), usd=Sum("cost_usd"), unpriced=Count("id", filter=_UNPRICED),
    )  # fmt: skip
    if found["unpriced"]:
        found["usd"] = None  # unknown is not zero
    return found


def _recorded(batch: Batch) -> QuerySet[LLMRequest]:
    """Its calls are all of one moment, the batch's; others of that moment went elsewhere."""
    return LLMRequest.objects.filter(
        project=batch.project_id,
        accepted_at=batch.created_at,
        because=f"batch {batch.provider_id}",
        flags__contains=[FLAG],
    )
