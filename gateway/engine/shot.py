"""One attempt at one target: send, see the answer begin, pass it on."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any

import httpx2
import msgspec

from core.crypto import DecryptionError, data_cipher
from core.errors import DomainError
from costs.usage import Usage
from gateway.connections.clients import client_for
from gateway.connections.keys import pick_key
from gateway.connections.providers import path_of
from gateway.dialects.collect import Collector
from gateway.dialects.errors import Failure
from gateway.dialects.facts import RequestFacts
from gateway.dialects.sse import Event, Events, EventTooLongError
from gateway.dialects.translate import Translator, translator
from gateway.engine.bounding import bounded, is_too_large
from gateway.engine.checking import AnswerChecks
from gateway.engine.providers import ProviderError, ask, request_id, unanswered
from gateway.engine.sink import EVENTS, JSON, Sink
from gateway.routing.decide import spoken
from gateway.snapshot import ConnectionView, KeyView, Snapshot
from gateway.structs import Attempt, Call, Dialect, Target

_encode = msgspec.json.encode
# Events that say an answer will come, but not that it has begun: after them another target may still answer.
_OPENINGS = {
    Dialect.MESSAGES: frozenset({"message_start", "ping"}),
    Dialect.RESPONSES: frozenset(
        {"response.created", "response.in_progress", "response.queued", "keepalive"}
    ),
}


class Shot:
    """An attempt. `open` until the answer begins, then `relay`; `close` in any case."""

    def __init__(self, call: Call, target: Target, *, is_hedge: bool = False) -> None:
        self.call = call
        self.attempt = Attempt(target=target, began_at=time.time(), is_hedge=is_hedge)
        self.key: KeyView | None = None
        self._view: ConnectionView | None = None
        self.dialect = call.dialect
        self.translator: Translator = Translator(call.dialect, call.dialect)
        # Set when the request is on its way: from then on there may be something to pay for.
        self.collector: Collector | None = None
        self.first_token_at = 0.0
        # What else the answer's head says: how many tries it took.
        self.said: dict[str, str] = {}
        # Used by an answer that could not be used, which this one is instead of.
        self.before: Usage | None = None
        self._response: httpx2.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._events = Events()
        self._held: list[bytes] = []
        self._host = ""

    async def open(
        self, snapshot: Snapshot, document: dict[str, Any], *, refused: Collection[str]
    ) -> None:
        """Send; returns when the whole answer, or the first of a stream that is one, is here.

        `refused` names keys that others are to be preferred to. Raises ProviderError.
        """
        call, rules = self.call, self.call.rules
        view = snapshot.connections.get(self.attempt.target.connection)
        if view is None:
            raise _never("connection_gone", "The connection is switched off or was deleted.")
        limit = rules.timeout_s
        if call.is_stream and rules.first_token_s is not None:
            limit = min(limit, rules.first_token_s)
        try:
            async with asyncio.timeout(limit):
                await self._send(view, snapshot, document, refused)
                if call.is_stream:
                    await self._begin()
        except TimeoutError:
            raise ProviderError.late(f"{view.name} did not answer within {limit:g} s.") from None

    async def _send(
        self,
        view: ConnectionView,
        snapshot: Snapshot,
        document: dict[str, Any],
        refused: Collection[str],
    ) -> None:
        call = self.call
        model = self.attempt.target.model or call.model
        self._view = view
        self.dialect = spoken(call.dialect, view) or call.dialect
        try:
            self.translator = translator(
                call.dialect, self.dialect, wants_usage=call.wants_usage, kind=view.kind
            )
            request = self.translator.request(document, model=model)
        except ValueError as error:
            failure = Failure("bad_request", "cannot_translate", str(error))
            raise ProviderError.own(failure) from None
        body = unbounded = _encode(request)
        is_capped = False
        if call.is_bounded:
            capped, is_capped = bounded(
                call, document, request, dialect=self.dialect, model=model, kind=view.kind
            )
            body = _encode(capped)
        now, refused = dt.datetime.now(dt.UTC), set(refused)
        while True:
            # A limited key may be free for another model: better than none.
            self.key = pick_key(view, now=now, exclude=refused) or pick_key(view, now=now)
            try:
                await self._ask(view, snapshot, model, body)
                return
            except ProviderError as error:
                if is_capped and is_too_large(error):
                    body, is_capped = unbounded, False
                    continue
                if self.key is None or error.failure.reason != "auth":
                    raise
                refused.add(self.key.id)
                # Another of its keys, or the one that this one replaced and that stands in until it retires.
                if pick_key(view, now=now, exclude=refused) is None:
                    raise

    async def _ask(self, view: ConnectionView, snapshot: Snapshot, model: str, body: bytes) -> None:
        """Once, with the chosen key."""
        call, attempt = self.call, self.attempt
        attempt.key_hint = self.key.hint if self.key else ""
        try:
            client = client_for(view, self.key, data_cipher(snapshot.data_key))
        except DomainError as error:
            raise _never(error.code, error.detail) from None
        except DecryptionError as error:
            raise _never("key_unreadable", str(error)) from None
        self._host = client.base_url.host
        collector = Collector(self.dialect)
        self.collector = collector
        try:
            self._response = await ask(
                client,
                path_of(view, self.dialect, model),
                body,
                dialect=self.dialect,
                headers=call.headers,
                silence_s=call.rules.timeout_s,
                is_stream=call.is_stream,
            )
        except ProviderError as error:
            attempt.status = error.status
            attempt.request_id = error.request_id
            if not error.was_sent:
                self.collector = None
            raise
        attempt.status = self._response.status_code
        attempt.request_id = request_id(self._response)
        if not call.is_stream:
            self._take_whole(collector, self._response.content)

    def _take_whole(self, collector: Collector, body: bytes) -> None:
        collector.whole(body)
        if collector.error is not None:
            raise ProviderError.reported(collector.error, body)
        if "broken_answer" in collector.flags and not collector.is_done:
            raise ProviderError.broken("broken_answer", "The provider's answer is no JSON object.")
        try:
            self._held = [self.translator.answer(body)]
        except ValueError:
            text = "The provider's answer is not of the shape its wire has."
            raise ProviderError.broken("broken_answer", text) from None
        self.first_token_at = time.time()

    async def _begin(self) -> None:
        """Read until the answer begins; what came before is held back."""
        assert self.collector is not None  # noqa: S101 - `_send` set it
        async for events in self._read():
            for event in events:
                self.collector.event(event)
                if self.collector.error is not None:
                    raise ProviderError.reported(self.collector.error, event.data)
                self._held.append(self.translator.event(event))
                if not self.first_token_at and _is_content(event, self.dialect):
                    self.first_token_at = time.time()
            if self.first_token_at:
                return
        if not self.collector.is_complete:
            raise ProviderError.broken("stream_ended", "The provider ended the stream at once.")
        self.first_token_at = time.time()

    def is_last_key(self, refused: Collection[str]) -> bool:
        """Whether the connection has no key but these."""
        now = dt.datetime.now(dt.UTC)
        return self._view is None or pick_key(self._view, now=now, exclude=refused) is None

    def answer(self) -> bytes:
        """The whole answer of a call that does not stream, on the client's wire."""
        return self._held[0]

    async def relay(self, sink: Sink, checks: AnswerChecks | None = None) -> None:
        """Pass the answer on, to its end. Raises ProviderError when a stream breaks off, GuardBlockedError."""
        if not self.call.is_stream:
            body = self.answer()
            body = checks.whole(body) if checks is not None else body
            sink.hold(self.attempt.status, body, self._head(JSON))
            return
        collector, translate = self.collector, self.translator
        assert collector is not None  # noqa: S101 - `_send` set it
        sink.head(self.attempt.status, self._head(EVENTS))
        checked = checks.feed if checks is not None else _as_it_is
        sink.data(checked(b"".join(self._held)))
        self._held = []
        async for events in self._read():
            out = []
            for event in events:
                collector.event(event)
                out.append(translate.event(event))
            sink.data(checked(b"".join(out)))
            if sink.is_full:
                await sink.drain()
        if collector.error is None and not collector.is_complete:
            raise ProviderError.broken(
                "stream_ended", "The provider's stream ended before the answer did."
            )
        sink.data(checked(translate.end()))
        if checks is not None:
            sink.data(checks.end())

    async def _read(self) -> AsyncIterator[list[Event]]:
        """The stream's events as the network brings them. Raises ProviderError when it breaks."""
        assert self._response is not None  # noqa: S101 - `_send` set it
        if self._chunks is None:
            self._chunks = self._response.aiter_raw()
        try:
            async for chunk in self._chunks:
                found = self._events.feed(chunk)
                if found:
                    yield found
            found = self._events.end()
            if found:
                yield found
        except httpx2.TimeoutException:
            raise ProviderError.late("The provider fell silent in the middle.") from None
        except httpx2.HTTPError as error:
            raise unanswered(error, self._host) from None
        except EventTooLongError as error:
            raise ProviderError.broken("event_too_long", str(error)) from None

    async def close(self) -> None:
        """Let go of the connection; an answer that is not read to its end closes it."""
        if self._response is not None:
            with suppress(httpx2.HTTPError, OSError):
                await self._response.aclose()

    def usage(self, facts: RequestFacts) -> Usage | None:
        """What was used, estimated where the provider did not say; None when nothing can have been."""
        return self.collector.usage_or_estimate(facts) if self.collector is not None else None

    @property
    def may_cost(self) -> bool:
        """An error with a status of its own before the first token was not work; anything else that was sent may have
        been."""
        return self.collector is not None and bool(self.first_token_at or self.attempt.status < 400)

    def _head(self, common: dict[str, str]) -> dict[str, str]:
        """Where the answer comes from, for the door's headers."""
        target = self.attempt.target
        return {
            **common,
            "x-llmlab-provider": target.provider,
            "x-llmlab-model": target.model or self.call.model,
            "x-llmlab-connection": target.connection,
            "x-llmlab-provider-request-id": self.attempt.request_id,
            "x-llmlab-provider-ms": f"{(self.first_token_at - self.attempt.began_at) * 1000:.1f}",
            **self.said,
        }


def _as_it_is(data: bytes) -> bytes:
    return data


def _is_content(event: Event, dialect: Dialect) -> bool:
    if not event.data:
        return False
    openings = _OPENINGS.get(dialect)
    return openings is None or event.name not in openings


def _never(code: str, message: str) -> ProviderError:
    """Nothing was sent, and asking the same target again would not help."""
    return ProviderError.own(Failure("auth", code, message))
