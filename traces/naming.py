"""Giving a trace a name by hand."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core import live
from core.errors import DomainError, NotFoundError
from projects.models import Project
from traces.models import Trace

MAX_NAME = 200


def clean_name(text: str) -> str:
    """A name as it may be stored. Raises DomainError."""
    name = " ".join(text.replace("\x00", "").split())
    if not 1 <= len(name) <= MAX_NAME:
        raise DomainError(f"name must have 1 to {MAX_NAME} characters.", fields=["name"])
    return name


@transaction.atomic
def name_trace(
    *, project: Project, trace_id: str, name: str, actor: User, now: dt.datetime
) -> None:
    """The trace is called so until a root step that comes later names it again.

    Raises DomainError naming the field, NotFoundError.
    """
    name = clean_name(name)
    rows = Trace.objects.select_for_update().filter(project=project, trace_id=trace_id)
    trace = rows.first()
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    seq = trace.seq + 1
    Trace.objects.filter(project=project, trace_id=trace_id).update(
        name=name, seq=seq, updated_at=now
    )
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action="traces.named",
        target=name,
        data={"project": str(project.pk), "trace": trace_id},
    )
    hint = {"type": "trace.changed", "trace_id": trace_id, "seq": seq}
    transaction.on_commit(lambda: live.notify(live.trace_group(project.pk, trace_id), hint))
