"""Who may see the calls of a project's gateway."""

from django.utils import timezone

from core.ids import uuid7
from gateway.models import LLMRequest
from tests.matrix.access import READ, Api, Matrix, V
from tests.world import World

_PAGES = "projects/<slug:slug>/gateway/requests/"
_API = "api/v1/projects/<str:project>/gateway/requests"
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}now/": READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}<uuid:request_id>/": READ,
    _API: {"GET": Api(V, "read")},
    f"{_API}/<uuid:gateway_request>": {"GET": Api(V, "read")},
}
PARAMETERS = {
    name: lambda world, route: world.names["gateway_request"]
    for name in ("gateway_request", "request_id")
}


def extend(world: World) -> None:
    """A call to ask about."""
    made = LLMRequest.objects.create(
        id=uuid7(), project=world.project, accepted_at=timezone.now(), state="done", dialect="openai.chat",
        asked_model="gpt-4o", status_code=200, trace_id="t", span_id="s",
    )  # fmt: skip
    world.names["gateway_request"] = made.id
