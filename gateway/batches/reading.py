"""What a batch may ask for and may cost at most, request by request, before its provider sees it.

Pure but for the price catalogue. Every request goes to one connection as it is: a route's name means nothing there, and
a check that would change a request refuses it.
"""

import datetime as dt
import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from gateway.batches.wires import ENDPOINTS
from gateway.connections.providers import dialects_of, price_provider, serves
from gateway.dialects.facts import RequestError, RequestFacts, facts_of
from gateway.door.answers import RefusalError
from gateway.guards.checks import BLOCKED_CODE, check_input
from gateway.quotas.bounds import Bounds, bounds_of
from gateway.routing.decide import ANY
from gateway.routing.matching import holds
from gateway.snapshot import ConnectionView, Snapshot
from gateway.structs import Caller, Decision, Dialect, Target

MAX_REQUESTS = 100_000
MAX_LINE = 16 * 1024 * 1024
MAX_CUSTOM_ID = 512
# What a catalogue prices batches under.
TIER = "batch"


class Part(msgspec.Struct):
    """The requests for one model. `usd` None: it has no price, and `unpriced` says why."""

    model: str
    count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal | None = Decimal(0)
    unpriced: str = ""

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.input_tokens, self.output_tokens, self.usd, self.unpriced)


class Content(msgspec.Struct):
    """A batch's requests, summed up. `mark` says under which rules they were read."""

    dialect: Dialect
    parts: list[Part]
    mark: str = ""

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)


class _Line(msgspec.Struct):
    custom_id: str
    body: msgspec.Raw
    url: str = ""
    method: str = "POST"


_read_line = msgspec.json.Decoder(_Line).decode


def mark_of(snapshot: Snapshot, view: ConnectionView, caller: Caller, at: dt.datetime) -> str:
    """Under what a batch's requests were read: another one, and they are read again."""
    who = (caller.user, caller.tags, caller.agent, caller.environment)
    known = [snapshot.version, view.id, at.date(), who if snapshot.rules.guards else ""]
    return hashlib.sha256(msgspec.json.encode(known)).hexdigest()


class Reader:
    """Feed it a batch's requests in order, then ask for `content`."""

    def __init__(
        self, snapshot: Snapshot, view: ConnectionView, caller: Caller, at: dt.datetime
    ) -> None:
        self._snapshot, self._view, self._caller, self._at = snapshot, view, caller, at
        self._parts: dict[str, Part] = {}
        self._seen: set[bytes] = set()
        self._dialect: Dialect | None = None
        self._rest = b""
        self.count = 0

    def feed(self, data: bytes) -> None:
        """A piece of a file of requests, one to a line. Raises RequestError and RefusalError."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take_line(line)
        if len(self._rest) > MAX_LINE:
            raise RequestError("file", f"Line {self.count + 1} is longer than {MAX_LINE} bytes.")

    def _take_line(self, line: bytes) -> None:
        if not line.strip():
            return
        place = f"line {self.count + 1}"
        try:
            found = _read_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError("file", f"{place}: {error}.") from None
        if found.method != "POST":
            raise RequestError(
                "file", f"{place}: method is {found.method[:20]!r}; it must be POST."
            )
        dialect = ENDPOINTS.get(found.url)
        if dialect is None:
            known = ", ".join(ENDPOINTS)
            text = f"{place}: url is {found.url[:80]!r}; it must be one of {known}."
            raise RequestError("file", text)
        self.take(dialect, found.custom_id, bytes(found.body), place)

    def take(self, dialect: Dialect, custom_id: str, body: bytes, place: str) -> None:
        """One request. Raises RequestError for one that is none, RefusalError for one that may not be made."""
        self._dialect = self._dialect or dialect
        if dialect is not self._dialect:
            raise RequestError("file", f"{place}: all requests of a batch have the same url.")
        self.count += 1
        if self.count > MAX_REQUESTS:
            raise RequestError("file", f"A batch has at most {MAX_REQUESTS} requests.")
        self._note(custom_id, place)
        try:
            facts = facts_of(dialect, body)
        except RequestError as error:
            text = f"{place}: {error.message}"
            raise RequestError(error.field or "body", text) from None
        # At the price of batches, whatever tier it names.
        facts = msgspec.structs.replace(facts, service_tier=TIER)
        self._check(facts, place)
        self._add(facts, body)

    def content(self) -> Content:
        """All of it. Raises RequestError when there was nothing."""
        rest, self._rest = self._rest, b""
        self._take_line(rest)
        if self._dialect is None:
            raise RequestError("file", "It holds no request.")
        mark = mark_of(self._snapshot, self._view, self._caller, self._at)
        return Content(self._dialect, list(self._parts.values()), mark)

    def _note(self, custom_id: str, place: str) -> None:
        """What results are told apart by."""
        if not 0 < len(custom_id) <= MAX_CUSTOM_ID:
            text = f"{place}: it must be text of 1 to {MAX_CUSTOM_ID} characters."
            raise RequestError("custom_id", text)
        digest = hashlib.blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=12)
        if digest.digest() in self._seen:
            raise RequestError("custom_id", f"{place}: {custom_id[:80]!r} is there twice.")
        self._seen.add(digest.digest())

    def _check(self, facts: RequestFacts, place: str) -> None:
        view, snapshot = self._view, self._snapshot
        if facts.dialect not in dialects_of(view.kind, view.settings):
            text = f"{place}: the connection {view.name} does not speak {facts.dialect}."
            raise RefusalError(400, "dialect_not_supported", text, param="url")
        if not may_ask(snapshot, view, facts.model):
            text = (
                f"{place}: the connection {view.name} may not be asked for {facts.model[:80]!r}. Batches go to one"
                " connection as they are: name a model of it, not a route."
            )
            raise RefusalError(404, "model_not_found", text, param="model")
        rules = tuple(
            one for one in snapshot.rules.guards if holds(one.when, facts, self._caller, self._at)
        )
        if not rules:
            return
        verdict = check_input(rules, facts, self._caller)
        if verdict.blocked is not None:
            stop = verdict.blocked
            text, extra = f"{place}: {stop.message}", {"guard": stop.kind}
            raise RefusalError(400, BLOCKED_CODE, text, param=stop.param, extra=extra)
        if verdict.document is not facts.document:
            text = (
                f"{place}: this project's checks would mask a part of it, and batches are passed on as they are. Mask"
                " it before you send it."
            )
            raise RefusalError(400, BLOCKED_CODE, text)

    def _add(self, facts: RequestFacts, body: bytes) -> None:
        decision = Decision(targets=(target_of(self._view, facts.model),))
        prices = self._snapshot.prices
        found = bounds_of(facts, decision, body=body, at=self._at, prices=prices)
        part = self._parts.get(facts.model)
        if part is None:
            part = self._parts[facts.model] = Part(facts.model)
        part.count += 1
        part.input_tokens += found.input_tokens
        part.output_tokens += found.output_tokens
        if found.usd is None or part.usd is None:
            part.usd, part.unpriced = None, found.unpriced or part.unpriced
        else:
            part.usd += found.usd


def read_requests(reader: Reader, body: bytes) -> Content:
    """The requests of a batch that come in one body, as Anthropic has them. Raises RequestError, RefusalError."""
    try:
        found = _read_batch(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("requests", f"{error}.") from None
    for number, one in enumerate(found.requests):
        reader.take(Dialect.MESSAGES, one.custom_id, bytes(one.params), f"requests[{number}]")
    return reader.content()


class _Request(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


class _Batch(msgspec.Struct):
    requests: list[_Request]


_read_batch = msgspec.json.Decoder(_Batch).decode


def may_ask(snapshot: Snapshot, view: ConnectionView, model: str) -> bool:
    """Whether this project's calls may go to the connection under that model's own name."""
    if snapshot.rules.direct and serves(view, model):
        return True
    return any(
        target.connection == view.id
        and (target.model == model or (not target.model and route.name in (model, ANY)))
        for route in snapshot.routes.values()
        for target in route.rules.targets
    )


def target_of(view: ConnectionView, model: str, because: str = "") -> Target:
    """Where a batch's requests go."""
    return Target(
        connection=view.id,
        kind=view.kind,
        model=model,
        provider=price_provider(view),
        because=because,
    )


def stored(content: Content) -> dict[str, Any]:
    """As ProviderFile.content keeps it."""
    found: dict[str, Any] = msgspec.to_builtins(content, builtin_types=())
    return found


def restored(kept: Any) -> Content | None:
    """The reverse; None for what is none."""
    try:
        return msgspec.convert(kept, Content) if kept else None
    except msgspec.ValidationError:
        return None
