"""Channels' secrets at rest: sealed with the organisation's data key (operators' channels: with the master key) and
bound to their row, opened only by who sends."""

import json
from uuid import UUID

from accounts.models import Organization
from alerts.models import Channel
from core import crypto


def context(channel_id: UUID) -> bytes:
    """The associated data that ties a sealed secret to its row."""
    return b"alerts.channel:" + channel_id.bytes


def _cipher(organization: Organization | None) -> crypto.Cipher:
    if organization is None:
        return crypto.master_cipher()
    return crypto.data_cipher(organization.data_key)


def seal_secret(
    organization: Organization | None, channel_id: UUID, secret: dict[str, str]
) -> bytes:
    """What to store in `Channel.secret`."""
    return crypto.seal(
        _cipher(organization), json.dumps(secret, sort_keys=True).encode(), context(channel_id)
    )


def open_secret(channel: Channel) -> dict[str, str]:
    """The secret in clear (of a channel with its organisation, else one query more); empty for a channel that has
    none. Raises core.crypto.DecryptionError."""
    if not channel.secret:
        return {}
    plain = crypto.unseal(_cipher(channel.organization), channel.secret, context(channel.pk))
    found: dict[str, str] = json.loads(plain)
    return found


def seal_operators_again() -> int:
    """Operators' channels with the first of the master keys, before an older one goes (core.crypto.on_rewrap); how
    many. Raises core.crypto.DecryptionError."""
    rows = Channel.objects.filter(organization=None).exclude(secret=b"").select_for_update()
    count = 0
    for one in rows:
        one.secret = seal_secret(None, one.pk, open_secret(one))
        one.save(update_fields=["secret"])
        count += 1
    return count


def seal_again(organization: Organization) -> None:
    """With the organisation's newest key, before an older one goes (projects.resealing)."""
    rows = Channel.objects.filter(organization=organization).exclude(secret=b"").select_for_update()
    for one in rows:
        one.organization = organization
        one.secret = seal_secret(organization, one.pk, open_secret(one))
        one.save(update_fields=["secret"])
