"""A new data key for an organisation: everything sealed is sealed again in the background, then the old key goes.

The new key seals from the first moment and both open, so nothing waits and a kill costs nothing. A second pass after a
pause catches what writers that had read the old key were still storing.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core import crypto, jobs
from core.errors import ConflictError
from core.models import Job
from core.partitions import existing_days
from projects.models import Project
from projects.resealing import seal_all_again
from traces.models import SpanPayload, Trace
from traces.payloads import is_plain, payload_context

KIND = "traces.rotate_key"
AT_ONCE = 1_000
# Longer than a request that has read the old key can still be writing.
LATE_WRITES_S = 90
PASSES = 2


@transaction.atomic
def start_rotation(*, organization: Organization, actor: User, now: dt.datetime) -> Job:
    """Put a fresh key in front and seal everything with it. Raises ConflictError while a rotation is under way."""
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    open_states = (Job.State.QUEUED, Job.State.RUNNING)
    if Job.objects.filter(kind=KIND, organization_id=locked.pk, state__in=open_states).exists():
        raise ConflictError("A rotation is under way; wait for it to end.")
    if (
        crypto.key_count(locked.data_key) == 1
    ):  # else one was cancelled half way: this one finishes it
        locked.data_key = crypto.with_new_key(locked.data_key)
        locked.save(update_fields=["data_key", "updated_at"])
    projects = list(Project.objects.filter(organization=locked).values_list("pk", flat=True))
    total = sum(
        model._default_manager.filter(project_id=pk).count()
        for pk in projects
        for model in (SpanPayload, Trace)
    )
    job = jobs.start(
        kind=KIND,
        title="Seal contents with a new encryption key",
        organization_id=locked.pk,
        created_by_id=actor.pk,
        total=total * PASSES,
        now=now,
    )
    record_audit_event(
        organization_id=locked.pk,
        actor=actor,
        action="encryption_key.rotation_started",
        target=locked.name,
        data={"job": str(job.pk)},
    )
    return job


def run_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """Some rows of the next table, day and project."""
    organization = Organization.objects.filter(pk=job.organization_id).first()
    if organization is None:
        return jobs.Step(0, None, "The organisation is gone.")
    cipher = crypto.data_cipher(organization.data_key)
    if not isinstance(cipher, crypto.DataKeys):
        return jobs.Step(0, None, "There is one key only; nothing to do.")
    cursor: dict[str, Any] = job.cursor or {"pass": 1, "places": _places(organization.pk)}
    if not cursor["places"]:
        if cursor["pass"] == PASSES:
            return _conclude(organization, job, now)
        following = {"pass": cursor["pass"] + 1, "places": _places(organization.pk)}
        return jobs.Step(0, following, "Waiting for late writers", wait_s=LATE_WRITES_S)
    place = cursor["places"][0]
    seal_again = _previews if place["day"] == "" else _payloads
    rows, after = seal_again(cipher, UUID(place["project"]), place)
    places = (
        cursor["places"][1:]
        if after is None
        else [{**place, "after": after}, *cursor["places"][1:]]
    )
    message = "Sealing contents" if cursor["pass"] == 1 else "Checking"
    return jobs.Step(rows, {"pass": cursor["pass"], "places": places}, message)


def _places(organization_id: UUID) -> list[dict[str, Any]]:
    """Each project's traces, and its payloads day by day."""
    days = sorted(existing_days("traces_spanpayload"))
    return [
        {"project": str(pk), "day": day}
        for pk in Project.objects.filter(organization=organization_id)
        .order_by("pk")
        .values_list("pk", flat=True)
        for day in ["", *(day.isoformat() for day in days)]
    ]


def _again(cipher: crypto.DataKeys, data: bytes, context: bytes) -> bytes | None:
    """The content under the newest key; None when it is there already, is stored plain, or no key opens it."""
    if not data or is_plain(data):
        return None
    try:
        crypto.unseal(cipher.newest, data, context)
    except crypto.DecryptionError:
        pass
    else:
        return None
    try:
        return crypto.seal(cipher.newest, crypto.unseal(cipher, data, context), context)
    except crypto.DecryptionError:
        return None


def _payloads(
    cipher: crypto.DataKeys, project_id: UUID, place: dict[str, Any]
) -> tuple[int, list[str] | None]:
    """Payloads of one day after the place's key; (rows looked at, next key)."""
    start = dt.datetime.fromisoformat(place["day"]).replace(tzinfo=dt.UTC)
    trace_id, span_id, at = place.get("after") or ("", "", start.isoformat())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trace_id, span_id, started_at, data FROM traces_spanpayload"
            " WHERE project_id = %s AND started_at >= %s AND started_at < %s"
            " AND (trace_id, span_id, started_at) > (%s, %s, %s::timestamptz)"
            " ORDER BY trace_id, span_id, started_at LIMIT %s FOR UPDATE",
            [project_id, start, start + dt.timedelta(days=1), trace_id, span_id, at, AT_ONCE],
        )
        rows = cursor.fetchall()
        changed = [
            (trace, span, moment, again)
            for trace, span, moment, data in rows
            if (again := _again(cipher, bytes(data), payload_context(project_id, trace, span)))
        ]
        if changed:
            cursor.execute(
                "UPDATE traces_spanpayload p SET data = v.data"
                " FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bytea[])"
                " AS v(trace_id, span_id, started_at, data)"
                " WHERE p.project_id = %s AND p.trace_id = v.trace_id AND p.span_id = v.span_id"
                " AND p.started_at = v.started_at AND p.started_at >= %s AND p.started_at < %s",
                [
                    *map(list, zip(*changed, strict=True)),
                    project_id,
                    start,
                    start + dt.timedelta(days=1),
                ],
            )
    last = rows[-1] if len(rows) == AT_ONCE else None
    return len(rows), [last[0], last[1], last[2].isoformat()] if last else None


def _previews(
    cipher: crypto.DataKeys, project_id: UUID, place: dict[str, Any]
) -> tuple[int, str | None]:
    """Previews of the project's traces after the place's id; (rows looked at, next id)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trace_id, preview FROM traces_trace WHERE project_id = %s AND trace_id > %s"
            " ORDER BY trace_id LIMIT %s FOR UPDATE",
            [project_id, place.get("after") or "", AT_ONCE],
        )
        rows = cursor.fetchall()
        changed = [
            (trace, again)
            for trace, data in rows
            if (again := _again(cipher, bytes(data), payload_context(project_id, trace, "preview")))
        ]
        if changed:
            cursor.execute(
                "UPDATE traces_trace t SET preview = v.preview"
                " FROM unnest(%s::text[], %s::bytea[]) AS v(trace_id, preview)"
                " WHERE t.project_id = %s AND t.trace_id = v.trace_id",
                [*map(list, zip(*changed, strict=True)), project_id],
            )
    return len(rows), rows[-1][0] if len(rows) == AT_ONCE else None


def _conclude(organization: Organization, job: Job, now: dt.datetime) -> jobs.Step:
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    seal_all_again(locked)
    locked.data_key = crypto.newest_only(locked.data_key)
    locked.save(update_fields=["data_key", "updated_at"])
    return jobs.Step(0, None, "Everything is sealed with the new key; the old one is gone.")


def record_end(job: Job) -> None:
    """The trail says how it ended. A cancelled rotation keeps both keys: start it again to finish."""
    record_audit_event(
        organization_id=job.organization_id,
        actor=None,
        action=f"encryption_key.rotation_{job.state}",
        target="",
        data={"job": str(job.pk)},
    )
