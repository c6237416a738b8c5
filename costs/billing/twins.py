"""Two connections to one bill would count every line of it twice: what tells that they are, and what to do."""

from collections.abc import Sequence
from uuid import UUID

from accounts.models import Organization
from core.crypto import DecryptionError
from core.errors import ConflictError
from costs.billing.access import DELETING, SEEN, Access, stored_access
from costs.providers.base import BillingPlugin, Checked
from projects.models import ProviderConnection


def refuse_twin(
    *,
    organization: Organization,
    plugin: BillingPlugin,
    access: Access,
    found: Checked,
    besides: UUID | None = None,
) -> None:
    """Raises ConflictError when another connection reads this bill. Two that are being saved wait for each other: call
    it first in the transaction."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    twin = twin_of(
        organization=organization, plugin=plugin, access=access, found=found, besides=besides
    )
    if twin is not None:
        raise ConflictError(words_of(twin))


def twin_of(
    *,
    organization: Organization,
    plugin: BillingPlugin,
    access: Access,
    found: Checked,
    besides: UUID | None = None,
) -> ProviderConnection | None:
    """The organisation's other connection that reads the bill that a check has just `found`: the provider says so, or,
    where it does not name the account, the same credentials ask for the same. One query."""
    others = ProviderConnection.objects.filter(organization=organization, provider=plugin.provider)
    if besides is not None:
        others = others.exclude(pk=besides)
    for other in others.select_related("organization").order_by("pk"):
        seen = other.settings.get(SEEN, {})
        known, slices = str(seen.get("account_id", "")), seen.get("account_slices", [])
        if found.account_id and known:
            if _is_within(found.account_id, known) and _overlap(found.account_slices, slices):
                return other
        elif _asks_alike(plugin, access, other):
            return other
    return None


def words_of(twin: ProviderConnection) -> str:
    """Why not, and what to do about it."""
    if DELETING in twin.settings:
        return f"{twin.name} read this bill and is still being deleted; connect it again when that is done."
    return (
        f"{twin.name} reads this bill already; read twice, it would count twice. Change that connection's access to"
        " rotate its key, or delete it first."
    )


def _is_within(one: str, other: str) -> bool:
    """The same, or one within the other, as Azure's scopes are."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _overlap(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a slice is read twice; none named is all of them."""
    return not some or not others or not set(some).isdisjoint(others)


def _asks_alike(plugin: BillingPlugin, access: Access, other: ProviderConnection) -> bool:
    """The same secrets, and the same answers to what else the provider has to know."""
    try:
        theirs = stored_access(other)
    except DecryptionError:
        return False
    named = [one.name for one in plugin.fields if one.is_required and not one.is_secret]
    return theirs.credentials == access.credentials and all(
        theirs.settings.get(name) == access.settings.get(name) for name in named
    )
