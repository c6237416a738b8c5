"""API keys: made, rotated with an overlap, revoked. The raw key exists only in the answer that
created it.
"""

import datetime as dt
import secrets
from collections.abc import Iterable

from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.services import clean_name, record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from projects.authentication import KEY_PREFIX, hash_key
from projects.models import ApiKey, Project

SHOWN_CHARACTERS = 18
MIN_GIVEN_LENGTH = 20
MAX_GIVEN_LENGTH = 200
OVERLAPS = {
    "now": dt.timedelta(0),
    "1h": dt.timedelta(hours=1),
    "24h": dt.timedelta(hours=24),
    "7d": dt.timedelta(days=7),
}


def new_raw_key() -> str:
    """`llmlab_sk_` and 43 URL-safe characters: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def create_api_key(
    *,
    project: Project,
    name: str,
    scopes: Iterable[str],
    actor: User | None = None,
    expires_at: dt.datetime | None = None,
    value: str | None = None,
    actor_label: str = "",
    now: dt.datetime | None = None,
) -> tuple[ApiKey, str]:
    """A key and its raw value, which is not kept. `value` is an operator's own key (headless
    initialisation).

    Raises DomainError for bad scopes, name, value or (with `now`) an expiry in the past,
    ConflictError when `value` is in use.
    """
    if now is not None and expires_at is not None and expires_at <= now:
        raise DomainError("expires_at must be in the future.", fields=["expires_at"])
    wanted = check_scopes(scopes)
    name = clean_name(name, limit=80)
    raw = check_given_value(value) if value is not None else new_raw_key()
    try:
        with transaction.atomic():
            key = ApiKey.objects.create(
                project=project,
                name=name,
                prefix=raw[:SHOWN_CHARACTERS]
                if value is None
                else raw[: min(SHOWN_CHARACTERS, len(raw) - 12)],
                key_hash=hash_key(raw),
                scopes=wanted,
                created_by=actor,
                expires_at=expires_at,
            )
            _audit(key, project, actor, "api_key.created", {"scopes": wanted}, actor_label)
    except IntegrityError:
        raise ConflictError("This key value is in use; choose another.", fields=["value"]) from None
    return key, raw


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in their fixed order, each once; raises DomainError for none or an unknown one."""
    asked = set(scopes)
    allowed = list(ApiKey.Scope.values)
    if unknown := asked - set(allowed):
        text = ", ".join(sorted(repr(str(scope)[:40]) for scope in unknown))
        raise DomainError(
            f"scopes has {text}; allowed are {', '.join(allowed)}.", fields=["scopes"]
        )
    if not asked:
        raise DomainError(f"scopes needs at least one of {', '.join(allowed)}.", fields=["scopes"])
    return [scope for scope in allowed if scope in asked]


def check_given_value(value: str) -> str:
    """An operator's own key; raises DomainError when it is too short, too long or cannot stand in a
    header.
    """
    if not MIN_GIVEN_LENGTH <= len(value) <= MAX_GIVEN_LENGTH:
        raise DomainError(
            f"The key must have {MIN_GIVEN_LENGTH} to {MAX_GIVEN_LENGTH} characters.",
            fields=["value"],
        )
    if not value.isascii() or not value.isprintable() or " " in value or ":" in value:
        raise DomainError(
            "The key must be printable ASCII without spaces and colons.", fields=["value"]
        )
    return value


@transaction.atomic
def rotate_api_key(
    *,
    project: Project,
    key: ApiKey,
    overlap: str,
    now: dt.datetime,
    actor: User | None = None,
    actor_label: str = "",
) -> tuple[ApiKey, str]:
    """A new key with the same name, scopes and expiry; the old one stops after `overlap` ("now",
    "1h", "24h", "7d").

    Raises ConflictError when the old key no longer works or was rotated before.
    """
    if overlap not in OVERLAPS:
        raise DomainError(
            f"overlap={overlap[:20]!r} must be one of {', '.join(OVERLAPS)}.", fields=["overlap"]
        )
    old = _locked(project, key)
    if not old.is_usable(now):
        raise ConflictError("This key is expired or revoked; create a new one instead.")
    if old.rotated_to_id is not None:
        raise ConflictError("This key was rotated already; rotate its successor instead.")
    new, raw = create_api_key(
        project=project,
        name=old.name,
        scopes=old.scopes,
        actor=actor,
        expires_at=old.expires_at,
        actor_label=actor_label,
    )
    ends_at = now + OVERLAPS[overlap]
    old.expires_at = min(ends_at, old.expires_at) if old.expires_at else ends_at
    old.rotated_to = new
    old.save(update_fields=["expires_at", "rotated_to", "updated_at"])
    _audit(
        old,
        project,
        actor,
        "api_key.rotated",
        {"overlap": overlap, "successor": new.prefix},
        actor_label,
    )
    return new, raw


@transaction.atomic
def revoke_api_key(
    *,
    project: Project,
    key: ApiKey,
    now: dt.datetime,
    actor: User | None = None,
    actor_label: str = "",
) -> ApiKey:
    """Stop a key for good, at once on every process. Revoking twice changes nothing."""
    key = _locked(project, key)
    if key.revoked_at is None:
        key.revoked_at = now
        key.save(update_fields=["revoked_at", "updated_at"])
        _audit(key, project, actor, "api_key.revoked", {}, actor_label)
    return key


def _locked(project: Project, key: ApiKey) -> ApiKey:
    found = ApiKey.objects.select_for_update().filter(project_id=project.pk, pk=key.pk).first()
    if found is None:
        raise NotFoundError("There is no such API key in this project.")
    return found


def _audit(
    key: ApiKey,
    project: Project,
    actor: User | None,
    action: str,
    data: dict[str, object],
    actor_label: str,
) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action=action,
        target=f"{key.name} ({key.prefix}…)",
        data={"project": project.slug, "key_id": str(key.pk), **data},
        actor_label=actor_label,
    )
