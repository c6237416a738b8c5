"""What a rule points at: its project, a budget, its channels. All of them of the rule's organisation."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from alerts.models import Channel
from alerts.rules.reading import invalid, text
from costs.models import Budget
from projects.access import parse_uuid
from projects.models import Project

MAX_CHANNELS = 20


@dataclass(frozen=True)
class Places:
    """Found and checked."""

    project: Project | None
    budget: Budget | None
    channels: list[UUID]
    escalation_channels: list[UUID]


def read_places(
    organization_id: UUID,
    data: Mapping[str, Any],
    allowed: Collection[str],
    *,
    project: Project | None = None,
) -> Places:
    """At most three queries. With `project` that one is meant whatever the data say. Raises InvalidRuleError."""
    found = _project(organization_id, data, project)
    budget = _budget(organization_id, data, found) if "budget" in allowed else None
    tell = _ids(data, "channels")
    escalate = _ids(data, "escalation_channels")
    _check_channels(organization_id, tell, escalate)
    return Places(found, budget, tell, escalate)


def _project(
    organization_id: UUID, data: Mapping[str, Any], fixed: Project | None
) -> Project | None:
    ref = text(data, "project", 80)
    if fixed is not None:
        if ref not in ("", fixed.slug, str(fixed.pk)):
            raise invalid("project", ref, f"the key's own project ({fixed.slug}), or left out")
        return fixed
    if not ref:
        return None
    uid = parse_uuid(ref)
    named = {"pk": uid} if uid else {"slug": ref}
    found = (
        Project.objects.filter(organization_id=organization_id, **named)
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if found is None:
        raise invalid("project", ref, "a project of this organisation, by slug or id")
    return found


def _budget(
    organization_id: UUID, data: Mapping[str, Any], project: Project | None
) -> Budget | None:
    ref = text(data, "budget", 80)
    if not ref:
        return None
    uid = parse_uuid(ref)
    rows = Budget.objects.select_related("project").filter(organization_id=organization_id)
    found = rows.filter(pk=uid).first() if uid else None
    if found is None:
        raise invalid("budget", ref, "the id of a budget of this organisation, or empty for all")
    if project is not None and found.project_id != project.pk:
        raise invalid("budget", ref, f"a budget of the project {project.slug}, or no project")
    return found


def _ids(data: Mapping[str, Any], name: str) -> list[UUID]:
    given = data.get(name)
    if given in (None, ""):
        return []
    if not isinstance(given, (list, tuple)) or len(given) > MAX_CHANNELS:
        raise invalid(name, given, f"a list of at most {MAX_CHANNELS} ids of channels")
    found = []
    for one in given:
        uid = one if isinstance(one, UUID) else parse_uuid(one) if isinstance(one, str) else None
        if uid is None:
            raise invalid(name, one, "the id of a channel of this organisation")
        found.append(uid)
    return list(dict.fromkeys(found))


def _check_channels(organization_id: UUID, tell: list[UUID], escalate: list[UUID]) -> None:
    wanted = {*tell, *escalate}
    if not wanted:
        return
    known = set(
        Channel.objects.filter(organization_id=organization_id, pk__in=wanted).values_list(
            "pk", flat=True
        )
    )
    for name, ids in (("channels", tell), ("escalation_channels", escalate)):
        for uid in ids:
            if uid not in known:
                raise invalid(name, uid, "the id of a channel of this organisation")
