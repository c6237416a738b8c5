"""Who may see the calls of a project's gateway."""

from django.utils import timezone

from core.crypto import data_cipher
from core.ids import uuid7
from gateway.models import LLMRequest
from gateway.requests.jobs import store_job
from gateway.requests.webhooks import save_webhook
from gateway.routing.services import By
from gateway.structs import ProjectRules
from tests.gateway.recording import calls
from tests.matrix.access import RAW, READ, SCOPES, A, Access, Api, M, Matrix, Page, V
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
_WEBHOOK = "projects/<slug:slug>/gateway/settings/webhook/"
_API = "api/v1/projects/<str:project>/gateway/requests"
_HOOK = "api/v1/projects/<str:project>/gateway/job-webhook"
_ACT: dict[str, Access] = {"POST": Page(M)}
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}now/": READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}<uuid:request_id>/": READ,
    f"{_PAGES}bulk/": _ACT,
    **{f"{_PAGES}<uuid:request_id>/{act}/": _ACT for act in ("cancel", "retry", "tell")},
    _WEBHOOK: {"GET": Page(V), "POST": Page(A)},
    **{f"{_WEBHOOK}{act}/": {"POST": Page(A)} for act in ("rotation", "deletion")},
    **{
        f"{_API}/<str:gateway_request>/{act}": {"POST": Api(M, "gateway")}
        for act in ("cancel", "retry", "tell")
    },
    _HOOK: {"GET": Api(V, "read"), "PUT": Api(A, "admin"), "DELETE": Api(A, "admin")},
    f"{_HOOK}/rotate": {"POST": Api(A, "admin")},
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
    save_webhook(project=world.project, hosts=["hooks.example.com"], url=None, by=By(), now=now)
