"""The gateway's door: ASGI in front of Django. A call costs no thread and waits for nothing but its answer.

key → facts → caller and wishes → where it goes → the line → frames → client.
"""

import asyncio
import logging

from gateway.batches.affording import Purse
from gateway.batches.batches import Batches
from gateway.batches.files import Files
from gateway.batches.passing import Desk
from gateway.dialects.facts import RequestError
from gateway.door import models
from gateway.door.answers import JSON, RefusalError, own_headers
from gateway.door.calls import Calls
from gateway.door.headers import HeaderError, read_headers
from gateway.door.keys import Keys, KeysAwayError, Opened
from gateway.door.paths import (
    CALLS,
    FILES,
    MESSAGE_BATCHES,
    MODELS,
    dialect_of,
    is_gateway,
    object_of,
)
from gateway.door.request import (
    Application,
    ClientLeftError,
    Receive,
    Request,
    Scope,
    Send,
)
from gateway.models import Wire
from gateway.playground import passes
from gateway.recording import recorder

logger = logging.getLogger(__name__)

SCOPE = "gateway"
# What may wait for PostgreSQL when the process ends; the rest is in the journal.
LAST_RECORDS_S = 1.5


def with_gateway(http: Application) -> Application:
    """`http` for everything but the gateway's paths. Its lifespan ends what the gateway has open in this process."""
    door = Door()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await door.live(receive, send)
            return
        await (door if is_gateway(scope["path"]) else http)(scope, receive, send)

    return application


class Door:
    """One per process; what belongs to the event loop is made with the first request."""

    def __init__(self) -> None:
        self._keys: Keys | None = None
        self._calls: Calls | None = None
        self._objects: tuple[Files, Batches] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/")
        request = Request(path, scope["method"], receive, send)
        request.query, request.scheme = scope.get("query_string", b""), scope.get("scheme", "http")
        request.body_file = scope.get("llmlab.body")
        try:
            request.said = read_headers(scope["headers"])
            request.dialect = dialect_of(path, is_anthropic=request.said.is_anthropic)
            await self._answer(request)
        except RefusalError as refusal:
            await request.refuse(refusal)
        except HeaderError as error:
            await request.refuse(
                RefusalError(400, "invalid_header", error.message, param=error.name)
            )
        except RequestError as error:
            text = error.message
            await request.refuse(RefusalError(400, "invalid_request", text, param=error.field))
        except ClientLeftError:
            request.status = request.status or 499
        except Exception:
            logger.exception("gateway.door.broken", extra={"call_id": request.id})
            text = "The gateway failed. Its log has the reason under this request's id."
            if not request.status:
                await request.refuse(RefusalError(500, "internal_error", text))
            elif not request.is_over:
                await request.write(b"", is_last=True)
        finally:
            request.record()

    async def live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: there is nothing to start."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                continue
            if self._calls is not None:
                await self._calls.close()
                await asyncio.to_thread(recorder.close, LAST_RECORDS_S)
            await send({"type": "lifespan.shutdown.complete"})
            return

    async def _answer(self, request: Request) -> None:
        opened = await self._open(request.said.key)
        if opened.person and request.path not in CALLS:
            raise RefusalError(403, "key_needed", "A pass calls models; all else needs an API key.")
        if request.path in CALLS:
            request.need("POST")
            await self._call(request, opened)
            return
        if request.path == MODELS or request.path.startswith(MODELS + "/"):
            request.need("GET")
            await self._models(request, opened)
            return
        found = object_of(request.path)
        if found is not None:
            await self._object(request, opened, *found)
            return
        raise RefusalError(404, "unknown_url", f"The gateway has no {request.path}.")

    async def _open(self, key: str) -> Opened:
        """The key's project. Raises RefusalError: 401, 403, or 503 when nobody can tell."""
        if not key:
            text = "Send an API key of a project: Authorization: Bearer llmlab_sk_…, or x-api-key."
            raise RefusalError(401, "invalid_api_key", text)
        if self._keys is None:
            self._keys = Keys()
        try:
            opened = await self._keys.open(key)
        except KeysAwayError as error:
            raise RefusalError(503, error.code, error.detail, retry_after_s=2) from None
        if opened is None:
            text = "This API key is unknown, expired or revoked."
            if key.startswith(passes.PREFIX):
                text = "This pass is over, or its person may not call models here."
            raise RefusalError(401, "invalid_api_key", text)
        if SCOPE not in opened.auth.scopes:
            text = "This API key may not call models: it needs the scope gateway."
            raise RefusalError(403, "missing_scope", text)
        return opened

    async def _models(self, request: Request, opened: Opened) -> None:
        is_anthropic, snapshot = request.dialect.is_anthropic, opened.snapshot
        name = request.path[len(MODELS) + 1 :]
        body: bytes | None
        if name:
            body = models.one_model(snapshot, name, is_anthropic=is_anthropic)
        else:
            body = models.model_list(snapshot, is_anthropic=is_anthropic)
        if body is None:
            text = f"The model {name} does not exist here, or this project may not call it."
            raise RefusalError(404, "model_not_found", text, param="model")
        headers = [JSON, *own_headers(request.dialect, request.id)]
        await request.answer(200, headers, body)

    async def _object(self, request: Request, opened: Opened, root: str, parts: list[str]) -> None:
        """Files and batches at providers."""
        if request.method != "GET":
            _check_open(opened)
            _check_coding(request)
        if self._objects is None:
            self._calls = self._calls or Calls()
            desk = Desk()
            self._objects = Files(desk), Batches(desk, Purse(self._calls.quotas))
        files, batches = self._objects
        if root == FILES:
            await files.serve(request, opened, parts)
        else:
            wire = Wire.ANTHROPIC if root == MESSAGE_BATCHES else Wire.OPENAI
            await batches.serve(request, opened, wire, parts)

    async def _call(self, request: Request, opened: Opened) -> None:
        _check_open(opened)
        _check_coding(request)
        if self._calls is None:
            self._calls = Calls()
        await self._calls.serve(request, opened)


def _check_open(opened: Opened) -> None:
    if opened.auth.is_archived:
        text = "This project is archived. It makes no calls any more."
        raise RefusalError(403, "project_archived", text)


def _check_coding(request: Request) -> None:
    coding = request.said.values.get("content_encoding", "identity").lower()
    if coding not in ("identity", ""):
        text = "The gateway reads bodies as they are, without compression."
        raise RefusalError(415, "unsupported_encoding", text, param="content-encoding")
