"""The cheap call that tells whether a connection works: what the provider lists, and one answer with each key.

Goes through the same clients as real calls, without the database.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import anthropic
import httpx2
import msgspec
import openai

from core.crypto import Cipher, DecryptionError
from core.errors import DomainError
from core.http_async import AsyncResolver, explained
from costs.billing.redaction import clean_words
from costs.catalogue import Match, current_catalogue
from gateway.connections.clients import Client, Clients
from gateway.connections.providers import address_of, path_of, price_provider
from gateway.connections.secrets import open_key
from gateway.connections.values import MAX_MODEL_NAME, MAX_MODELS
from gateway.models import ProviderKind
from gateway.snapshot import ConnectionView, KeyView
from gateway.structs import Dialect

CALL_SECONDS, TOTAL_SECONDS = 20.0, 60.0
MAX_ANSWER = 2 * 1024 * 1024
_STATUS_ERRORS = (openai.APIStatusError, anthropic.APIStatusError)
_ERRORS = (openai.APIError, anthropic.APIError, httpx2.HTTPError, httpx2.InvalidURL)
# Whose answers are no text, or that need more than a word to answer.
_OTHER = (
    "whisper", "tts", "audio", "realtime", "image", "dall-e", "moderation", "transcribe", "sora", "search", "instruct",
    "babbage", "davinci", "codex", "computer-use", "deep-research", "aqa", "veo", "imagen", "live", "guard", "rerank",
)  # fmt: skip


@dataclass
class Seen:
    """What a test found. `keys`: what was wrong with each, by its id; empty words: it works."""

    words: str = ""
    model: str = ""
    ms: int | None = None
    offered: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    is_ok: bool = False


class _Failed(Exception):
    """The provider's words, fit to be shown."""


async def probe(
    view: ConnectionView,
    cipher: Cipher,
    *,
    now: dt.datetime,
    model: str = "",
    resolve: AsyncResolver | None = None,
) -> Seen:
    """Ask for its models, then for one short answer with each key. Never raises for what a provider does; `model` is
    what to ask, else the cheapest that is known to be there."""
    seen = Seen()
    try:
        async with (
            Clients(max_body=MAX_ANSWER, resolve=resolve) as clients,
            asyncio.timeout(TOTAL_SECONDS),
        ):
            for key in view.keys or (None,):
                await _probe_key(clients, view, key, cipher, seen, model, now)
    except TimeoutError:
        seen.words = f"The test took longer than {TOTAL_SECONDS:.0f} seconds."
        return seen
    failed = [key for key in view.keys if seen.keys.get(key.id)]
    if view.keys and failed:
        one = failed[0]
        name = f"Key {one.hint}: " if len(view.keys) > 1 else ""
        seen.words = name + seen.keys[one.id]
    seen.is_ok = not seen.words
    if seen.is_ok:
        keys = f" with each of {len(view.keys)} keys" if len(view.keys) > 1 else ""
        seen.words = f"{seen.model} answered in {seen.ms} ms{keys}."
    return seen


async def _probe_key(
    clients: Clients, view: ConnectionView, key: KeyView | None, cipher: Cipher, seen: Seen,
    model: str, now: dt.datetime,
) -> None:  # fmt: skip
    hidden: dict[str, str] = {}
    try:
        if key:
            hidden["key"] = open_key(cipher, UUID(hex=key.id), key.sealed)
        client = clients.get(view, key, cipher)
        if not seen.offered:
            seen.offered = await _listed(client, view)
        seen.model = seen.model or model or chosen(view, seen.offered, now)
        started = monotonic()
        await _answered(client, view, seen.model)
        seen.ms = seen.ms or max(1, round((monotonic() - started) * 1000))
        words = ""
    except DecryptionError:
        words = "The key cannot be opened with LLMLAB_ENCRYPTION_KEYS; give it anew."
    except (_Failed, DomainError) as error:
        words = clean_words(str(error), hidden)
    except _ERRORS as error:
        words = clean_words(_words(error, view), hidden)
    if key:
        seen.keys[key.id] = words
    else:
        seen.words = words


async def _listed(client: Client, view: ConnectionView) -> list[str]:
    """The names of its models; none where it does not list them. The answer decides, so a failure here says nothing."""
    if view.kind == ProviderKind.AZURE:  # lists what could be deployed, not what is
        return []
    path = "/v1/models?limit=1000" if view.kind == ProviderKind.ANTHROPIC else "/models"
    try:
        response = await client.get(
            path, cast_to=httpx2.Response, options={"timeout": CALL_SECONDS}
        )
        rows = msgspec.json.decode(response.content)["data"]
        names = [str(row["id"]).removeprefix("models/") for row in rows]
    except (*_ERRORS, msgspec.MsgspecError, KeyError, TypeError):
        return []
    fit = {name for name in names if name.isprintable() and len(name) <= MAX_MODEL_NAME}
    return sorted(fit)[:MAX_MODELS]


def chosen(view: ConnectionView, offered: Sequence[str], now: dt.datetime) -> str:
    """The cheapest of its models that answers in text. Raises DomainError when none is known."""
    names = list(view.model_names) or list(offered)
    if not names:
        raise DomainError(
            "It lists no models; name one under “Models” and test again.", fields=["model_names"]
        )
    talking = [
        name for name in names if not any(word in name.lower() for word in (*_OTHER, "embed"))
    ]
    provider = price_provider(view)
    return min(talking or names, key=lambda name: (_price(provider, name, now), len(name), name))


def _price(provider: str, name: str, now: dt.datetime) -> float:
    """What a million input tokens cost; unknown ones come last."""
    found = current_catalogue().find(provider, name, "")
    if not isinstance(found, Match):
        return float("inf")
    units = [unit for unit in found.plan(now, ()).units if unit.usage_key == "input_tokens"]
    return float(units[0].base) if units else float("inf")


async def _answered(client: Client, view: ConnectionView, model: str) -> None:
    """One word from `model`. Raises _Failed, the SDKs' and httpx2's errors."""
    dialect, body, proof = _question(view, model)
    response = await client.post(
        path_of(view, dialect, model),
        cast_to=httpx2.Response,
        body=body,
        options={"timeout": CALL_SECONDS},
    )
    try:
        found = msgspec.json.decode(response.content)
    except msgspec.MsgspecError:
        found = None
    if response.status_code != 200 or not isinstance(found, dict) or proof not in found:
        start = response.content[:200].decode("utf-8", "replace")
        raise _Failed(
            f"{response.status_code}, but no answer as this kind of API gives it: {start}"
        )


def _question(view: ConnectionView, model: str) -> tuple[Dialect, dict[str, Any], str]:
    """The call, and the field that shows that it was understood."""
    if "embed" in model.lower():
        return Dialect.EMBEDDINGS, {"model": model, "input": "OK"}, "data"
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Say OK."}]}
    if view.kind == ProviderKind.ANTHROPIC:
        return Dialect.MESSAGES, body | {"max_tokens": 1}, "content"
    # OpenAI's newer models refuse the older name; others know only that.
    is_new = view.kind in (ProviderKind.OPENAI, ProviderKind.AZURE)
    return Dialect.CHAT, body | {"max_completion_tokens" if is_new else "max_tokens": 16}, "choices"


def _words(error: Exception, view: ConnectionView) -> str:
    if isinstance(error, _STATUS_ERRORS):
        return f"{error.status_code}: {_told(error.response)}"
    return explained(error, urlsplit(address_of(view)).hostname or "").detail


def _told(response: httpx2.Response) -> str:
    """A refusal's own message, else how it begins."""
    try:
        found = msgspec.json.decode(response.content)
    except msgspec.MsgspecError:
        found = None
    if isinstance(found, list) and found:  # Google wraps its error in a list
        found = found[0]
    if isinstance(found, dict):
        inner = found.get("error", found)
        words = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(words, str) and words.strip():
            return words.strip()
    return response.content[:300].decode("utf-8", "replace").strip() or "no words"
