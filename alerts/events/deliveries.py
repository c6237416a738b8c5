"""Messages of one incident sent again or given up, through alerts.delivering."""

import datetime as dt
from collections.abc import Sequence

from accounts.models import User
from alerts import delivering
from alerts.models import AlertEvent, Delivery, DeliveryState
from core.errors import DomainError

REPLAYABLE = (DeliveryState.DEAD, DeliveryState.CANCELLED)


def replay_messages(*, event: AlertEvent, ids: Sequence[str], actor: User, now: dt.datetime) -> int:
    """Queue messages again that were given up (with ids: also cancelled ones). Returns how many; raises ConflictError
    for none, DomainError."""
    states = REPLAYABLE if ids else (DeliveryState.DEAD,)
    rows = _chosen(event, ids, states)
    return delivering.replay(deliveries=rows, actor=actor, now=now)


def cancel_messages(*, event: AlertEvent, ids: Sequence[str], actor: User, now: dt.datetime) -> int:
    """Give waiting messages up. Returns how many; raises ConflictError for none, DomainError."""
    rows = _chosen(event, ids, (DeliveryState.WAITING,))
    return delivering.cancel(deliveries=rows, actor=actor, now=now)


def _chosen(event: AlertEvent, ids: Sequence[str], states: Sequence[str]) -> list[Delivery]:
    """The incident's messages in these states; of them those with the ids, all without. One query."""
    if any(not (one.isascii() and one.isdigit() and len(one) < 19) for one in ids):
        raise DomainError("delivery must be the id of a message.", fields=["delivery"])
    rows = Delivery.objects.filter(
        event=event, organization=event.organization_id, state__in=states
    )
    if ids:
        rows = rows.filter(pk__in=[int(one) for one in ids])
    return list(rows.order_by("pk"))
