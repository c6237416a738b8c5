"""One call to a provider as the instruments hand it over: references to bytes, nothing decoded."""

from collections.abc import Mapping
from typing import Any, Optional

# Seconds of the clock that also told `sent_at`, and what came then.
Chunk = tuple[float, bytes]
Json = dict[str, Any]


class Call:
    """What was sent and what came back.

    `chunks` are the answer's bytes in the order they came, still encoded as `content-encoding` says. `error` is
    the type and message of what kept the answer from coming, when something did.
    """

    __slots__ = (
        "chunks", "error", "headers", "method", "request_body", "retries", "sent_at", "status",
        "url",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        url: str,
        request_body: bytes = b"",
        status: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
        chunks: Optional[list[Chunk]] = None,
        sent_at: float = 0.0,
        error: Optional[tuple[str, str]] = None,
        retries: int = 0,
    ) -> None:
        self.method = method
        self.url = url
        self.request_body = request_body
        self.status = status
        self.headers = headers or {}
        self.chunks = chunks or []
        self.sent_at = sent_at
        self.error = error
        self.retries = retries

    def header(self, name: str) -> str:
        """A header of the answer, whatever the case of its name; empty when it has none."""
        for key, value in self.headers.items():
            if key.lower() == name:
                return value
        return ""
