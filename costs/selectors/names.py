"""What people call values that are stored as ids."""

from collections.abc import Sequence
from uuid import UUID

from projects.access import parse_uuid
from projects.models import ApiKey


def key_names(project_id: UUID, values: Sequence[str]) -> dict[str, str]:
    """The names of a project's API keys by id, as text; a deleted one is called by its id. One query."""
    return names_of_keys([project_id], values)


def names_of_keys(project_ids: Sequence[UUID], values: Sequence[str]) -> dict[str, str]:
    """The same for keys of several projects. One query."""
    ids = {uid: value for value in values if (uid := parse_uuid(value))}
    rows = ApiKey.objects.filter(project_id__in=project_ids, pk__in=list(ids)).values_list(
        "pk", "name"
    )
    return {value: f"Key {value[:8]}" for value in values} | {ids[pk]: name for pk, name in rows}
