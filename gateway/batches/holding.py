"""What limits and hard budgets count of a batch: its worst case is set aside before its provider hears of it, held
until its results are recorded, and then becomes what it used.

All its requests count where a limit counts by the hour or longer. Limits by the minute and of calls at once are about
pace, which at a batch is the provider's: they do not count it, but for dollars, which count everywhere.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from gateway.batches import owned
from gateway.batches.reading import Content, Part
from gateway.models import Batch, LimitMetric, LimitWindow, Reservation
from gateway.quotas import settling
from gateway.quotas.counters import Delta
from gateway.quotas.lines import BUDGET, CounterKey, Line, lines_of
from gateway.snapshot import Snapshot
from gateway.structs import Call, Caller, Decision, Dialect, RouteRules, Target

ZERO = Decimal(0)
# Providers end a batch within a day; a reservation nobody settled by then is the sweeper's.
LONGEST = dt.timedelta(days=8)


class Used(msgspec.Struct):
    """What a batch's recorded calls of one model add up to. `usd` None: a price is missing."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal | None = ZERO


def call_of(
    batch_id: str, dialect: Dialect, caller: Caller, targets: Sequence[Target], at: dt.datetime
) -> Call:
    """A batch, as limits see calls. A job: it outlives the process that takes it in."""
    return Call(
        id=batch_id,
        dialect=dialect,
        body=b"",
        model=targets[0].model if targets else "",
        caller=caller,
        decision=Decision(targets=tuple(targets)),
        rules=RouteRules(),
        accepted_at=at.timestamp(),
        deadline_at=(at + LONGEST).timestamp(),
        is_job=True,
    )


def lines_for(call: Call, snapshot: Snapshot, content: Content, at: dt.datetime) -> list[Line]:
    """What every limit and hard budget counts of it, its models apart."""
    found: dict[CounterKey, Line] = {}
    for part in content.parts:
        for line in lines_of(_only(call, part), snapshot, part.bounds, at):
            if not _counts(line):
                continue
            need = Decimal(part.count) if line.metric == LimitMetric.REQUESTS else line.need
            known = found.get(line.at)
            need += known.need if known is not None else ZERO
            model = line.model if known is None or known.model == line.model else ""
            found[line.at] = msgspec.structs.replace(line, need=need, model=model)
    return list(found.values())


def _only(call: Call, part: Part) -> Call:
    targets = tuple(one for one in call.decision.targets if one.model == part.model)
    decision = Decision(targets=targets)
    return msgspec.structs.replace(call, model=part.model, decision=decision)


def _counts(line: Line) -> bool:
    if line.is_money:
        return True
    return line.metric != LimitMetric.CONCURRENCY and line.window != LimitWindow.MINUTE


def shorten(project_id: UUID, batch_id: UUID, until: dt.datetime) -> None:
    """Have the sweeper give back by then what is set aside for it. One query."""
    rows = Reservation.objects.filter(project=project_id, call_id=batch_id, expires_at__gt=until)
    rows.update(expires_at=until)


def forget(batch: Batch) -> None:
    """Its provider has forgotten it: what is still set aside for it will not be used. Four queries."""
    with transaction.atomic():
        settling.release_held(batch.project_id, batch.id)
        owned.forget_batch(batch)


def settle(cursor: Any, call: Call, used: Mapping[str, Used]) -> bool:
    """Charge what was used and give back the rest, in the caller's transaction; False when nothing was held."""

    def change(metric: str, need: Decimal, model: str) -> Delta:
        mine = [used[model]] if model in used else [] if model else list(used.values())
        if metric == LimitMetric.REQUESTS:
            # They were counted when it came; those that were never made do not count.
            return Delta(used=min(ZERO, sum(one.calls for one in mine) - need))
        if metric == BUDGET:  # what was spent is the ledger's
            return Delta(reserved=-need)
        if metric == LimitMetric.TOKENS:
            return Delta(used=Decimal(sum(one.tokens for one in mine)), reserved=-need)
        if any(one.usd is None for one in mine):
            return Delta(used=need, reserved=-need)
        return Delta(used=sum((one.usd or ZERO for one in mine), ZERO), reserved=-need)

    return settling.settle_with(cursor, call, change)
