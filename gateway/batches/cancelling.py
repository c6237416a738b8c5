"""Cancelling a batch from a page: a wish kept in its row, which a worker brings to the provider."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import ConflictError
from gateway.batches import lists, looking
from gateway.models import Batch, BatchState
from projects.models import Project


@transaction.atomic
def cancel_batch(*, project: Project, batch: Batch, actor: User, now: dt.datetime) -> Batch:
    """Have its provider stop it; what is done by then is charged. Raises ConflictError when it is not under way."""
    row = Batch.objects.select_for_update().get(project=project, id=batch.id)
    if not lists.may_cancel(row):
        raise ConflictError("This batch is not under way, or is being cancelled already.")
    mine = Batch.objects.filter(project=project, id=row.id)
    mine.update(state=BatchState.CANCELLING, poll_at=now)
    row.state = BatchState.CANCELLING
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action="gateway.batch.cancelled",
        target=row.provider_id,
        data={"batch_id": str(row.id), "project_id": str(project.pk)},
    )
    transaction.on_commit(lambda: looking.ring(project.pk, row.id), robust=True)
    return row
