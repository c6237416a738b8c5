"""The secrets of destinations at rest: sealed with the organisation's data key, tied to their row."""

from uuid import UUID

from accounts.models import Organization
from core import crypto
from costs.models import ExportDestination


def context(destination_id: UUID) -> bytes:
    """The associated data of a sealed secret."""
    return b"costs.export_destination:" + destination_id.bytes


def seal_secret(organization: Organization, destination_id: UUID, secret: str) -> bytes:
    """What to store in `ExportDestination.secret`."""
    cipher = crypto.data_cipher(organization.data_key)
    return crypto.seal(cipher, secret.encode(), context(destination_id))


def open_secret(destination: ExportDestination) -> str:
    """The secret in clear; raises core.crypto.DecryptionError."""
    cipher = crypto.data_cipher(destination.organization.data_key)
    return crypto.unseal(cipher, destination.secret, context(destination.pk)).decode()


def seal_again(organization: Organization) -> None:
    """After the organisation got another data key, while both open: its destinations' secrets under the newest."""
    for one in ExportDestination.objects.filter(organization=organization).select_for_update():
        one.organization = organization
        one.secret = seal_secret(organization, one.pk, open_secret(one))
        one.save(update_fields=["secret"])
