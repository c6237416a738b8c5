"""What travels between the gateway's parts: one call from the door to its record, and the rules it follows.

Messages are msgpack (`pack`, `unpack`); rules are JSON in the database, checked by `msgspec.convert` when saved. Times
are seconds since 1970 as the machine that made them saw them; durations are seconds unless the name says otherwise.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import msgspec

from costs.usage import Usage

pack = msgspec.msgpack.Encoder(decimal_format="string").encode


class Dialect(StrEnum):
    """The wire of a call and of its answer: what the client speaks, or what the provider does."""

    CHAT = "openai.chat"
    RESPONSES = "openai.responses"
    COMPLETIONS = "openai.completions"
    EMBEDDINGS = "openai.embeddings"
    MESSAGES = "anthropic.messages"
    COUNT_TOKENS = "anthropic.count_tokens"

    @property
    def is_anthropic(self) -> bool:
        return self.value.startswith("anthropic.")


PRIORITIES = ("high", "normal", "low")


class Caller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who calls, for whom and as part of what: from the key and the headers (gateway.door.callers)."""

    organization_id: str
    project_id: str
    key_id: str
    key_label: str = ""
    user: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()
    agent: str = ""
    feature: str = ""
    environment: str = ""
    prompt_version: str = ""
    metadata: dict[str, str] = {}
    # The span the call hangs under, from `traceparent`; empty: the call begins a trace of its own.
    trace_id: str = ""
    parent_span_id: str = ""


# --- Rules: what a route and a project say -----------------------------------------------------------------------


class Match(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """When a target (or a check) counts for a call: all that is given must hold."""

    tags: tuple[str, ...] = ()  # any of them
    users: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    prompt_contains: str = ""  # in any turn, letters' case ignored
    min_input_tokens: int | None = None  # as estimated
    max_input_tokens: int | None = None
    hours: tuple[int, int] | None = None  # from, until, in UTC; 22, 6 spans midnight
    weekdays: tuple[int, ...] = ()  # 1 Monday … 7 Sunday
    is_stream: bool | None = None
    has_tools: bool | None = None
    has_images: bool | None = None


class TargetRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One place a route may send a call to. An empty model is the one the client asked for."""

    connection: str  # Connection.pk
    model: str = ""
    weight: int = 1  # of the targets of one step
    step: int = 0  # 0 first; higher ones are fallbacks, in order
    when: Match = Match()
    is_canary: bool = False  # shown apart; weight decides its share


class RetryRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """How often one target is tried. `retry-after` is honoured up to `longest_wait_s`, else the next target's turn."""

    tries: int = 2
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0


FallbackReason = Literal[
    "error", "timeout", "rate_limit", "context_length", "content_filter", "auth"
]


class CacheRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Whether and how answers are kept."""

    exact: bool = False
    semantic: bool = False
    ttl_s: int = 3600
    namespace: str = ""
    per_user: bool = False
    threshold: float = 0.97
    shadow_share: float = 0.05  # of semantic hits that are asked again for real
    wrong_limit: float = 0.01  # past it the threshold tightens itself


class GuardRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One check of requests or answers."""

    kind: Literal[
        "max_tokens", "allowed_models", "pii", "secrets", "patterns", "injection", "json_schema"
    ]
    action: Literal["block", "mask", "flag"] = "flag"
    on: Literal["input", "output", "both"] = "input"
    limit: int | None = None  # max_tokens
    names: tuple[str, ...] = ()  # models (may end in *), kinds of personal data
    patterns: tuple[str, ...] = ()  # regular expressions
    message: str = ""
    when: Match = Match()


class CompactRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Prompt compaction; all off by default."""

    whitespace: bool = False
    repeats: bool = False
    tool_results_after: int | None = None  # turns; older tool results are cut to a note
    history_tokens: int | None = None  # the oldest turns go until the rest fits


class RouteRules(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What a route says (Route.rules)."""

    targets: tuple[TargetRule, ...] = ()
    choose: Literal["weight", "cost", "latency", "quality"] = "weight"
    sticky: Literal["", "user", "session"] = ""  # the same target for the same one
    retry: RetryRule = RetryRule()
    fallback_on: tuple[FallbackReason, ...] = ("error", "timeout", "rate_limit")
    timeout_s: float = 120.0
    first_token_s: float | None = None  # a stream that has not begun by then falls back
    hedge_after_s: float | None = None  # a second try beside the first one; the first answer wins
    cache: CacheRule | None = None  # None: the project's
    guards: tuple[GuardRule, ...] = ()  # beside the project's
    compact: CompactRule | None = None
    on_client_gone: Literal["", "drain", "cancel"] = ""  # "": the project's


class ProjectRules(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What holds for all calls of a project (GatewaySettings.rules)."""

    on_client_gone: Literal["drain", "cancel"] = "drain"
    default_priority: Literal["high", "normal", "low"] = "normal"
    key_priorities: dict[str, Literal["high", "normal", "low"]] = {}  # ApiKey.pk
    deadline_s: float = 600.0
    queue_limit: int = 1000  # waiting calls of the project
    cache: CacheRule = CacheRule()
    # Kept answers of the project; past it those go that were used longest ago.
    cache_entries: int = 20_000
    guards: tuple[GuardRule, ...] = ()
    compact: CompactRule = CompactRule()
    job_max_attempts: int = 3
    job_keep_s: int = 7 * 86_400
    direct: bool = True  # models no route names go to a connection that serves them


# --- One call ------------------------------------------------------------------------------------------------------


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place a call goes to, decided."""

    connection: str  # Connection.pk
    kind: str  # ProviderKind
    model: str
    provider: str  # as prices name it
    step: int = 0
    is_canary: bool = False
    because: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a call goes, in order, and why, in words for people."""

    targets: tuple[Target, ...]
    route: str = ""  # Route.name; empty: direct
    because: str = ""
    skipped: tuple[str, ...] = ()  # "Azure west: circuit open since 12 s"


class CacheWishes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a caller asks of the caches by headers or body (gateway.door.wishes); None: as the rule says."""

    # False: neither read nor keep; true: exact, also where the rule is off.
    is_on: bool | None = None
    reads: bool = True  # false: ask the provider again and keep the new answer
    writes: bool = True
    ttl_s: int | None = None
    namespace: str | None = None
    per_user: bool | None = None


class CachePlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the caches are to do for one call (gateway.cache.keys)."""

    key: str
    scope: str
    rule: CacheRule
    reads: bool = True  # false: refresh
    writes: bool = True
    question: str = ""  # the last user turn's text, for semantic search


class Call(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An accepted call: what the queue carries to a worker."""

    id: str  # UUID 7, hex; also the request's id in headers and pages
    dialect: Dialect
    body: bytes  # the client's JSON, after guards
    model: str  # as the client asked
    caller: Caller
    decision: Decision
    rules: RouteRules
    is_stream: bool = False
    wants_usage: bool = True  # the client asked for usage in the stream
    priority: int = 1
    accepted_at: float
    deadline_at: float
    # The web process that waits; empty for a job (`is_job`).
    reply_to: str = ""
    is_job: bool = False
    on_client_gone: str = "drain"
    cache: CachePlan | None = None
    guards: tuple[GuardRule, ...] = ()
    compact: CompactRule | None = None
    has_reservation: bool = False
    # A hard limit of tokens or dollars counts it: the provider is told how long its answer may be.
    is_bounded: bool = False
    # Further tries that were set aside while it was made: the names of their reservations (gateway.quotas.more).
    more: tuple[str, ...] = ()
    # The most it can use: what the reservation set aside, and what an interrupted call is recorded with at worst.
    max_input_tokens: int = 0
    max_output_tokens: int = 0
    # Passed on: anthropic-version, anthropic-beta, openai-beta, x-stainless-* not.
    headers: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    # Filled while it moves.
    queued_at: float = 0.0
    claimed_at: float = 0.0
    # Seconds spent looking for a kept answer before it was queued; what the waterfall shows as "cache".
    cache_s: float = 0.0


class Attempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One try at one target."""

    target: Target
    began_at: float
    ended_at: float = 0.0
    first_token_at: float = 0.0
    status: int = 0  # 0: no answer
    error: str = (
        ""  # error class: rate_limit, timeout, error, context_length, …; empty: it answered
    )
    code: str = ""  # the provider's word for it, such as insufficient_quota
    message: str = ""
    key_hint: str = ""
    request_id: str = ""  # the provider's
    is_hedge: bool = False
    # What the provider asked to wait before the next try.
    retry_after_s: float | None = None
    # The target takes nothing for so long: all its keys are limited.
    rest_s: float = 0.0
    # Of one that was given up although the provider may charge for it; of the others the call's usage tells.
    usage: Usage | None = None


class Finished(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a call ended: what is journalled, recorded and settled. Written once per call by whoever ended it."""

    call: Call
    ended_at: float
    state: str  # RequestState
    status: int
    error: str = ""
    message: str = ""
    attempts: list[Attempt] = []
    usage: Usage | None = None
    raw_usage: dict[str, Any] | None = None
    response_id: str = ""
    response_model: str = ""
    finish_reason: str = ""
    service_tier: str = ""
    first_token_at: float = 0.0
    # What the client got, in the calling dialect's unstreamed shape; empty when it got nothing.
    answer: bytes = b""
    cache: str = ""  # exact | semantic | miss | bypass | ""
    cached_id: str = ""
    saved_usd: Decimal | None = None
    similarity: float | None = None
    client_left_at: float = 0.0
    flags: tuple[str, ...] = ()
    compaction: dict[str, int] = {}


class FrameKind(StrEnum):
    """What a worker sends to the web process that waits (gateway.wire)."""

    HEAD = "h"  # status and headers
    DATA = "d"  # bytes of the body as the client is to get them
    END = "e"  # nothing more comes; `data` is msgpack Summary
    ALL = "a"  # head, body and end of an answer that does not stream


class Frame(msgspec.Struct, array_like=True):
    """One message on a web process's reply stream; `seq` counts from 0 per call without holes."""

    call_id: str
    seq: int
    kind: FrameKind
    data: bytes = b""
    status: int = 0
    headers: dict[str, str] = {}
    summary: "Summary | None" = None


class Summary(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the web process still wants to know at the end (metrics, cost headers)."""

    state: str
    cost_usd: str = ""  # decimal; empty: unknown
    cache: str = ""


unpack_call = msgspec.msgpack.Decoder(Call).decode
unpack_frame = msgspec.msgpack.Decoder(Frame).decode
unpack_finished = msgspec.msgpack.Decoder(Finished).decode
