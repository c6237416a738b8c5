"""The official SDKs' asynchronous clients, one per connection and key, on the guarded transport.

What the process's environment holds for the SDKs (keys, organisation, headers, addresses) never reaches a provider: it
is the operator's, and the connection is a tenant's.
"""

import asyncio
from collections import OrderedDict
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncAzureOpenAI, AsyncOpenAI

from core.crypto import Cipher
from core.errors import DomainError
from core.http_async import MAX_BODY, AsyncResolver, GuardedTransport, guarded_client
from core.outbound import target_of
from gateway.connections.keys import is_keyless
from gateway.connections.providers import address_of
from gateway.connections.secrets import open_key
from gateway.models import ProviderKind
from gateway.snapshot import ConnectionView, KeyView

Client = AsyncOpenAI | AsyncAnthropic
MAX_CLIENTS = 256
# Between two bytes of an answer; the engine's own deadline is shorter or this is what ends a silent provider.
TIMEOUT_SECONDS = 600.0


class NoKeyError(DomainError):
    """A connection that needs a key has none that may be used."""

    code = "no_key"


class _Kept:
    __slots__ = ("client", "key", "transport", "view")

    def __init__(
        self, view: ConnectionView, key: KeyView | None, client: Client, transport: GuardedTransport
    ) -> None:
        self.view, self.key, self.client, self.transport = view, key, client, transport


class Clients:
    """The clients of one event loop. The least recently used one leaves when there are too many; a client whose
    connection or key changed leaves too. Leaving ones finish what they are at."""

    def __init__(
        self,
        *,
        limit: int = MAX_CLIENTS,
        max_body: int = MAX_BODY,
        resolve: AsyncResolver | None = None,
    ) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._limit, self._max_body, self._resolve = limit, max_body, resolve
        self._leaving: set[asyncio.Task[None]] = set()

    def get(self, view: ConnectionView, key: KeyView | None, cipher: Cipher) -> Client:
        """A client with its pooled connections. Raises NoKeyError, core.crypto.DecryptionError and, for an address
        that is none, AddressRefusedError."""
        place = (view.id, key.id if key else "")
        kept = self._kept.get(place)
        if kept is not None:
            if (kept.view is view and kept.key is key) or _is_same(kept, view, key):
                self._kept.move_to_end(place)
                return kept.client
            self._dismiss(place)
        self._kept[place] = kept = self._made(view, key, cipher)
        if len(self._kept) > self._limit:
            self._dismiss(next(iter(self._kept)))
        return kept.client

    def _made(self, view: ConnectionView, key: KeyView | None, cipher: Cipher) -> _Kept:
        if key is None and not is_keyless(view):
            raise NoKeyError(f"{view.name} has no key that may be used.")
        target_of(address_of(view))
        secret = open_key(cipher, UUID(hex=key.id), key.sealed) if key else ""
        http, transport = guarded_client(
            timeout_s=TIMEOUT_SECONDS, max_body=self._max_body, resolve=self._resolve
        )
        return _Kept(view, key, _client(view, secret, http), transport)

    def _dismiss(self, place: tuple[str, str]) -> None:
        task = asyncio.ensure_future(self._kept.pop(place).transport.leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def aclose(self) -> None:
        """Close everything, also what is under way."""
        await asyncio.gather(*self._leaving)
        while self._kept:
            _, kept = self._kept.popitem()
            await kept.transport.aclose()

    async def __aenter__(self) -> "Clients":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _is_same(kept: _Kept, view: ConnectionView, key: KeyView | None) -> bool:
    """Another snapshot that says the same; then it is the one to compare with from now on."""
    before = kept.view
    same = (
        before.kind == view.kind
        and before.base_url == view.base_url
        and before.settings == view.settings
        and (kept.key.sealed if kept.key else b"") == (key.sealed if key else b"")
    )
    if same:
        kept.view, kept.key = view, key
    return same


_OF_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Clients] = WeakKeyDictionary()


def client_for(view: ConnectionView, key: KeyView | None, cipher: Cipher) -> Client:
    """The running loop's client for a connection and one of its keys; see `Clients.get`."""
    loop = asyncio.get_running_loop()
    clients = _OF_LOOP.get(loop)
    if clients is None:
        clients = _OF_LOOP[loop] = Clients()
    return clients.get(view, key, cipher)


async def close_clients() -> None:
    """Close the running loop's clients (when its program ends)."""
    clients = _OF_LOOP.pop(asyncio.get_running_loop(), None)
    if clients is not None:
        await clients.aclose()


class _OpenAI(AsyncOpenAI):
    """Says who calls in the words it is given: none, a bearer token, or Azure's header."""

    own_headers: dict[str, str]

    def _auth_headers(self, security: Any) -> dict[str, str]:
        return self.own_headers

    def _validate_headers(self, headers: Any, custom_headers: Any) -> None:
        """A server without a key is called without one."""


def _client(view: ConnectionView, secret: str, http: httpx2.AsyncClient) -> Client:
    # Never empty: an SDK without a key looks for one in the environment.
    common: dict[str, Any] = {
        "api_key": secret or "none", "http_client": http, "max_retries": 0, "timeout": http.timeout,
    }  # fmt: skip
    address, settings = address_of(view), view.settings
    if view.kind == ProviderKind.ANTHROPIC:
        anthropic = AsyncAnthropic(base_url=address, open_telemetry=False, **common)
        anthropic._custom_headers = {}
        return anthropic
    if view.kind == ProviderKind.AZURE and (version := settings.get("api_version")):
        dated = AsyncAzureOpenAI(azure_endpoint=address, api_version=str(version), **common)
        return _cleared(dated, {})
    if view.kind == ProviderKind.AZURE:
        client = _OpenAI(base_url=f"{address}/openai/v1", **common)
        client.own_headers = {"api-key": secret}
        return _cleared(client, {})
    client = _OpenAI(base_url=address, **common)
    client.own_headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return _cleared(client, settings)


def _cleared(client: AsyncOpenAI, settings: dict[str, Any]) -> AsyncOpenAI:
    """The client with nothing of the environment left: only the connection's own settings."""
    client.organization = str(settings.get("organization") or "") or None
    client.project = str(settings.get("project") or "") or None
    client.admin_api_key = None
    client._custom_headers = {}
    return client
