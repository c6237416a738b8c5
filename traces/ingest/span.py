"""The normal form every dialect is turned into, and the writer's only input."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from costs.usage import Usage


class NormalSpan(msgspec.Struct, kw_only=True):
    """One step as LLMLab understands it.

    Guarantees (made by traces.ingest.sanitize before this object exists): text is valid UTF-8 without NUL or
    surrogates and within the model's column lengths; times are aware UTC inside the accepted window; numbers are
    finite and ≥ 0; `attributes`, `input`, `output`, `metadata` are JSON-able with bounded depth and size.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = ""
    kind: str = "span"  # traces.models.SpanKind
    status: str = "ok"  # running | ok | error
    started_at: datetime
    ended_at: datetime | None = None
    first_token_ms: float | None = None

    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    operation: str = ""
    usage: Usage | None = None
    client_cost_usd: Decimal | None = None
    # A model call as opposed to a wrapper that repeats its children's usage; only these are ever costed.
    is_call: bool = False
    is_rejected: bool = False
    is_cache_hit: bool = False
    service_tier: str = ""
    processing: str = ""
    speed: str = ""
    response_id: str = ""
    finish_reason: str = ""

    error_type: str = ""
    error_message: str = ""

    # Trace-level facts this span carries; the root's win.
    trace_name: str = ""
    agent: str = ""
    environment: str = ""
    release: str = ""
    user_id: str = ""
    session_id: str = ""
    feature: str = ""
    prompt_version: str = ""
    # Whose call it was, where the steps of one batch came with several keys; else the context's.
    api_key_id: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}

    # Payload. Messages are [{"role", "content" | "parts", …}]; other values as sent.
    input: Any = None
    output: Any = None
    tools: Any = None
    parameters: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []

    dialect: str = ""
    scope_name: str = ""
    scope_version: str = ""
    flags: tuple[str, ...] = ()

    # Says all there is to say of a step that may be stored already, ended or not: what is stored follows, but for
    # content this does not repeat.
    is_amending: bool = False

    @property
    def duration_ms(self) -> float | None:
        if self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds() * 1000


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why one item was refused: where it stood, which rule it broke, in words that name field, value and rule."""

    index: int
    trace_id: str = ""
    span_id: str = ""
    code: str
    detail: str


class Decoded(msgspec.Struct, kw_only=True):
    """What a door understood of one request."""

    spans: list[NormalSpan] = []
    rejections: list[Rejection] = []
