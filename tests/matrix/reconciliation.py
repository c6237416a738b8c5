"""Reconciliation's routes."""

import datetime as dt

from costs.models import ReconciledCell, ReconciledDay
from tests.matrix.access import READ, Api, M, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/reconciliation/"
_API = "api/v1/organizations/<slug:organization>/reconciliation"
_READS = {"GET": Api(V, "read", needs_person=True)}
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}prices/": READ,
    f"{_PAGES}runs/": {"POST": Page(M)},
    f"{_PAGES}cells/<int:recon_cell>/": READ,
    f"{_PAGES}<str:recon_provider>/<str:recon_month>/": READ,
    _API: _READS,
    f"{_API}/cells": _READS,
    f"{_API}/prices": _READS,
}
PARAMETERS = {
    "recon_cell": lambda world, route: world.names["recon_cell"],
    "recon_provider": lambda world, route: "openai",
    "recon_month": lambda world, route: "2026-11",
}


def extend(world: World) -> None:
    """A day that was worked out."""
    place = {"organization": world.organization, "provider": "openai", "day": dt.date(2026, 11, 2)}
    ReconciledDay.objects.create(**place, computed_at=dt.datetime(2026, 11, 3, tzinfo=dt.UTC))
    world.names["recon_cell"] = ReconciledCell.objects.create(**place, model="gpt-5.5").pk
