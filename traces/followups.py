"""What must follow an ingest: outbox work of the traces domain."""

import datetime as dt
from typing import Any

from accounts.services import record_audit_event
from projects.models import Project


def record_first_trace(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work of `traces.first_trace`: the audit trail says when a project began to receive data."""
    project = Project.objects.filter(pk=payload["project_id"]).first()
    if project is None:
        return
    record_audit_event(
        organization_id=project.organization_id,
        actor=None,
        actor_label="ingestion",
        action="project.first_trace.received",
        target=project.name,
        data={"trace_id": payload["trace_id"], "received_at": now.isoformat()},
    )
