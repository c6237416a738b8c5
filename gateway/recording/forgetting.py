"""Taking an erased user of the project's product out of the request list (traces.signals.user_erased)."""

from typing import Any
from uuid import UUID

from gateway.models import LLMRequest


def forget_user(sender: object, *, project_id: UUID, user_id: str, **_: Any) -> None:
    """The calls stay, without whose they were. One query, in the caller's transaction."""
    LLMRequest.objects.filter(project=project_id, user_id=user_id).update(user_id="")
