"""Kept answers thrown away: by prompt version, model, route, namespace, one by one or all; and those that expired
or are more than a project may keep.

Copies in Redis are named after the version of the organisation's rules, so `touch` makes all of them unfindable.
"""

import datetime as dt
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import DomainError
from gateway.models import CachedResponse
from gateway.snapshot import touch
from gateway.structs import ProjectRules
from projects.models import Project

BATCH = 5_000
# Of a label that may be empty, to say so.
NONE = "-"
_SWEEP = """
DELETE FROM gateway_cachedresponse WHERE ctid = ANY(ARRAY(
 SELECT ctid FROM gateway_cachedresponse WHERE expires_at < %s LIMIT %s FOR UPDATE SKIP LOCKED))
"""
_CAP = """
WITH many AS (
 SELECT c.project_id, coalesce((s.rules->>'cache_entries')::int, %s) AS most
 FROM (SELECT project_id, count(*) AS entries FROM gateway_cachedresponse GROUP BY project_id) c
 LEFT JOIN gateway_gatewaysettings s ON s.project_id = c.project_id
 WHERE c.entries > coalesce((s.rules->>'cache_entries')::int, %s)
), beyond AS (
 SELECT e.place FROM many m CROSS JOIN LATERAL (
  SELECT ctid AS place FROM gateway_cachedresponse r WHERE r.project_id = m.project_id
  ORDER BY coalesce(r.last_hit_at, r.created_at) DESC, r.id DESC OFFSET m.most) e LIMIT %s)
DELETE FROM gateway_cachedresponse WHERE ctid = ANY(ARRAY(
 SELECT ctid FROM gateway_cachedresponse WHERE ctid = ANY(ARRAY(SELECT place FROM beyond)) FOR UPDATE SKIP LOCKED))
"""


class Which(NamedTuple):
    """Which answers; all that is given must fit. `-` asks for an empty label."""

    model: str = ""
    route: str = ""
    namespace: str = ""
    prompt_version: str = ""
    id: UUID | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """For a query."""
        found: dict[str, Any] = {
            name: "" if value == NONE else value
            for name, value in self._asdict().items()
            if value and name != "id"
        }
        return found | ({"id": self.id} if self.id else {})


@transaction.atomic
def purge(
    *,
    project: Project,
    which: Which,
    is_all: bool = False,
    actor: User | None,
    actor_label: str = "",
) -> int:
    """Throw them away for good; how many it were. Raises DomainError when nothing is said and not all are meant."""
    conditions = which.conditions
    if not conditions and not is_all:
        raise DomainError(
            "Say which answers: model, route, namespace, prompt_version or all=true.",
            fields=["all"],
        )
    count, _ = CachedResponse.objects.filter(project=project.pk, **conditions).delete()
    touch(project.organization_id)
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action="gateway.cache.purged",
        target=project.slug,
        data={**{name: str(value) for name, value in conditions.items()}, "answers": count},
    )
    return count


def sweep(*, now: dt.datetime) -> int:
    """Delete what expired, of all projects, in batches; how many it were."""
    done = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SWEEP, [now, BATCH])
            done += cursor.rowcount
            if cursor.rowcount < BATCH:
                return int(done)


def cap() -> int:
    """Of projects that keep more answers than their settings allow, delete those that were used longest ago, in
    batches; how many it were."""
    most, done = ProjectRules().cache_entries, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_CAP, [most, most, BATCH])
            done += cursor.rowcount
            if cursor.rowcount < BATCH:
                return int(done)


def forget_user(*, project_id: UUID, **_: Any) -> None:
    """Somebody's data is erased: answers do not say whose question they were, so all of the project go."""
    CachedResponse.objects.filter(project=project_id).delete()
    organization = Project.objects.filter(pk=project_id).values_list("organization", flat=True)
    for organization_id in organization:
        touch(organization_id)


def forget_sealed(organization: Organization) -> None:
    """Before an older data key goes: answers sealed with it could not be opened any more (projects.resealing)."""
    projects = list(Project.objects.filter(organization=organization).values_list("pk", flat=True))
    CachedResponse.objects.filter(project__in=projects).delete()
    touch(organization.pk)
