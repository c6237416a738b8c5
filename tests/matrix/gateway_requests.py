"""Who may see the calls of a project's gateway."""

from django.utils import timezone

from core.crypto import data_cipher
from core.ids import uuid7
from gateway.models import LLMRequest
from gateway.requests.jobs import store_job
from gateway.structs import ProjectRules
from tests.gateway.recording import calls
from tests.matrix.access import RAW, READ, SCOPES, Access, Api, Matrix, V
from tests.world import World


class ProjectKey(Access):
    """Keys of the job's project with one of the scopes; its address names no project, so people are refused."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    def refusal(self, actor: str) -> int | None:
        if actor not in RAW:
            return 401 if actor == "anonymous" else 403
        if not set(self.scopes) & set(SCOPES[actor]):
            return 403
        return 404 if actor == "key_stranger" else None


_PAGES = "projects/<slug:slug>/gateway/requests/"
_API = "api/v1/projects/<str:project>/gateway/requests"
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}now/": READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}<uuid:request_id>/": READ,
    _API: {"GET": Api(V, "read")},
    f"{_API}/<str:gateway_request>": {"GET": Api(V, "read")},
    "api/v1/requests/<str:gateway_job>": {"GET": ProjectKey("read", "gateway")},
    "api/v1/requests/<str:gateway_job>/cancel": {"POST": ProjectKey("gateway")},
}
PARAMETERS = {
    "gateway_job": lambda world, route: world.names["gateway_job"],
} | {
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
    call = calls.call(world.project, is_job=True, is_stream=False)
    cipher = data_cipher(world.organization.data_key)
    now = timezone.now()
    job = store_job(
        call=call, cipher=cipher, idempotency_key="", fingerprint="", rules=ProjectRules(), now=now
    )
    world.names["gateway_job"] = job.id
