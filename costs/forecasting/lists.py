"""What an address asks of a list of forecasts or anomalies, read once for pages and the API (no database)."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import DomainError
from costs.forecasting.selectors import Asked
from costs.models import AnomalyState, SeriesKind
from projects.access import parse_uuid

STATES = {"": "Open", "expected": "Expected", "cleared": "Cleared", "all": "All"}


def read_asked(query: Mapping[str, Any], *, sorts: Sequence[str], has_state: bool = False) -> Asked:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    q = str(query.get("q", "")).strip()
    if len(q) > 200 or "\x00" in q:
        raise DomainError("q has at most 200 characters and no NUL.", fields=["q"])
    project = str(query.get("project", ""))
    project_id = parse_uuid(project) if project else None
    if project and project_id is None:
        raise DomainError(
            f"project is {project[:40]!r}; it must be a project's id.", fields=["project"]
        )
    states = ("", AnomalyState.OPEN.value, *STATES)
    return Asked(
        kind=_choice(query, "kind", ("", *SeriesKind.values)),
        project_id=project_id,
        q=q,
        state=_choice(query, "state", states) if has_state else "",
        sort=_choice(query, "sort", ("", *sorts)),
        after=str(query.get("after", "")),
    )


def _choice(query: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    value = str(query.get(name, ""))
    if value not in allowed:
        shown = ", ".join(dict.fromkeys(one for one in allowed if one))
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value
