"""The routes of the explorer's pages."""

from tests.matrix.access import READ, LoggedIn, Matrix

_COSTS = "organizations/<slug:slug>/costs/"
ROUTES: Matrix = {
    "costs/": {"GET": LoggedIn()},
    _COSTS: READ,
    f"{_COSTS}export.csv": READ,
    f"{_COSTS}filters/": READ,
}
