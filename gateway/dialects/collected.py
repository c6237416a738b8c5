"""What is gathered from an answer on the provider's wire, whole or in a stream (pure).

`Collector(dialect)` makes the one of the wire (see gateway.dialects.collect, which knows them all).
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import msgspec

from costs.usage import Usage
from gateway.dialects.errors import Failure, classify
from gateway.dialects.facts import RequestFacts
from gateway.dialects.sse import DONE, Event
from gateway.dialects.tokens import tokens_in
from gateway.dialects.usage import usage_of
from gateway.structs import Dialect

ESTIMATED = "usage_estimated"
BROKEN_EVENTS = "broken_events"
BROKEN_ANSWER = "broken_answer"
# What reading a document of another shape than the wire's raises.
SHAPE_ERRORS = (TypeError, AttributeError, KeyError, IndexError, ValueError)

_decode = msgspec.json.decode


class Collector:
    """Feed it every event (or the whole body) as the provider sent it; then read its attributes.

    `usage` is only what the provider said of a complete answer; otherwise it is None and `estimate` fills in.
    """

    _kinds: ClassVar[dict[Dialect, type["Collector"]]] = {}

    def __init_subclass__(cls, dialects: tuple[Dialect, ...] = ()) -> None:
        for dialect in dialects:
            cls._kinds[dialect] = cls

    def __new__(cls, dialect: Dialect) -> "Collector":
        """The collector of the dialect's wire."""
        return object.__new__(cls._kinds[dialect])

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.response_id = ""
        self.model = ""
        self.finish_reason = ""
        self.service_tier = ""
        self.raw_usage: dict[str, Any] | None = None
        # An error the provider reported with status 200, in the stream or instead of an answer.
        self.error: Failure | None = None
        self.flags: list[str] = []
        self.is_done = False  # the wire's own end mark came
        self._body = b""
        self._document: dict[str, Any] | None = None
        self._usage: Usage | None = None
        self._web_searches: int | None = None

    # --- What each wire does its own way

    def _read(self, document: dict[str, Any], event: Event) -> None:
        raise NotImplementedError

    def _read_whole(self, document: dict[str, Any]) -> None:
        raise NotImplementedError

    def _answer(self) -> dict[str, Any]:
        raise NotImplementedError

    def _has_ended(self) -> bool:
        return self.is_done

    def _text(self) -> str:
        raise NotImplementedError

    def _generated(self) -> str:
        raise NotImplementedError

    # --- What all share

    def event(self, event: Event) -> None:
        """Take one event of a stream. Nothing a provider sends raises."""
        document = event.document
        if document is not None:
            try:
                self._read(document, event)
            except SHAPE_ERRORS:
                self._flag(BROKEN_EVENTS)  # a shape the wire does not have
        elif event.data == DONE:
            self.is_done = True
        elif event.data:
            self._flag(BROKEN_EVENTS)

    def whole(self, body: bytes) -> None:
        """Take an answer that did not stream."""
        self._body = body
        document: Any = None
        with suppress(msgspec.DecodeError, RecursionError):
            document = _decode(body)
        if type(document) is not dict:
            self._flag(BROKEN_ANSWER)
            return
        self._document = document
        self._take_head(document)
        error = document.get("error")
        if error:
            self.error = classify(self.dialect, 200, body)
        try:
            self._read_whole(document)
        except SHAPE_ERRORS:
            self._flag(BROKEN_ANSWER)
        self.is_done = True

    @property
    def text(self) -> str:
        """The visible text so far."""
        return self._or_empty(self._text)

    def generated(self) -> str:
        """All that was generated so far and is billed: text, reasoning, tool calls."""
        return self._or_empty(self._generated)

    def _or_empty(self, read: Callable[[], str]) -> str:
        try:
            return read()
        except SHAPE_ERRORS:
            self._flag(BROKEN_ANSWER)
            return ""

    @property
    def is_complete(self) -> bool:
        """Whether the answer came to its end, without an error."""
        return self.error is None and self._has_ended()

    @property
    def usage(self) -> Usage | None:
        """What the provider counted, if the answer is complete and the counts are believable."""
        usage = self._stated()
        if usage is None or not self.is_complete:
            return None
        if self.dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS):
            return usage
        if not usage.input_tokens or (not usage.output_tokens and self.generated()):
            return None
        return usage

    def estimate(self, facts: RequestFacts) -> Usage:
        """Usage where the provider gave none: what it did say stays, the rest is counted from the texts."""
        self._flag(ESTIMATED)
        stated = self._stated() or Usage()
        has_nothing = facts.max_output_tokens == 0 and not stated.output_tokens
        output = 0 if has_nothing else tokens_in(self.generated())
        return msgspec.structs.replace(
            stated,
            input_tokens=stated.input_tokens or facts.input_tokens,
            output_tokens=max(stated.output_tokens or 0, output),
            stated_total_tokens=None,
            is_estimated=True,
        )

    def usage_or_estimate(self, facts: RequestFacts) -> Usage:
        """What to bill and settle by."""
        return self.usage or self.estimate(facts)

    def answer(self) -> bytes:
        """The answer in the wire's unstreamed shape: the body as it came, or put together from the stream."""
        if self._body:
            return self._body
        try:
            return msgspec.json.encode(self._answer())
        except SHAPE_ERRORS:
            self._flag(BROKEN_ANSWER)
            return b"{}"

    def _stated(self) -> Usage | None:
        if self._usage is None and self.raw_usage is not None:
            self._usage = usage_of(
                self.dialect, self.raw_usage, flags=self.flags, web_searches=self._web_searches
            )
        return self._usage

    def _take_head(self, document: dict[str, Any]) -> None:
        """Names and tier, wherever the wire repeats them; empty ones (Azure's first chunk) teach nothing."""
        for field, name in (
            ("id", "response_id"),
            ("model", "model"),
            ("service_tier", "service_tier"),
        ):
            value = document.get(field)
            if type(value) is str and value:
                setattr(self, name, value)

    def _flag(self, flag: str) -> None:
        if flag not in self.flags:
            self.flags.append(flag)


def is_counted(raw: dict[str, Any]) -> bool:
    """Whether a usage object counts anything: a later one of zeros takes nothing back."""
    return any(
        type(value) is int and value > 0 for name, value in raw.items() if name.endswith("_tokens")
    )
