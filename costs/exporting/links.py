"""Links to files of exports that need no account until they end: signed, revocable, counted, written to the trail.

The address carries the link's id under a signature with a time; a database row says until when it holds. An altered,
expired, revoked or foreign address and a file that is gone are the same to whoever tries it: nothing.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import DomainError, NotFoundError
from core.models import Job
from costs.models import ExportLink
from projects.access import parse_uuid

SALT = "costs.exporting.link"
# Files are kept for a week.
EXPIRIES = {
    "1h": (dt.timedelta(hours=1), "1 hour"),
    "24h": (dt.timedelta(hours=24), "24 hours"),
    "3d": (dt.timedelta(days=3), "3 days"),
    "7d": (dt.timedelta(days=7), "7 days"),
}
DEFAULT_EXPIRY = "24h"
MAX_OPEN = 50


def links_of(job: Job, *, now: dt.datetime) -> QuerySet[ExportLink]:
    """Links to the job's files that still work, newest first. One query."""
    rows = ExportLink.objects.filter(organization_id=job.organization_id, job_id=job.pk)
    rows = rows.filter(revoked_at=None, expires_at__gt=now)
    return rows.select_related("created_by").order_by("-pk")


def address_of(link: ExportLink) -> str:
    """What to hand to people; signed anew each time, it holds as long as the link."""
    token = signing.TimestampSigner(salt=SALT).sign_object(str(link.pk))
    return settings.LLMLAB_BASE_URL + reverse("costs:export_link_file", args=[token])


def file_of(job: Job, name: str) -> dict[str, Any]:
    """The job's file of that name (empty: its first). Raises NotFoundError when there is none, or none any more."""
    files: list[dict[str, Any]] = job.result.get("files", [])
    found = next((file for file in files if name in ("", file["name"])), None)
    if found is None:
        raise NotFoundError(
            "This export has no such file: it is not finished, it failed, or the files were removed after a week."
        )
    return found


@transaction.atomic
def create_link(
    *, job: Job, file_name: str, expires_in: str, now: dt.datetime, actor: User
) -> ExportLink:
    """A link to one file. Raises DomainError for an unknown expiry or too many, NotFoundError without the file."""
    if expires_in not in EXPIRIES:
        raise DomainError(
            f"expires_in is {expires_in[:40]!r}; it must be one of {', '.join(EXPIRIES)}.",
            fields=["expires_in"],
        )
    file = file_of(job, file_name)
    if links_of(job, now=now).count() >= MAX_OPEN:
        raise DomainError(f"This export has {MAX_OPEN} open links; revoke one first.")
    link = ExportLink.objects.create(
        organization_id=job.organization_id,
        job_id=job.pk,
        file_name=file["name"],
        expires_at=now + EXPIRIES[expires_in][0],
        created_by=actor,
    )
    _audit("export.link_created", link, actor)
    return link


@transaction.atomic
def revoke_link(
    *, organization_id: UUID, link_id: UUID, now: dt.datetime, actor: User
) -> ExportLink:
    """End a link at once; ending it twice changes nothing. Raises NotFoundError."""
    rows = ExportLink.objects.select_for_update().filter(organization_id=organization_id)
    link = rows.filter(pk=link_id).first()
    if link is None:
        raise NotFoundError("There is no such link in this organisation.")
    if link.revoked_at is None:
        link.revoked_at = now
        link.save(update_fields=["revoked_at", "updated_at"])
        _audit("export.link_revoked", link, actor)
    return link


def open_link(token: str, *, now: dt.datetime) -> tuple[Job, dict[str, Any], ExportLink]:
    """The export and the file behind an address. Raises NotFoundError for whatever does not work. Two queries."""
    gone = NotFoundError("This link does not work: it ended, was revoked, or never was.")
    longest = max(length for length, _ in EXPIRIES.values())
    try:
        text = signing.TimestampSigner(salt=SALT).unsign_object(token[:300], max_age=longest)
    except (signing.BadSignature, ValueError):
        raise gone from None
    link_id = parse_uuid(str(text))
    link = ExportLink.objects.filter(pk=link_id).first() if link_id else None
    if link is None or not link.is_usable(now):
        raise gone
    job = Job.objects.filter(pk=link.job_id, organization_id=link.organization_id).first()
    if job is None or job.state != Job.State.DONE:
        raise gone
    try:
        file = file_of(job, link.file_name)
    except NotFoundError:
        raise gone from None
    return job, file, link


@transaction.atomic
def count_use(link: ExportLink, *, now: dt.datetime) -> None:
    """One more download, written to the trail."""
    ExportLink.objects.filter(pk=link.pk).update(
        download_count=F("download_count") + 1, last_used_at=now
    )
    _audit("export.link_used", link, None)


def _audit(action: str, link: ExportLink, actor: User | None) -> None:
    record_audit_event(
        organization_id=link.organization_id,
        actor=actor,
        action=action,
        target=link.file_name,
        data={"link": str(link.pk), "job": str(link.job_id), "until": link.expires_at.isoformat()},
        actor_label="" if actor else "whoever has the link",
    )
