"""Public links to single traces: whoever has one reads that trace without an account, until it ends.

The token is 256 random bits and shown once; the database keeps its SHA-256. A link that ended, was revoked, never was,
or whose organisation forbids sharing is the same to whoever tries it: nothing.
"""

import datetime as dt
import hashlib
import secrets
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from accounts.models import ROLE_RANK, Organization, Role, User
from accounts.services import ForbiddenError, record_audit_event
from core.errors import DomainError, NotFoundError
from projects.models import Project
from traces.models import ShareLink
from traces.selectors import detail
from traces.selectors.feedback import open_links

TOKEN_BYTES = 32
# How long a link works; "never" is for admins.
EXPIRIES: dict[str, tuple[dt.timedelta | None, str]] = {
    "1h": (dt.timedelta(hours=1), "1 hour"),
    "1d": (dt.timedelta(days=1), "1 day"),
    "7d": (dt.timedelta(days=7), "7 days"),
    "30d": (dt.timedelta(days=30), "30 days"),
    "never": (None, "No end"),
}
DEFAULT_EXPIRY = "7d"
MAX_OPEN_PER_TRACE = 50


def hash_token(token: str) -> str:
    """What is stored of a token; it has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def address_of(token: str) -> str:
    """What to hand to people."""
    return settings.LLMLAB_BASE_URL + reverse("traces:share_detail", args=[token])


@transaction.atomic
def create_share_link(
    *,
    project: Project,
    trace_id: str,
    with_payloads: bool,
    expires_in: str,
    now: dt.datetime,
    actor: User | None,
    actor_label: str = "",
) -> tuple[ShareLink, str]:
    """A new link and its token, which nothing shows again.

    Raises ForbiddenError where the organisation forbids sharing or a non-admin asks for a link without end,
    DomainError for an unknown expiry, NotFoundError without the trace.
    """
    if expires_in not in EXPIRIES:
        raise DomainError(
            f"expires_in is {expires_in[:40]!r}; it must be one of {', '.join(EXPIRIES)}.",
            fields=["expires_in"],
        )
    if not Organization.objects.filter(pk=project.organization_id, allows_sharing=True).exists():
        raise ForbiddenError("Your organisation's settings forbid public links.")
    length = EXPIRIES[expires_in][0]
    if length is None and ROLE_RANK[project.role] < ROLE_RANK[Role.ADMIN]:
        raise ForbiddenError("A link without end needs the role admin.")
    if detail.trace_of(project, trace_id) is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    if open_links(project, now=now, trace_id=trace_id).count() >= MAX_OPEN_PER_TRACE:
        raise DomainError(f"This trace has {MAX_OPEN_PER_TRACE} open links; revoke one first.")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = ShareLink.objects.create(
        project=project,
        trace_id=trace_id,
        token_hash=hash_token(token),
        with_payloads=with_payloads,
        created_by=actor,
        expires_at=now + length if length else None,
    )
    _audit("trace.shared", link, project, actor, actor_label)
    return link, token


@transaction.atomic
def revoke_share_link(
    *,
    project: Project,
    link_id: UUID,
    now: dt.datetime,
    actor: User | None,
    actor_label: str = "",
) -> ShareLink:
    """End a link at once. Ending it twice changes nothing. Raises NotFoundError."""
    link = ShareLink.objects.select_for_update().filter(project=project, pk=link_id).first()
    if link is None:
        raise NotFoundError("There is no such link in this project.")
    if link.revoked_at is None:
        ShareLink.objects.filter(project=project, pk=link_id).update(revoked_at=now)
        link.revoked_at = now
        _audit("trace.share_revoked", link, project, actor, actor_label)
    return link


def find_share_link(token: str, *, now: dt.datetime) -> ShareLink | None:
    """The link behind `token` while it works, with project and organisation; else None. One query."""
    if not 20 <= len(token) <= 100:
        return None
    link = (
        ShareLink.objects.select_related("project__organization")
        .filter(token_hash=hash_token(token), project__organization__allows_sharing=True)
        .exclude(project__status=Project.Status.DELETING)
        .first()
    )
    return link if link is not None and link.is_usable(now) else None


def count_view(link: ShareLink, *, now: dt.datetime) -> None:
    """One more look at the page."""
    ShareLink.objects.filter(project=link.project_id, pk=link.pk).update(
        view_count=F("view_count") + 1, last_viewed_at=now
    )


def _audit(
    action: str, link: ShareLink, project: Project, actor: User | None, actor_label: str
) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action=action,
        target=link.trace_id,
        data={
            "project": str(project.pk),
            "link": str(link.pk),
            "payloads": link.with_payloads,
            "expires_at": link.expires_at.isoformat() if link.expires_at else None,
        },
    )
