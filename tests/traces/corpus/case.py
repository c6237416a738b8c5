"""One malformed upload and its expected fate."""

import json
from datetime import datetime
from typing import Any, Literal

import msgspec

Door = Literal["otlp", "traces", "costs", "langfuse"]
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Case(msgspec.Struct, kw_only=True):
    """`statuses` are the allowed answers; with 200 or 207, `stored` and `rejected` items must match when given.

    `is_http_only` cases differ in headers alone and need the running server.
    """

    name: str
    door: Door
    body: bytes
    content_type: str = JSON
    encoding: str = ""
    statuses: tuple[int, ...] = (400,)
    stored: int | None = None
    rejected: int | None = None
    is_http_only: bool = False


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000


def raw_json(value: Any, **replacements: str) -> bytes:
    """JSON with `"@name@"` replaced by text no JSON writer would produce."""
    text = json.dumps(value)
    for name, literal in replacements.items():
        text = text.replace(f'"@{name}@"', literal)
    return text.encode()
