"""What every change of a connection or key begins and ends with."""

from typing import Any

from accounts.models import User
from accounts.services import record_audit_event
from gateway.models import Connection


def locked(connection: Connection) -> Connection:
    """The row as it is now, held until the transaction ends, with its organisation."""
    return (
        Connection.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(pk=connection.pk)
    )


def audit(connection: Connection, actor: User, verb: str, **data: Any) -> None:
    """Who did it, without anything secret, in the caller's transaction."""
    record_audit_event(
        organization_id=connection.organization_id,
        actor=actor,
        action=f"gateway.connection.{verb}",
        target=connection.name,
        data={"connection_id": str(connection.pk), **data},
    )
