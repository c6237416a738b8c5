"""Taking an erased user of the project's product out of the request list (traces.signals.user_erased)."""

from typing import Any
from uuid import UUID

from django.db import connection

from gateway.models import LLMRequest

# What is recorded of their batches from now on is nobody's either.
_BATCHES = "UPDATE gateway_batch SET caller = caller - 'user' WHERE project_id = %s AND caller->>'user' = %s"


def forget_user(sender: object, *, project_id: UUID, user_id: str, **_: Any) -> None:
    """The calls stay, without whose they were. Two queries, in the caller's transaction."""
    LLMRequest.objects.filter(project=project_id, user_id=user_id).update(user_id="")
    with connection.cursor() as cursor:
        cursor.execute(_BATCHES, [project_id, user_id])
