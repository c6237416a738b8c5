"""Who may see and cancel the batches of a project."""

from django.utils import timezone

from core.ids import uuid7
from gateway.models import Batch
from tests.matrix.access import READ, Api, M, Matrix, Page, V
from tests.world import World

_ALL = "projects/<slug:slug>/gateway/batches/"
_API = "api/v1/projects/<str:project>/gateway/batches"
ROUTES: Matrix = {
    _ALL: READ,
    f"{_ALL}export.csv": READ,
    f"{_ALL}<uuid:gateway_batch_id>/cancel/": {"POST": Page(M)},
    _API: {"GET": Api(V, "read")},
    f"{_API}/<str:gateway_batch>": {"GET": Api(V, "read")},
}
PARAMETERS = {
    name: lambda world, route: world.names["gateway_batch"]
    for name in ("gateway_batch", "gateway_batch_id")
}


def extend(world: World) -> None:
    """A batch to ask about."""
    row = Batch.objects.create(
        project=world.project, id=uuid7(), wire="openai", provider_id="batch_1", connection_id=uuid7(),
        dialect="openai.chat", provider="openai", state="open", created_at=timezone.now(),
    )  # fmt: skip
    world.names["gateway_batch"] = row.id
