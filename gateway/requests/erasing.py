"""Taking an erased user of the project's product out of jobs (traces.signals.user_erased)."""

from typing import Any
from uuid import UUID

from django.db import transaction

from gateway.models import ENDED, AsyncJob, JobState
from gateway.quotas import settling
from gateway.requests import cancelling


def forget_user(sender: object, *, project_id: UUID, user_id: str, **_: Any) -> None:
    """Their jobs go with what was asked and answered; those that wait or run are stopped. Two queries, in the caller's
    transaction."""
    rows = AsyncJob.objects.filter(project=project_id, user_id=user_id)
    under_way = dict(rows.exclude(state__in=ENDED).values_list("id", "state"))
    rows.delete()
    if under_way:
        transaction.on_commit(lambda: _stop(project_id, under_way), robust=True)


def _stop(project_id: UUID, under_way: dict[UUID, str]) -> None:
    """A running one's worker records its end, which settles it; of one that waits nobody would."""
    cancelling.tell_line(project_id, [one.hex for one in under_way])
    waiting = [one for one, state in under_way.items() if state == JobState.QUEUED]
    with transaction.atomic():
        settling.release_held(project_id, *waiting)
