"""Providers' keys at rest: sealed with the organisation's data key and bound to their row, opened only to call."""

from uuid import UUID

from accounts.models import Organization
from core import crypto
from gateway.models import ConnectionKey
from gateway.snapshot import touch


def context(key_id: UUID) -> bytes:
    """The associated data that ties a sealed key to its row."""
    return b"gateway.connection_key:" + key_id.bytes


def seal_key(organization: Organization, key_id: UUID, secret: str) -> bytes:
    """What to store in `ConnectionKey.sealed`."""
    return crypto.seal(crypto.data_cipher(organization.data_key), secret.encode(), context(key_id))


def open_key(cipher: crypto.Cipher, key_id: UUID, sealed: bytes | memoryview) -> str:
    """The key in clear; raises core.crypto.DecryptionError."""
    return crypto.unseal(cipher, sealed, context(key_id)).decode()


def seal_again(organization: Organization) -> None:
    """With the organisation's newest data key, before an older one goes (projects.resealing)."""
    cipher = crypto.data_cipher(organization.data_key)
    rows = ConnectionKey.objects.filter(connection__organization=organization).exclude(sealed=b"")
    count = 0
    for one in rows.select_for_update(of=("self",)):
        one.sealed = seal_key(organization, one.pk, open_key(cipher, one.pk, one.sealed))
        one.save(update_fields=["sealed"])
        count += 1
    if count:
        touch(organization.pk)
