"""Provider credentials at rest: sealed with the organisation's data key, opened only by who calls the provider."""

import json
from uuid import UUID

from accounts.models import Organization
from core import crypto
from projects.models import ProviderConnection


def context(connection_id: UUID) -> bytes:
    """The associated data that ties sealed credentials to their row."""
    return b"projects.connection:" + connection_id.bytes


def seal_credentials(
    organization: Organization, connection_id: UUID, credentials: dict[str, str]
) -> bytes:
    """What to store in `ProviderConnection.credentials`."""
    cipher = crypto.data_cipher(organization.data_key)
    return crypto.seal(cipher, json.dumps(credentials).encode(), context(connection_id))


def open_credentials(connection: ProviderConnection) -> dict[str, str]:
    """The credentials in clear; raises core.crypto.DecryptionError."""
    cipher = crypto.data_cipher(connection.organization.data_key)
    plain = crypto.unseal(cipher, connection.credentials, context(connection.pk))
    found: dict[str, str] = json.loads(plain)
    return found


def hint_of(secret: str) -> str:
    """Enough of a secret to recognise it, too little to use it."""
    return f"{secret[:7]}…{secret[-4:]}" if len(secret) >= 20 else "…"
