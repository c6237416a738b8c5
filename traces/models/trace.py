"""Traces, their steps, and what was said in each step."""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from core.sparse import CountField, ListField
from costs.models import PriceStatus, TenantModel, usd_field
from traces.strips import StripField


class ResponseHash(models.Func):
    """PostgreSQL's 64-bit hash of a text."""

    function = "hashtextextended"
    template = "%(function)s(%(expressions)s, 0)"
    output_field = models.BigIntegerField()


class TextHash(models.Func):
    """The same, beginning from another hash."""

    function = "hashtextextended"
    arity = 2
    output_field = models.BigIntegerField()


class ProjectHash(models.Func):
    """PostgreSQL's 64-bit hash of a UUID, beginning from another hash."""

    function = "uuid_hash_extended"
    arity = 2
    output_field = models.BigIntegerField()


class SpanStatus(models.TextChoices):
    RUNNING = "running", "Running"
    OK = "ok", "OK"
    ERROR = "error", "Error"


class SpanKind(models.TextChoices):
    """What a step is. Only LLM and EMBEDDING are ever charged."""

    LLM = "llm", "LLM"
    EMBEDDING = "embedding", "Embedding"
    TOOL = "tool", "Tool"
    RETRIEVAL = "retrieval", "Retrieval"
    RERANK = "rerank", "Rerank"
    GUARDRAIL = "guardrail", "Guardrail"
    EVALUATOR = "evaluator", "Evaluator"
    AGENT = "agent", "Agent"
    CHAIN = "chain", "Chain"
    SPAN = "span", "Span"


class Trace(TenantModel):
    """One run of a program: rolled up from its spans by the writer, one row whatever their number."""

    pk = models.CompositePrimaryKey("project", "trace_id")
    trace_id = models.CharField(max_length=128)
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=SpanStatus.choices)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    # First and last `started_at` of its spans: the partitions they lie in.
    first_span_at = models.DateTimeField()
    last_span_at = models.DateTimeField()
    span_count = models.IntegerField(default=0)
    error_count = models.IntegerField(default=0)
    running_count = models.IntegerField(default=0)
    call_count = models.IntegerField(default=0)
    unpriced_calls = models.IntegerField(default=0)
    cost_usd = usd_field(max_digits=26, default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    providers = ArrayField(models.CharField(max_length=64), default=list)
    model_names = ArrayField(models.CharField(max_length=200), default=list)
    agent = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=64, blank=True)
    release = models.CharField(max_length=200, blank=True)
    user_id = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    tags = ArrayField(models.CharField(max_length=200), default=list)
    metadata = models.JSONField(default=dict)
    # First words of the input, encrypted like payloads.
    preview = models.BinaryField(default=b"")
    # Up to 24 steps as [offset_ms, duration_ms, kind]: the row's fingerprint.
    strip = StripField(default=list)
    # The earliest span without a parent; its name, status and facts win whatever order spans arrive in.
    root_span_id = models.CharField(max_length=128, blank=True)
    root_started_at = models.DateTimeField(null=True)
    root_status = models.CharField(max_length=10, blank=True)
    # Raised by one in each transaction that changes the trace (under its row lock): gap-free, so live pages can resync.
    seq = models.BigIntegerField(default=0)
    # pg_current_xact_id() of the insert: "new since my snapshot" without trusting clocks.
    created_xid = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [
            # What volume, totals and common filters read comes from the index alone; nothing in it can grow large.
            models.Index(
                fields=["project", "-started_at", "-trace_id"],
                include=[
                    "status",
                    "name",
                    "environment",
                    "cost_usd",
                    "duration_ms",
                    "unpriced_calls",
                    "error_count",
                ],
                name="traces_trace_recent",
            ),
            models.Index(
                F("project"),
                (F("input_tokens") + F("output_tokens")).desc(),
                F("trace_id").desc(),
                name="traces_trace_tokens",
            ),
            models.Index(fields=["project", "-span_count", "-trace_id"], name="traces_trace_steps"),
            models.Index(fields=["project", "-cost_usd", "-trace_id"], name="traces_trace_cost"),
            models.Index(
                fields=["project", "-duration_ms", "-trace_id"], name="traces_trace_duration"
            ),
            models.Index(fields=["project", "-created_at"], name="traces_trace_created"),
            # What the search worker has not read yet.
            models.Index(fields=["project", "updated_at"], name="traces_trace_updated"),
            models.Index(
                fields=["project", "session_id"],
                name="traces_trace_session",
                condition=~Q(session_id=""),
            ),
            models.Index(
                fields=["project", "user_id"], name="traces_trace_user", condition=~Q(user_id="")
            ),
            GinIndex(fields=["tags"], name="traces_trace_tags"),
        ]

    def __str__(self) -> str:
        return self.trace_id

    @property
    def is_unpriced(self) -> bool:
        """Some calls have no price and no other one cost anything: the cost is unknown, not $0."""
        return self.unpriced_calls > 0 and not self.cost_usd

    @property
    def known_cost_usd(self) -> Decimal | None:
        """What programs are told: None while the cost is unknown."""
        return None if self.is_unpriced else self.cost_usd

    @property
    def has_root(self) -> bool:
        return bool(self.root_span_id)


class Span(TenantModel):
    """One step. Partitioned by day of `started_at`, which is fixed when the step is first seen.

    Its key is not enforced by an index: whoever writes holds the trace's lock and has looked (traces.ingest.batch).
    """

    pk = models.CompositePrimaryKey("project", "trace_id", "span_id", "started_at")
    trace_id = models.CharField(max_length=128)
    span_id = models.CharField(max_length=128)
    started_at = models.DateTimeField()
    parent_span_id = models.CharField(max_length=128, blank=True)
    name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=12, choices=SpanKind.choices)
    status = models.CharField(max_length=10, choices=SpanStatus.choices)
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    first_token_ms = models.FloatField(null=True)
    provider = models.CharField(max_length=64, blank=True)
    request_model = models.CharField(max_length=200, blank=True)
    response_model = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=64, blank=True)
    response_id = models.CharField(max_length=200, blank=True)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cache_read_input_tokens = CountField(default=0)
    cache_write_input_tokens = CountField(default=0)
    reasoning_output_tokens = CountField(default=0)
    cost_usd = usd_field(null=True)
    price_status = models.CharField(max_length=10, choices=PriceStatus.choices, blank=True)
    # Whether this step has a cost record, whether a step below it is a call that counts tokens (traces.ingest.leaf),
    # and whether another step of the same provider response carries its cost (traces.ingest.twins).
    has_cost_record = models.BooleanField(default=False)
    has_cost_below = models.BooleanField(default=False)
    is_twin = models.BooleanField(default=False)
    is_cache_hit = models.BooleanField(default=False)
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.CharField(max_length=2000, blank=True)
    finish_reason = models.CharField(max_length=40, blank=True)
    dialect = models.CharField(max_length=30, blank=True)
    flags = ListField(models.CharField(max_length=40), default=list)
    # The trace's seq when this step last changed, and when it took its place in the tree: a page that has the place
    # needs nothing of the steps below.
    seq = models.BigIntegerField(default=0)
    placed_seq = models.BigIntegerField(default=0)
    received_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["project", "trace_id", "parent_span_id"], name="traces_span_parent"
            ),
            # A step by its key (traces.step_keys): a fifth of the size of an index over its texts.
            models.Index(
                ProjectHash(F("project"), TextHash(F("trace_id"), ResponseHash(F("span_id")))),
                name="traces_span_key",
            ),
            # The same of a provider's response (traces.ingest.twins).
            models.Index(
                ProjectHash(F("project"), ResponseHash("response_id")),
                name="traces_span_response_key",
                condition=~Q(response_id=""),
            ),
            # Error types beside the list; only failed steps are in it.
            models.Index(
                fields=["project", "error_type", "trace_id"],
                name="traces_span_error",
                condition=~Q(error_type=""),
            ),
        ]

    def __str__(self) -> str:
        return self.span_id


class SpanPayload(TenantModel):
    """Input, output, attributes and events of one step, or of several of one trace that arrived together
    (traces.contents): traces.payloads says how they are packed and sealed.

    Read only when a person opens a step. Partitioned like Span. Its key is not enforced by an index: it is written
    together with its span, whose key is, under the trace's lock. One index by trace, a tenth of the size, finds it.
    """

    pk = models.CompositePrimaryKey("project", "trace_id", "span_id", "started_at")
    trace_id = models.CharField(max_length=128)
    span_id = models.CharField(max_length=128)
    started_at = models.DateTimeField()
    data = models.BinaryField()
    size = models.IntegerField(default=0)  # bytes before compression
    # A mark for each step in it; NULL: only the one that it is named after.
    steps = ArrayField(models.IntegerField(), null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "trace_id"], name="traces_payload_trace")]

    def __str__(self) -> str:
        return self.span_id
