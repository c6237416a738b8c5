"""Whether a batch may be paid: asked when its file comes, set aside when it is created."""

import datetime as dt

from gateway.batches import holding
from gateway.batches.reading import Content, target_of
from gateway.door.answers import RefusalError
from gateway.quotas import deciding
from gateway.quotas.granting import Asked, would_grant
from gateway.quotas.reserving import Granted, Quotas, Refused
from gateway.snapshot import ConnectionView, Snapshot
from gateway.structs import Call, Caller, Dialect


def call_for(
    call_id: str, view: ConnectionView, caller: Caller, content: Content, at: dt.datetime
) -> Call:
    """The batch as limits see calls."""
    targets = [target_of(view, part.model) for part in content.parts]
    return holding.call_of(call_id, Dialect(content.dialect), caller, targets, at)


class Purse:
    """The limits and hard budgets, for batches."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    async def hold(
        self, call: Call, snapshot: Snapshot, content: Content, at: dt.datetime
    ) -> Granted:
        """Set its worst case aside; `call.has_reservation` says whether anything was. Raises RefusalError."""
        lines = holding.lines_for(call, snapshot, content, at)
        return _granted(await self._quotas.reserve_lines(call, lines, unpriced=_unpriced(content)))

    async def release(self, call: Call) -> None:
        """Give back what was set aside for a batch that is not made."""
        await self._quotas.release(call)


def check(call: Call, snapshot: Snapshot, content: Content, at: dt.datetime) -> None:
    """Whether it could be set aside now; nothing is. Raises RefusalError and DatabaseError."""
    lines = holding.lines_for(call, snapshot, content, at)
    money = next((line for line in lines if line.is_money and line.is_hard), None)
    if money is not None and (unpriced := _unpriced(content)):
        _granted(deciding.unpriced(money, unpriced))
    if lines:
        _granted(would_grant(Asked(call, lines, at), at))


def _unpriced(content: Content) -> str:
    return next((part.unpriced for part in content.parts if part.usd is None), "")


def _granted(outcome: Granted | Refused) -> Granted:
    if not isinstance(outcome, Refused):
        return outcome
    raise RefusalError(
        outcome.status,
        outcome.code,
        outcome.message.replace("this call may need", "this batch may need"),
        headers=outcome.headers,
        extra=outcome.extra,
        retry_after_s=outcome.retry_after_s or 0,
    )
