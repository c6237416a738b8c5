"""The calculator's routes."""

from tests.matrix.access import READ, Api, Matrix, V

ROUTES: Matrix = {
    "organizations/<slug:slug>/costs/calculator/": READ,
    "organizations/<slug:slug>/costs/calculator/export.csv": READ,
    "api/v1/organizations/<slug:organization>/estimates": {
        "POST": Api(V, "read", needs_person=True)
    },
    "api/v1/projects/<str:project>/estimates": {"POST": Api(V, "read")},
}
