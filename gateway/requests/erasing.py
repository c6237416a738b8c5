"""Taking an erased user of the project's product out of jobs (traces.signals.user_erased)."""

from typing import Any
from uuid import UUID

from django.db import transaction

from gateway.models import ENDED, AsyncJob
from gateway.requests import cancelling


def forget_user(sender: object, *, project_id: UUID, user_id: str, **_: Any) -> None:
    """Their jobs go with what was asked and answered; those that wait or run are stopped. Two queries, in the caller's
    transaction."""
    rows = AsyncJob.objects.filter(project=project_id, user_id=user_id)
    under_way = [one.hex for one in rows.exclude(state__in=ENDED).values_list("id", flat=True)]
    rows.delete()
    if under_way:
        transaction.on_commit(lambda: cancelling.tell_line(project_id, under_way), robust=True)
