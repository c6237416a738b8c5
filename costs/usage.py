"""What a call consumed, in one normal form (reference: llm-responses §7, otel-genai §1).

`input_tokens` is the whole input, cached tokens included; `output_tokens` the whole output, reasoning included.
The sender's dialect module has already turned its own convention into this one.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

Convention = Literal["inclusive", "exclusive", "guessed"]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts are whole numbers ≥ 0; None means the sender did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0  # all TTLs together
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    reasoning_output_tokens: int = 0
    web_searches: int = 0
    stated_total_tokens: int | None = None
    convention: Convention = "inclusive"
    is_estimated: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the sender counted anything at all."""
        return (
            self.input_tokens is not None or self.output_tokens is not None or self.web_searches > 0
        )


class ChargeableCall(msgspec.Struct, kw_only=True):
    """One call that cost money (or should have), ready to be priced and recorded.

    `record_id` is the caller's idempotency key inside the project: `<trace_id>/<span_id>` for spans.
    Free text is at most 200 characters and free of NUL and surrogates; the normaliser guarantees it.
    """

    record_id: str
    occurred_at: datetime
    trace_id: str = ""
    span_id: str = ""
    provider: str = ""
    model: str = ""
    request_model: str = ""
    operation: str = ""
    service_tier: str = ""
    processing: str = ""  # "batch" or ""
    speed: str = ""
    usage: Usage | None = None
    client_cost_usd: Decimal | None = None
    is_error: bool = False
    error_type: str = ""
    is_rejected: bool = False  # the provider refused it before doing work (4xx): costs nothing
    is_cache_hit: bool = False  # answered by a cache of ours or the caller's: costs nothing
    latency_ms: float | None = None
    first_token_ms: float | None = None
    environment: str = ""
    agent: str = ""
    user_id: str = ""
    session_id: str = ""
    feature: str = ""
    prompt_version: str = ""
    tags: tuple[str, ...] = ()
    api_key_id: str = ""
