"""The explorer's routes."""

from tests.matrix.access import Api, Matrix, V

ROUTES: Matrix = {
    "api/v1/organizations/<slug:organization>/costs/explore": {
        "GET": Api(V, "read", needs_person=True)
    },
    "api/v1/projects/<str:project>/costs/explore": {"GET": Api(V, "read")},
}
