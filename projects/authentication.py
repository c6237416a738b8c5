"""From a raw API key to who is calling: a plain function for the ingestion doors, a DRF class for
the API.

Nothing is cached: each request asks PostgreSQL by the key's SHA-256, so a revocation is effective
at once everywhere.
"""

import base64
import binascii
import datetime as dt
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core import prepared
from projects.models import ApiKey, Project

logger = logging.getLogger(__name__)

KEY_PREFIX = "llmlab_sk_"
MAX_HEADER = 1024
LAST_USED_EVERY = dt.timedelta(seconds=60)
INVALID_KEY = "This API key is unknown, expired or revoked."
# Every upload asks this.
_FIND = f"""
SELECT k.last_used_at, k.id, k.name, k.prefix, k.scopes, k.project_id, p.slug, p.status, p.content_capture, p.masking,
  p.organization_id, o.data_key
FROM projects_apikey k JOIN projects_project p ON p.id = k.project_id
  JOIN accounts_organization o ON o.id = p.organization_id
WHERE k.key_hash = %s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s)
  AND p.status <> '{Project.Status.DELETING.value}'
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class KeyAuth:
    """A valid key: which project it opens and what it may do there."""

    key_id: UUID
    key_label: str
    project_id: UUID
    project_slug: str
    project_status: str
    organization_id: UUID
    scopes: frozenset[str]
    content_capture: str
    masking: dict[str, Any]
    data_key: bytes = field(repr=False)

    @property
    def is_archived(self) -> bool:
        return self.project_status == Project.Status.ARCHIVED

    def names_project(self, ref: str) -> bool:
        """Whether `ref` (slug or UUID) is this key's project."""
        return ref == self.project_slug or ref.lower() in (
            str(self.project_id),
            self.project_id.hex,
        )


def hash_key(raw: str) -> str:
    """SHA-256 of a key; 256 random bits need no slow hash."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


def key_from_request(request: HttpRequest) -> str | None:
    """The key in `Authorization: Bearer`, `Authorization: Basic` (either half), `Authorization` alone (Logfire's way)
    or `x-api-key`; None without one.
    """
    header = request.headers.get("Authorization", "")
    if len(header) > MAX_HEADER:
        return None
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value or None
    if scheme.lower() == "basic":
        return _key_from_basic(value)
    if not value and scheme.startswith(KEY_PREFIX):
        return scheme
    value = request.headers.get("x-api-key", "").strip()
    return value if 0 < len(value) <= MAX_HEADER else None


def _key_from_basic(value: str) -> str | None:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    if user.startswith(KEY_PREFIX):
        return user
    return password or user or None


def authenticate_key(raw: str, *, now: dt.datetime) -> KeyAuth | None:
    """Who holds `raw`: None when unknown, revoked, expired or its project is being deleted. One
    indexed query.

    At most once a minute per key it also notes the use, skipping the write when another process is
    at it.
    """
    row = prepared.execute(_FIND, [hash_key(raw), now]).fetchone()
    if row is None:
        return None
    last_used_at, *columns = row
    auth = _auth_of(columns)
    if last_used_at is None or last_used_at < now - LAST_USED_EVERY:
        _note_use(auth.key_id, now)
    return auth


def _auth_of(columns: Sequence[Any]) -> KeyAuth:
    """From the columns of `_FIND` after the first, in their order."""
    key_id, name, prefix, scopes, project_id, slug, status, capture, masking, *organization = (
        columns
    )
    organization_id, data_key = organization
    return KeyAuth(
        key_id=key_id,
        key_label=f"{name} ({prefix}…)",
        project_id=project_id,
        project_slug=slug,
        project_status=status,
        organization_id=organization_id,
        scopes=frozenset(scopes),
        content_capture=capture,
        masking=msgspec.json.decode(masking),  # raw cursors hand jsonb over as text
        data_key=bytes(data_key),
    )


def _note_use(key_id: UUID, now: dt.datetime) -> None:
    """Best effort: never waits for another writer, never fails the request."""
    due = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_EVERY)
    try:
        with transaction.atomic():
            free = ApiKey.objects.select_for_update(skip_locked=True).filter(due, pk=key_id)
            ApiKey.objects.filter(pk__in=free.values("pk")).update(last_used_at=now)
    except DatabaseError as error:
        logger.warning("projects.key.last_used_not_noted: %s", type(error).__name__)


class ApiKeyAuthentication(BaseAuthentication):
    """DRF: `request.auth` is a KeyAuth, `request.user` stays anonymous (a key is not a person)."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, KeyAuth] | None:
        raw = key_from_request(request._request)
        if raw is None:
            if request.headers.get("Authorization"):
                raise AuthenticationFailed(INVALID_KEY)
            return None
        auth = authenticate_key(raw, now=timezone.now())
        if auth is None:
            raise AuthenticationFailed(INVALID_KEY)
        return AnonymousUser(), auth

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="llmlab"'
