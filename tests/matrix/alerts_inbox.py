"""Who may use the routes of the bell, the inbox and a person's preferences: everybody who may look, for themselves."""

from alerts.inbox.digest_mail import token_of
from alerts.models import NotificationPreference
from tests.matrix.access import READ, Api, Matrix, Page, Public, V
from tests.world import World

_ALERTS = "organizations/<slug:slug>/alerts/"
_API = "api/v1/organizations/<slug:organization>/alerts"
_INBOX = f"{_ALERTS}inbox/"
ROUTES: Matrix = {
    f"{_ALERTS}bell/": READ,
    _INBOX: READ,
    f"{_INBOX}read/": {"POST": Page()},
    f"{_INBOX}<uuid:event_id>/read/": {"POST": Page()},
    f"{_ALERTS}preferences/": {"GET": Page(), "POST": Page()},
    f"{_ALERTS}preferences/digest/": {"POST": Page()},
    # Whoever has the e-mail: tests/alerts/inbox/test_digest_mail.py.
    "alerts/digests/unsubscribe/<str:digest_token>/": {"GET": Public(), "POST": Public()},
    f"{_API}/preferences": {
        "GET": Api(V, "read", needs_person=True),
        "PUT": Api(V, "read", needs_person=True),
    },
    f"{_API}/inbox": {"GET": Api(V, "read", needs_person=True)},
    f"{_API}/inbox/read": {"POST": Api(V, "read", needs_person=True)},
}
PARAMETERS = {"digest_token": lambda world, route: world.names["digest_token"]}


def extend(world: World) -> None:
    """Somebody who is sent digests."""
    preference = NotificationPreference.objects.create(
        user=world.people["owner"], organization=world.organization, digest="daily"
    )
    world.names["digest_token"] = token_of(preference)
