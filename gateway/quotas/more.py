"""One more try of a call under way, set aside beside what its reservation holds: the provider may charge for those that
were given up too.

Each is a reservation of its own that the call names; `settling` gives it back when it charges the call.
"""

import datetime as dt
from collections.abc import Awaitable, Callable

import msgspec

from core.ids import uuid7
from gateway.dialects.facts import RequestError, facts_of
from gateway.quotas.bounds import bounds_of
from gateway.quotas.deciding import Granted
from gateway.quotas.lines import is_bounding, lines_of
from gateway.quotas.reserving import Quotas
from gateway.snapshot import Snapshot
from gateway.structs import Call

SnapshotOf = Callable[[str, str], Awaitable[Snapshot]]


class More:
    """Sets aside for the calls of one worker. Belongs to its loop."""

    def __init__(self, snapshot: SnapshotOf) -> None:
        self._snapshot = snapshot
        self._quotas = Quotas()

    async def ask(self, call: Call) -> bool:
        """Whether every hard limit of tokens and dollars that counts the call leaves one more try; notes it in the
        call. Raises what `snapshot` does."""
        if not call.has_reservation:
            return False
        snapshot = await self._snapshot(call.caller.organization_id, call.caller.project_id)
        at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
        try:
            facts = facts_of(call.dialect, call.body)
        except RequestError:  # the door has read it before
            return False
        bounds = bounds_of(facts, call.decision, body=call.body, at=at, prices=snapshot.prices)
        one = msgspec.structs.replace(call, id=uuid7().hex, has_reservation=False, more=())
        lines = [line for line in lines_of(one, snapshot, bounds, at) if is_bounding(line)]
        outcome = await self._quotas.reserve_lines(one, lines, unpriced=bounds.unpriced)
        if not isinstance(outcome, Granted):
            return False
        call.more = (*call.more, one.id)
        return True

    async def close(self) -> None:
        await self._quotas.close()
