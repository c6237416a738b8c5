"""Collectors of all wires: `Collector(dialect)` (pure)."""

from typing import Any

import msgspec

from costs.usage import Usage
from gateway.dialects.collect_chat import ChatCollector, CompletionsCollector
from gateway.dialects.collect_messages import MessagesCollector
from gateway.dialects.collect_responses import ResponsesCollector
from gateway.dialects.collected import BROKEN_ANSWER, BROKEN_EVENTS, ESTIMATED, Collector
from gateway.dialects.errors import classify
from gateway.structs import Dialect

__all__ = (
    "BROKEN_ANSWER",
    "BROKEN_EVENTS",
    "ESTIMATED",
    "ChatCollector",
    "Collector",
    "CompletionsCollector",
    "EmbeddingsCollector",
    "MessagesCollector",
    "ResponsesCollector",
)


class _Embeddings(msgspec.Struct):
    """All of an embeddings answer but its numbers, which nobody here reads."""

    model: str | None = None
    id: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_read_embeddings = msgspec.json.Decoder(_Embeddings).decode


class EmbeddingsCollector(Collector, dialects=(Dialect.EMBEDDINGS,)):
    """Embeddings: never streamed, and too long to be read whole."""

    def whole(self, body: bytes) -> None:
        self._body = body
        try:
            found = _read_embeddings(body)
        except (msgspec.MsgspecError, RecursionError):
            self._flag(BROKEN_ANSWER)
            return
        self.model, self.response_id = found.model or "", found.id or ""
        self.raw_usage = found.usage
        if found.error:
            self.error = classify(self.dialect, 200, body)
        self.finish_reason, self.is_done = "stop", True

    def _text(self) -> str:
        return ""

    def _generated(self) -> str:
        return ""


class CountCollector(EmbeddingsCollector, dialects=(Dialect.COUNT_TOKENS,)):
    """Anthropic's token counter, which costs nothing: its usage is known to be none."""

    def whole(self, body: bytes) -> None:
        super().whole(body)
        self._usage = Usage(input_tokens=0, output_tokens=0)
