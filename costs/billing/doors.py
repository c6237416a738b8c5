"""From a request to the organisation and the connection its pages are about."""

from uuid import UUID

from django.http import HttpRequest

from accounts.models import Membership, Role
from accounts.selectors import page_membership
from costs.billing.selectors import connection_named
from projects.models import ProviderConnection


def connection_for(
    request: HttpRequest, slug: str, connection_id: UUID, role: Role = Role.VIEWER
) -> tuple[Membership, ProviderConnection]:
    """The connection with its billing account, and the membership that lets the person see it. Two queries."""
    membership = page_membership(request, slug, role)
    return membership, connection_named(membership.organization_id, connection_id)
