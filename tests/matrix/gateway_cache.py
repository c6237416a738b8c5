"""Who may use the caches of a project."""

import datetime as dt

from django.utils import timezone

from core.ids import uuid7
from gateway.models import CachedResponse
from tests.matrix.access import READ, A, Api, Matrix, Page, V
from tests.world import World

_ALL = "projects/<slug:slug>/gateway/cache/"
_ONE = f"{_ALL}<uuid:cached_id>/"
_API = "api/v1/projects/<str:project>/gateway/cache"
ROUTES: Matrix = {
    _ALL: READ,
    f"{_ALL}export.csv": READ,
    f"{_ALL}purge/": {"GET": Page(A), "POST": Page(A)},
    f"{_ALL}thresholds/lift/": {"POST": Page(A)},
    _ONE: READ,
    f"{_ONE}deletion/": {"POST": Page(A)},
    _API: {"GET": Api(V, "read"), "DELETE": Api(A, "admin")},
    f"{_API}/figures": {"GET": Api(V, "read")},
    f"{_API}/thresholds": {"GET": Api(V, "read"), "DELETE": Api(A, "admin")},
    f"{_API}/<uuid:cached>": {"GET": Api(V, "read"), "DELETE": Api(A, "admin")},
}
PARAMETERS = {
    "cached_id": lambda world, route: world.names["gateway_cached"],
    "cached": lambda world, route: world.names["gateway_cached"],
}


def extend(world: World) -> None:
    """A kept answer to ask about."""
    now = timezone.now()
    row = CachedResponse.objects.create(
        project=world.project,
        id=uuid7(),
        key="k" * 64,
        scope="",
        dialect="openai.chat",
        model="gpt-4o",
        sealed=b"",
        created_at=now,
        expires_at=now + dt.timedelta(hours=1),
    )
    world.names["gateway_cached"] = row.id
