"""What else is sealed with an organisation's data key than contents: sealed again before an old key goes.

Each domain registers a function from its AppConfig.ready; the rotation (traces) calls them all.
"""

from collections.abc import Callable

from accounts.models import Organization
from projects.connections import open_credentials, seal_credentials
from projects.models import ProviderConnection

SealAgain = Callable[[Organization], None]
_SEALED: list[SealAgain] = []


def register(seal_again: SealAgain) -> SealAgain:
    """`seal_again(organization)` seals a few rows with the newest key while the older ones still open."""
    if seal_again not in _SEALED:
        _SEALED.append(seal_again)
    return seal_again


def seal_all_again(organization: Organization) -> None:
    """Everything registered, in the caller's transaction. Raises core.crypto.DecryptionError: then no key may go."""
    for seal_again in _SEALED:
        seal_again(organization)


@register
def seal_connections(organization: Organization) -> None:
    """Credentials at providers."""
    rows = ProviderConnection.objects.filter(organization=organization).select_for_update()
    for one in rows:
        one.organization = organization
        one.credentials = seal_credentials(organization, one.pk, open_credentials(one))
        one.save(update_fields=["credentials"])
