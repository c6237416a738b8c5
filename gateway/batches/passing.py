"""What files and batches share at the door: the database beside the event loop, a provider's client, answers."""

import asyncio
import datetime as dt
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from core import crypto
from core.errors import NotFoundError
from gateway.batches import looking, provider
from gateway.batches.provider import NOT_CALLABLE, UnansweredError
from gateway.batches.spool import parts_of
from gateway.connections.clients import Client, client_for
from gateway.dialects.facts import RequestError, RequestFacts
from gateway.door.answers import JSON, Headers, RefusalError, encoded, own_headers
from gateway.door.callers import caller_of
from gateway.door.keys import Opened
from gateway.door.request import Request
from gateway.models import Batch, ProviderFile, Wire
from gateway.snapshot import ConnectionView, KeyView, Snapshot
from gateway.structs import Caller

T = TypeVar("T")
THREADS = 4
# Of a page of a list whose rows the provider is asked about.
AT_ONCE = 8
IN_MEMORY = 1024 * 1024
# Of an answer that is passed on, beside its body.
_PASSED = ("content-type", "content-disposition", "retry-after")


class Desk:
    """One per event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-batches")
        self._kept: set[asyncio.Future[Any]] = set()

    async def do(self, what: Callable[[], T]) -> T:
        """Something with the database, or long. Raises RefusalError: 404, or 503 while PostgreSQL is away."""

        def work() -> T:
            try:
                return what()
            finally:
                connection.close()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except NotFoundError as error:
            raise RefusalError(404, "not_found", error.detail, param="id") from None
        except (DatabaseError, InterfaceError):
            text = "The database does not answer. Send it again in a moment."
            raise RefusalError(503, "storage_unavailable", text, retry_after_s=2) from None

    async def whole(self, work: Awaitable[T]) -> T:
        """Do it to its end, also when the client leaves meanwhile."""
        task = asyncio.ensure_future(work)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)
        return await asyncio.shield(task)

    async def ring(self, row: Batch) -> None:
        """Have a worker look at a batch now."""
        await self.do(lambda: looking.ring(row.project_id, row.id))

    def view_of(self, snapshot: Snapshot, row: Batch | ProviderFile) -> ConnectionView:
        """The connection an object was made over. Raises RefusalError."""
        found = snapshot.connections.get(row.connection_id.hex)
        if found is None:
            text = "The connection it was made over is switched off or no longer there."
            raise RefusalError(409, "connection_off", text)
        return found

    def client(
        self, snapshot: Snapshot, view: ConnectionView, row: Batch | ProviderFile | None = None
    ) -> tuple[Client, KeyView | None]:
        """Who calls the provider, and with which key: an object's own one. Raises RefusalError."""
        key_id = row.connection_key_id if row is not None else None
        try:
            key = provider.key_of(view, key_id, timezone.now())
            return client_for(view, key, crypto.data_cipher(snapshot.data_key)), key
        except NOT_CALLABLE as error:
            raise provider.refused(error) from None

    async def ask(self, client: Client, method: str, path: str, **more: Any) -> httpx2.Response:
        """One control request. Raises RefusalError when no answer comes."""
        try:
            return await provider.ask(client, method, path, **more)
        except UnansweredError as error:
            raise error.refusal from None

    async def fetch(self, client: Client, path: str, headers: dict[str, str]) -> "Fetched":
        """A file, onto our disk: it is given on only when it is whole. Raises RefusalError."""
        response = await self.ask(
            client, "GET", path, is_stream=True, headers=headers, answer_s=provider.SILENCE_S
        )
        kept: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - whoever gives it on closes it
        try:
            if response.is_closed:  # an error, which has been read
                kept.write(response.content)
            else:
                async for part in response.aiter_raw():
                    await asyncio.to_thread(kept.write, part)
        except httpx2.HTTPError as error:
            kept.close()
            text = f"The provider's answer broke off ({type(error).__name__})."
            raise RefusalError(502, "answer_lost", text) from None
        except BaseException:
            kept.close()
            raise
        finally:
            await response.aclose()
        return Fetched(response, kept)


class Fetched:
    """An answer on our disk."""

    def __init__(self, response: httpx2.Response, kept: IO[bytes]) -> None:
        self.status, self.headers, self.kept = response.status_code, response.headers, kept
        self.size = kept.tell()

    async def give(self, request: Request, view: ConnectionView) -> None:
        """To the client."""
        headers = passed(request, view, self.headers)
        headers.append((b"content-length", b"%d" % self.size))

        async def work() -> None:
            await request.start(self.status, headers)
            async for part in parts_of(self.kept):
                await request.write(part, is_last=False)
            await request.write(b"", is_last=True)

        try:
            await request.body()  # there is none, but what comes after it says that the client left
            await request.while_connected(work())
        finally:
            self.kept.close()


def passed(request: Request, view: ConnectionView, headers: Mapping[str, str]) -> Headers:
    """Of a provider's answer: what clients look for, and our own."""
    found = encoded({name: headers[name] for name in _PASSED if name in headers})
    found += own_headers(request.dialect, request.id)
    return [*found, *encoded({"x-llmlab-connection": view.name})]


async def give_answer(
    request: Request,
    view: ConnectionView,
    response: httpx2.Response,
    *,
    document: Mapping[str, Any] | None = None,
    extra: Headers | None = None,
) -> None:
    """A provider's answer as it came, or `document` in its place."""
    body = response.content if document is None else msgspec.json.encode(document)
    headers = passed(request, view, response.headers) + (extra or [])
    await request.answer(response.status_code, headers, body)


async def give_json(request: Request, document: Mapping[str, Any]) -> None:
    """An answer of our own."""
    headers = [JSON, *own_headers(request.dialect, request.id)]
    await request.answer(200, headers, msgspec.json.encode(document))


def object_of(response: httpx2.Response) -> dict[str, Any]:
    """A good answer's object. Raises RefusalError for what is none."""
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if type(found) is not dict or type(found.get("id")) is not str or not found["id"]:
        raise RefusalError(502, "answer_lost", "The provider's answer is none that this API gives.")
    return found


def caller_for(request: Request, opened: Opened) -> Caller:
    """Who asks: by key and headers, for there is no body that would say. Raises HeaderError."""
    facts = RequestFacts(dialect=request.dialect, model="", document={}, turns=[])
    return caller_of(opened.auth, request.said, facts)


def query_of(request: Request) -> dict[str, str]:
    """What the address asks; of several values for one name the last."""
    return dict(parse_qsl(request.query.decode("latin-1"), max_num_fields=100))


def whole_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Raises RequestError."""
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise RequestError(
            name, f"It is {text[:40]!r}; it must be a whole number from 1 to {most}."
        )
    return int(text)


def ours(request: Request, wire: str, document: dict[str, Any]) -> dict[str, Any]:
    """A batch's description as clients are to read it: its results are fetched here, not at the provider."""
    if wire != Wire.ANTHROPIC or not document.get("results_url"):
        return document
    path = f"/v1/messages/batches/{document.get('id')}/results"
    return document | {"results_url": f"{_origin(request)}{path}"}


def _origin(request: Request) -> str:
    """Where the client found us."""
    base = settings.LLMLAB_BASE_URL.rstrip("/")
    host = request.said.values.get("host", "")
    if not host or host == urlsplit(base).netloc:
        return str(base)
    return f"{request.scheme}://{host}"


def now_of(request: Request) -> dt.datetime:
    """When the request came: the moment a batch and all its calls are of."""
    return dt.datetime.fromtimestamp(request.began_at, dt.UTC)
