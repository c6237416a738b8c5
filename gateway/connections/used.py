"""Whose calls may come through the gateway: ingestion looks for their second reports, and for nobody else's."""

import math
import time
from uuid import UUID

from gateway.models import Connection

# How long "none" is believed. A connection is made, keyed and routed to before its first call.
AGAIN_S = 5.0
MAX_KNOWN = 10_000
_asked_again_at: dict[UUID, float] = {}


def has_connections(project_id: UUID) -> bool:
    """Whether the project's organisation has a connection, or had one since this process began. One query in
    `AGAIN_S`; none once there was one."""
    now = time.monotonic()
    again_at = _asked_again_at.get(project_id, 0.0)
    if now < again_at:
        return again_at == math.inf
    found = Connection.objects.filter(organization__projects=project_id).exists()
    if len(_asked_again_at) >= MAX_KNOWN:
        _asked_again_at.clear()
    _asked_again_at[project_id] = math.inf if found else now + AGAIN_S
    return found
