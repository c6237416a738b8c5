"""Who may see the overview of a project's gateway."""

from tests.matrix.access import READ, Api, Matrix, V
from tests.world import World

_PAGE = "projects/<slug:slug>/gateway/"
ROUTES: Matrix = {
    _PAGE: READ,
    f"{_PAGE}panels/<slug:panel>/": READ,
    "api/v1/projects/<str:project>/gateway/overview": {"GET": Api(V, "read")},
}
PARAMETERS = {"panel": lambda world, route: "traffic"}


def extend(world: World) -> None:
    """Nothing: a project without calls has an overview."""
