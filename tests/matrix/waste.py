"""The routes of waste."""

import datetime as dt

from django.utils import timezone

from tests.matrix.access import READ, Api, M, Matrix, Page, V
from tests.world import World
from traces.models import WasteFinding

ROUTES: Matrix = {
    "projects/<str:slug>/waste/": READ,
    "projects/<str:slug>/waste.csv": READ,
    "projects/<str:slug>/waste/scan/": {"POST": Page(M)},
    "projects/<str:slug>/waste/<str:kind>/<str:mark>/": READ,
    "api/v1/projects/<str:project>/waste": {"GET": Api(V, "read")},
}
PARAMETERS = {"kind": lambda world, route: "truncated", "mark": lambda world, route: "abc"}


def extend(world: World) -> None:
    """One finding of today."""
    WasteFinding.objects.create(
        project=world.project,
        day=timezone.now().astimezone(dt.UTC).date(),
        kind="truncated",
        fingerprint="abc",
        calls=1,
        cost_usd=1,
        wasted_usd=1,
    )
