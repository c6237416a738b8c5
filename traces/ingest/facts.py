"""What a span said, before anyone interprets it. Made by a door, read by a dialect."""

from datetime import datetime
from typing import Any

import msgspec


class EventFacts(msgspec.Struct):
    """Something that happened during a span."""

    name: str
    offset_ms: float
    attributes: dict[str, Any]


class ScopeFacts(msgspec.Struct):
    """The program and the instrumentation a group of spans came from."""

    name: str = ""
    version: str = ""
    resource: dict[str, Any] = {}


class SpanFacts(msgspec.Struct):
    """One OTLP span, clean and inside the window. A dialect may take entries out of
    `attributes`.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    started_at: datetime
    ended_at: datetime | None
    status_code: int  # 0 unset, 1 ok, 2 error
    status_message: str
    attributes: dict[str, Any]
    events: list[EventFacts]
    scope: ScopeFacts
    flags: list[str]
