"""What both readers of OTLP (protobuf and JSON) share: spans as sent, and what an upload may bring."""

from typing import Any

import msgspec

from traces.ingest.limits import Limits, TooManyItemsError


class DamagedError(Exception):
    """The bytes at hand are not the message they should be."""


class RawEvent(msgspec.Struct):
    name: str = ""
    time_ns: int = 0
    attributes: dict[str, Any] = {}


class RawSpan(msgspec.Struct):
    """A span as the wire said it, in Python values but unchecked."""

    trace_id: bytes = b""
    span_id: bytes = b""
    parent_span_id: bytes = b""
    name: str = ""
    start_ns: int = 0
    end_ns: int = 0
    status_code: int = 0
    status_message: str = ""
    attributes: dict[str, Any] = {}
    events: list[RawEvent] = []
    links: list[tuple[Any, Any]] = []
    is_cut: bool = False


class Budget:
    """How many attributes, events, links and nested values one upload may still bring."""

    __slots__ = ("left", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.max_entities

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooManyItemsError(
                f"The upload holds more than {self.limits.max_entities} attributes, events and nested "
                "values: send fewer spans at a time."
            )
