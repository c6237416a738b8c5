"""Keys of connections: added, weighed, replaced with an overlap, revoked. A key that no longer counts is not kept."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from core import crypto
from core.crypto import DecryptionError
from core.errors import ConflictError, DomainError, NotFoundError
from core.ids import uuid7
from gateway.connections.rows import audit, locked
from gateway.connections.secrets import open_key, seal_key
from gateway.connections.values import clean_key, clean_weight
from gateway.models import Connection, ConnectionKey, KeyState
from gateway.snapshot import touch
from projects.connections import hint_of

MAX_KEYS = 20
OVERLAPS = {
    "now": dt.timedelta(),
    "1h": dt.timedelta(hours=1),
    "24h": dt.timedelta(hours=24),
    "7d": dt.timedelta(days=7),
}


def store_key(*, connection: Connection, secret: str, weight: int, actor: User) -> ConnectionKey:
    """Seal a key into a row of its own, in the caller's transaction. Raises DomainError, ConflictError."""
    secret, weight = clean_key(secret), clean_weight(weight)
    cipher = crypto.data_cipher(connection.organization.data_key)
    kept = list(connection.keys.exclude(state=KeyState.REVOKED))
    if len(kept) >= MAX_KEYS:
        raise ConflictError(f"There are at most {MAX_KEYS} keys; revoke one first.")
    for one in kept:
        if _opened(cipher, one) == secret:
            raise ConflictError(f"This key is there already ({one.hint}).", fields=["secret"])
    identity = uuid7()
    return ConnectionKey.objects.create(
        id=identity,
        connection=connection,
        sealed=seal_key(connection.organization, identity, secret),
        hint=hint_of(secret),
        weight=weight,
        created_by=actor,
    )


def _opened(cipher: crypto.Cipher, key: ConnectionKey) -> str:
    try:
        return open_key(cipher, key.pk, key.sealed)
    except DecryptionError:  # its master key is gone; it is no reason to refuse another one
        return ""


@transaction.atomic
def add_key(
    *, connection: Connection, secret: str, actor: User, now: dt.datetime, weight: int = 1
) -> ConnectionKey:
    """One more key: calls are shared by weight. Raises DomainError naming the field, ConflictError."""
    row = locked(connection)
    key = store_key(connection=row, secret=secret, weight=weight, actor=actor)
    _changed(row, actor, "key_added", key, weight=weight)
    return key


@transaction.atomic
def weigh_key(*, key: ConnectionKey, weight: int, actor: User, now: dt.datetime) -> ConnectionKey:
    """Another share of the calls. Raises DomainError, ConflictError for a key that is not active."""
    row, key = _locked(key)
    if clean_weight(weight) == key.weight:
        return key
    before, key.weight = key.weight, weight
    key.save(update_fields=["weight", "updated_at"])
    _changed(row, actor, "key_weighed", key, weight=[before, weight])
    return key


@transaction.atomic
def rotate_key(
    *, key: ConnectionKey, secret: str, overlap: str, actor: User, now: dt.datetime
) -> ConnectionKey:
    """A new key in its place, which takes its calls at once. For `overlap` the old one stands in when the provider
    refuses the new one; "now" revokes it. Raises DomainError, ConflictError."""
    if overlap not in OVERLAPS:
        raise DomainError(
            f"overlap is {overlap[:40]!r}; it must be one of {', '.join(OVERLAPS)}.",
            fields=["overlap"],
        )
    row, key = _locked(key)
    made = store_key(connection=row, secret=secret, weight=key.weight, actor=actor)
    if OVERLAPS[overlap]:
        key.state, key.retires_at = KeyState.RETIRING, now + OVERLAPS[overlap]
        key.save(update_fields=["state", "retires_at", "updated_at"])
    else:
        _forget(key, now)
    _changed(row, actor, "key_rotated", made, replaces=key.hint, overlap=overlap)
    return made


@transaction.atomic
def revoke_key(*, key: ConnectionKey, actor: User, now: dt.datetime) -> None:
    """Call with it no more, from the next second on; what is sealed is deleted. Without any key left no call goes there
    until one is added."""
    row = locked(key.connection)
    found = row.keys.select_for_update().get(pk=key.pk)
    if found.state == KeyState.REVOKED:
        return
    _forget(found, now)
    _changed(row, actor, "key_revoked", found)


def revoke_all(*, connection: Connection, now: dt.datetime) -> None:
    """All of them, in the caller's transaction."""
    for key in connection.keys.select_for_update().exclude(state=KeyState.REVOKED):
        _forget(key, now)


@transaction.atomic
def retire_due(*, now: dt.datetime) -> int:
    """Delete what is sealed of replaced keys whose overlap is over; how many."""
    due = ConnectionKey.objects.filter(state=KeyState.RETIRING, retires_at__lte=now)
    rows = list(due.select_for_update(of=("self",)).select_related("connection").order_by("pk"))
    for key in rows:
        _forget(key, key.retires_at or now)
    for organization_id in {key.connection.organization_id for key in rows}:
        touch(organization_id)
    return len(rows)


def _locked(key: ConnectionKey) -> tuple[Connection, ConnectionKey]:
    """Its connection and itself, held. Raises NotFoundError, ConflictError."""
    row = locked(key.connection)
    found = row.keys.select_for_update().filter(pk=key.pk).first()
    if found is None:
        raise NotFoundError("There is no such key.")
    if found.state != KeyState.ACTIVE:
        raise ConflictError(f"The key {found.hint} is not active any more.")
    return row, found


def _forget(key: ConnectionKey, now: dt.datetime) -> None:
    key.state, key.retires_at, key.sealed = KeyState.REVOKED, now, b""
    key.save(update_fields=["state", "retires_at", "sealed", "updated_at"])


def _changed(row: Connection, actor: User, verb: str, key: ConnectionKey, **data: object) -> None:
    audit(row, actor, verb, key=key.hint, **data)
    touch(row.organization_id)
