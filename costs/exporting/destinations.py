"""Buckets an organisation sends exports to: saved, checked, removed."""

import datetime as dt
import re
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core import outbound
from core.errors import ConflictError, DomainError, NotFoundError
from core.ids import uuid7
from costs.exporting.delivery import DestinationError, probe
from costs.exporting.sealing import seal_secret
from costs.models import ExportDestination

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/ -]*\Z")
REGION = re.compile(r"[a-z0-9-]*\Z")
MAX_DESTINATIONS = 20
Status = ExportDestination.Status


@dataclass(frozen=True)
class DestinationDraft:
    """What a person fills in. An empty secret keeps the one that is stored."""

    name: str
    bucket: str
    access_key_id: str
    secret: str = ""
    endpoint_url: str = ""
    prefix: str = ""
    region: str = ""


def destinations_of(organization_id: UUID) -> QuerySet[ExportDestination]:
    """By name. One query."""
    return ExportDestination.objects.filter(organization_id=organization_id).order_by("name", "pk")


def destination_of(organization_id: UUID, destination_id: UUID) -> ExportDestination:
    """One of them with its organisation. Raises NotFoundError."""
    found = (
        ExportDestination.objects.select_related("organization")
        .filter(organization_id=organization_id, pk=destination_id)
        .first()
    )
    if found is None:
        raise NotFoundError("There is no such destination in this organisation.")
    return found


def _checked(draft: DestinationDraft) -> None:
    """Raises DomainError naming the field, its value and the rule."""
    rules = (
        ("name", draft.name.strip() and len(draft.name) <= 80, "1 to 80 characters"),
        ("bucket", BUCKET.match(draft.bucket), "3 to 63 small letters, digits, dots and hyphens"),
        (
            "prefix",
            len(draft.prefix) <= 200 and PREFIX.match(draft.prefix) and ".." not in draft.prefix,
            "at most 200 letters, digits, / and -_.*'(), without ..",
        ),
        ("region", len(draft.region) <= 40 and REGION.match(draft.region), "such as eu-central-1"),
        (
            "access_key_id",
            draft.access_key_id.strip() and len(draft.access_key_id) <= 200,
            "1 to 200 characters",
        ),
        ("secret", len(draft.secret) <= 1000, "at most 1000 characters"),
        ("endpoint_url", len(draft.endpoint_url) <= 300, "at most 300 characters"),
    )
    for name, is_right, rule in rules:
        if not is_right or "\x00" in getattr(draft, name):
            shown = "" if name == "secret" else f" is {getattr(draft, name)[:40]!r}; it"
            raise DomainError(f"{name}{shown} must be {rule}.", fields=[name])
    if draft.endpoint_url:
        try:
            outbound.check_url(draft.endpoint_url)
        except outbound.OutboundError as error:
            raise DomainError(
                f"endpoint_url: {error.detail}", code=error.code, fields=["endpoint_url"]
            ) from None


@transaction.atomic
def save_destination(
    *,
    organization: Organization,
    draft: DestinationDraft,
    destination: ExportDestination | None = None,
    actor: User | None,
) -> ExportDestination:
    """A new destination, or the given one changed; unchecked until it is checked. Raises DomainError, ConflictError."""
    _checked(draft)
    is_new = destination is None
    if destination is None:
        if not draft.secret:
            raise DomainError("secret is empty; it is needed to write.", fields=["secret"])
        if destinations_of(organization.pk).count() >= MAX_DESTINATIONS:
            raise DomainError(f"{MAX_DESTINATIONS} destinations are the most; remove one first.")
        destination = ExportDestination(id=uuid7(), organization=organization, created_by=actor)
    elif not draft.secret and (draft.endpoint_url.rstrip("/") != destination.endpoint_url):
        # Who changes where it goes must know the secret: else any admin could have it sent to a server of theirs.
        raise DomainError("Give the secret again when the endpoint changes.", fields=["secret"])
    for name in ("name", "bucket", "access_key_id", "region"):
        setattr(destination, name, getattr(draft, name).strip())
    destination.prefix = draft.prefix.strip().strip("/")
    destination.endpoint_url = draft.endpoint_url.strip().rstrip("/")
    if draft.secret:
        destination.secret = seal_secret(organization, destination.pk, draft.secret)
    destination.status, destination.status_message = Status.UNVERIFIED, ""
    try:
        with transaction.atomic():
            destination.save(force_insert=is_new)
    except IntegrityError:
        raise ConflictError(
            f"name is {draft.name[:40]!r}; another destination has that name.", fields=["name"]
        ) from None
    _audit(
        "export.destination_created" if is_new else "export.destination_changed", destination, actor
    )
    return destination


def check_destination(
    *, destination: ExportDestination, now: dt.datetime, actor: User | None
) -> ExportDestination:
    """Write and delete a probe object; what came of it is saved and shown. Raises nothing of the storage's."""
    try:
        probe(destination)
    except DestinationError as error:
        destination.status, destination.status_message = Status.ERROR, error.detail
    else:
        destination.status, destination.status_message = Status.VERIFIED, ""
    destination.checked_at = now
    destination.save(update_fields=["status", "status_message", "checked_at", "updated_at"])
    _audit("export.destination_checked", destination, actor)
    return destination


@transaction.atomic
def remove_destination(*, destination: ExportDestination, actor: User | None) -> None:
    """Forget it and its secret; what was sent stays in the bucket. Raises ConflictError while a schedule uses it."""
    used = list(destination.schedules.values_list("name", flat=True)[:3])
    if used:
        raise ConflictError(
            f"{destination.name} is used by {', '.join(used)}; change or remove those schedules first."
        )
    _audit("export.destination_removed", destination, actor)
    destination.delete()


def _audit(action: str, destination: ExportDestination, actor: User | None) -> None:
    record_audit_event(
        organization_id=destination.organization_id,
        actor=actor,
        action=action,
        target=destination.name,
        data={
            "endpoint": destination.endpoint_url,
            "bucket": destination.bucket,
            "status": destination.status,
        },
        actor_label="" if actor else "system",
    )
