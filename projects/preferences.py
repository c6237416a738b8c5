"""How a person arranged a project's pages. Values are small JSON documents the page itself checks on reading."""

from typing import Any

import msgspec

from accounts.models import User
from core.errors import DomainError
from projects.models import Preference, Project

MAX_BYTES = 16 * 1024


def preference(*, user: User, project: Project, key: str) -> dict[str, Any]:
    """What was kept under `key`, or an empty dict. One query."""
    found = Preference.objects.filter(user=user, project=project, key=key)
    value = found.values_list("value", flat=True).first()
    return value if isinstance(value, dict) else {}


def keep_preference(*, user: User, project: Project, key: str, value: dict[str, Any]) -> None:
    """Keep `value` under `key`; an empty one forgets it. Raises DomainError when it is larger than 16 KiB."""
    if not value:
        Preference.objects.filter(user=user, project=project, key=key).delete()
        return
    if len(msgspec.json.encode(value)) > MAX_BYTES:
        raise DomainError(f"{key} is too large to keep; choose fewer entries.", fields=[key])
    Preference.objects.update_or_create(
        user=user, project=project, key=key, defaults={"value": value}
    )
