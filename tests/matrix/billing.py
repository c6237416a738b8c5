"""The bill's routes: connections, runs, lines, corrections."""

from tests.factories.billing import (
    BilledCostFactory,
    BillingAccountFactory,
    ProviderConnectionFactory,
    ProviderSyncFactory,
)
from tests.matrix.access import READ, A, Api, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/billing/"
_ONE = f"{_PAGES}connections/<uuid:connection_id>/"
_SYNC = f"{_PAGES}syncs/<uuid:sync_id>/"
_API = "api/v1/organizations/<slug:organization>/billing/"
_API_ONE = f"{_API}connections/<uuid:connection>"
_API_SYNC = f"{_API}syncs/<uuid:sync>"


def _reads(role=V):  # type: ignore[no-untyped-def]
    return Api(role, "read", needs_person=True)


ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}connections/new/": {"GET": Page(A), "POST": Page(A)},
    _ONE: READ,
    f"{_ONE}chart/": READ,
    f"{_ONE}setup/": {"GET": Page(A), "POST": Page(A)},
    f"{_ONE}edit/": {"GET": Page(A), "POST": Page(A)},
    f"{_ONE}access/": {"GET": Page(A), "POST": Page(A)},
    **{f"{_ONE}{verb}/": {"POST": Page(A)} for verb in ("check", "pause", "deletion", "syncs")},
    f"{_ONE}mappings/": {"GET": Page(), "POST": Page(A)},
    f"{_SYNC}cancellation/": {"POST": Page(A)},
    f"{_SYNC}resumption/": {"POST": Page(A)},
    **{
        f"{_PAGES}{path}": READ
        for path in ("lines/", "lines/export.csv", "corrections/", "corrections/export.csv")
    },
    **{f"{_API}{path}": {"GET": _reads()} for path in ("providers", "syncs", "costs", "revisions")},
    f"{_API}connections": {"GET": _reads(), "POST": _reads(A)},
    _API_ONE: {"GET": _reads(), "PATCH": _reads(A), "DELETE": _reads(A)},
    f"{_API_ONE}/check": {"POST": _reads(A)},
    f"{_API_ONE}/syncs": {"POST": _reads(A)},
    f"{_API_ONE}/mappings": {"GET": _reads(), "PATCH": _reads(A)},
    _API_SYNC: {"GET": _reads()},
    f"{_API_SYNC}/cancellation": {"POST": _reads(A)},
    f"{_API_SYNC}/resumption": {"POST": _reads(A)},
}
PARAMETERS = {
    "connection_id": lambda world, route: world.names[
        "billing_draft" if route.endswith("setup/") else "billing_connection"
    ],
    "connection": lambda world, route: world.names["billing_connection"],
    "sync_id": lambda world, route: world.names["billing_sync"],
    "sync": lambda world, route: world.names["billing_sync"],
}


def extend(world: World) -> None:
    """A connection with a bill, and one whose set-up is not finished; their check has nowhere to go."""
    nowhere = {"base_url": "http://127.0.0.1:9"}
    account = BillingAccountFactory(
        connection__organization=world.organization, connection__settings=nowhere
    )
    draft = ProviderConnectionFactory(organization=world.organization, settings=nowhere)
    BilledCostFactory(account=account)
    world.names |= {
        "billing_connection": account.connection_id,
        "billing_draft": draft.pk,
        "billing_sync": ProviderSyncFactory(account=account).pk,
    }
