"""Passes: what lets a person's browser call the gateway's door for a minute, as the person.

The door serves programs by API keys. A page asks for a pass with its session and CSRF token and then calls `/v1/…`
itself, so that a call from the playground takes the same path as any other and no thread of Django waits for it.
A pass says who and which project, signed; whether they still may is asked of PostgreSQL when it is used.
"""

import datetime as dt
from uuid import UUID

import msgspec
from django.core import signing
from django.db.models import F

from accounts.models import ROLE_RANK, Role, User
from gateway.structs import Caller
from projects.authentication import KeyAuth
from projects.models import Project

PREFIX = "llmlab_pass_"
LIFE = dt.timedelta(seconds=60)
# What separates these calls from those of programs, in traces, costs and limits.
ENVIRONMENT = "playground"
SCOPES = frozenset({"gateway"})
_SALT = "gateway.playground.passes"
_MAX_CHARS = 400
_CALLERS = [role for role in Role if ROLE_RANK[role] >= ROLE_RANK[Role.MEMBER]]


class Holder(msgspec.Struct, frozen=True):
    """Whom a pass names, as far as the pass itself knows."""

    user_id: UUID
    project_id: UUID


def issue_pass(*, user: User, project: Project, now: dt.datetime) -> str:
    """A pass for somebody who was just seen to be a member of the project."""
    until = int((now + LIFE).timestamp())
    text = f"{user.pk.hex}.{project.pk.hex}.{until}"
    return PREFIX + signing.Signer(salt=_SALT, sep=":").sign(text)


def read_pass(raw: str, *, now: dt.datetime) -> Holder | None:
    """Whom it names; None: it is none of ours, or its minute is over. No query."""
    if len(raw) > _MAX_CHARS:
        return None
    try:
        text = signing.Signer(salt=_SALT, sep=":").unsign(raw.removeprefix(PREFIX))
    except signing.BadSignature:
        return None
    user_id, project_id, until = text.split(".")
    if now.timestamp() >= int(until):
        return None
    return Holder(UUID(user_id), UUID(project_id))


def open_pass(raw: str, *, now: dt.datetime) -> tuple[KeyAuth, str] | None:
    """What the pass opens and its person's address; None: it is none, or they may call no models there any more.

    One query. The answer's `key_id` is the person's id: they hold no key (`as_person`).
    """
    holder = read_pass(raw, now=now)
    if holder is None:
        return None
    found = (
        Project.objects.filter(
            pk=holder.project_id,
            organization__memberships__user=holder.user_id,
            organization__memberships__user__is_active=True,
            organization__memberships__role__in=_CALLERS,
        )
        .exclude(status=Project.Status.DELETING)
        .select_related("organization")
        .annotate(email=F("organization__memberships__user__email"))
        .first()
    )
    if found is None:
        return None
    return _auth_of(found, holder.user_id), found.email


def _auth_of(project: Project, user_id: UUID) -> KeyAuth:
    return KeyAuth(
        key_id=user_id,
        key_label="",
        project_id=project.pk,
        project_slug=project.slug,
        project_status=project.status,
        organization_id=project.organization_id,
        scopes=SCOPES,
        content_capture=project.content_capture,
        masking=project.masking,
        data_key=bytes(project.organization.data_key),
    )


def name_of(email: str) -> str:
    """The person as `user` of their calls."""
    return email[:200]


def as_person(caller: Caller, email: str) -> Caller:
    """The caller without a key, as this person and from the playground, whatever headers and body say."""
    return msgspec.structs.replace(
        caller, key_id="", key_label="", user=name_of(email), environment=ENVIRONMENT
    )
