"""Who may use the routes of channels and their messages."""

from django.utils import timezone

from alerts.models import Delivery
from tests.factories.alerts import ChannelFactory
from tests.matrix.access import READ, A, Access, Api, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/alerts/channels/"
_ONE = f"{_PAGES}<uuid:channel_id>/"
_MESSAGE = "organizations/<slug:slug>/alerts/messages/<int:delivery_id>/"
_API = "api/v1/organizations/<slug:organization>/alerts/channels"
_API_ONE = f"{_API}/<uuid:channel>"
_API_MESSAGE = "api/v1/organizations/<slug:organization>/alerts/deliveries/<int:delivery>"


def _person(role=V):  # type: ignore[no-untyped-def]
    return Api(role, "read", needs_person=True)


_SEND: dict[str, Access] = {"POST": Page(A)}
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}new/": {"GET": Page(A), "POST": Page(A)},
    _ONE: READ,
    f"{_ONE}edit/": {"GET": Page(A), "POST": Page(A)},
    **{f"{_ONE}{verb}/": _SEND for verb in ("switch", "test", "secret", "deletion", "replays")},
    f"{_MESSAGE}replay/": _SEND,
    f"{_MESSAGE}cancellation/": _SEND,
    _API: {"GET": _person(), "POST": _person(A)},
    f"{_API}/kinds": {"GET": _person()},
    _API_ONE: {"GET": _person(), "PATCH": _person(A), "DELETE": _person(A)},
    f"{_API_ONE}/test": {"POST": _person(A)},
    f"{_API_ONE}/secret": {"POST": _person(A)},
    f"{_API_ONE}/deliveries": {"GET": _person()},
    _API_MESSAGE: {"GET": _person()},
    f"{_API_MESSAGE}/replay": {"POST": _person(A)},
    f"{_API_MESSAGE}/cancellation": {"POST": _person(A)},
}
PARAMETERS = {
    "channel_id": lambda world, route: world.names["channel_id"],
    "channel": lambda world, route: world.names["channel_id"],
    "delivery_id": lambda world, route: world.names["delivery_id"],
    "delivery": lambda world, route: world.names["delivery_id"],
}


def extend(world: World) -> None:
    """A channel and a message to it."""
    channel = ChannelFactory.create(organization=world.organization)
    now = timezone.now()
    delivery = Delivery.objects.create(
        organization=world.organization, channel=channel, action="test", dedup_key="llmlab:test:matrix",
        unique_key="llmlab:test:matrix", payload={"title": "Test"}, created_at=now, next_attempt_at=now,
    )  # fmt: skip
    world.names |= {"channel_id": channel.pk, "delivery_id": delivery.pk}
