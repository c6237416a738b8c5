"""The recorded ledger: one row per call, hourly sums per dimension, and each project's usage version."""

from typing import Any

from django.db import models
from django.db.models import F
from pgvector.django import VectorField

from core.ids import uuid7
from core.sparse import CountField, ListField
from costs.breakdown import BreakdownField
from costs.histogram import BUCKETS


def usd_field(*, max_digits: int = 20, **options: Any) -> "models.DecimalField[Any, Any]":
    """An exact amount in US dollars: twelve decimals, never a float."""
    return models.DecimalField(max_digits=max_digits, decimal_places=12, **options)


class PriceStatus(models.TextChoices):
    """How a record came by its amount. Unknown is never zero."""

    PRICED = "priced", "Priced"
    PARTIAL = "partial", "Partly priced"
    UNPRICED = "unpriced", "Unpriced"
    FREE = "free", "Free"
    CLIENT = "client", "Given by the caller"
    BILLED = "billed", "Confirmed by the bill"


class TenantModel(models.Model):
    """A growing table: `project` leads every key and every query; no constraint, so it can shard."""

    project = models.ForeignKey(
        "projects.Project",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )

    class Meta:
        abstract = True


class RecordHash(models.Func):
    """PostgreSQL's 64-bit hash of a project and the id of a record in it."""

    template = "uuid_hash_extended(%(expressions)s, 0))"
    arg_joiner = ", hashtextextended("
    arity = 2
    output_field = models.BigIntegerField()


class RecordKey(models.Func):
    """The id of a record: of a step's record, which stores none, `<trace_id>/<span_id>`."""

    arity = 3
    output_field = models.TextField()

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        own, trace, span = (compiler.compile(one)[0] for one in self.source_expressions)
        return f"coalesce({own}, {trace} || '/' || {span})", []


class CostRecord(TenantModel):
    """One call's cost. Partitioned by day of `occurred_at`; real key (project_id, RecordKey, occurred_at).

    The key is enforced, and a record found, by the hash of project and id: a third of the size of their texts.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # NULL: a step's, whose id is `<trace_id>/<span_id>` (RecordKey). Rows from before hold that text.
    record_id = models.CharField(max_length=300, null=True)  # noqa: DJ001
    occurred_at = models.DateTimeField()
    trace_id = models.CharField(max_length=128, blank=True)
    span_id = models.CharField(max_length=128, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    request_model = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=64, blank=True)
    service_tier = models.CharField(max_length=32, blank=True)
    environment = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    user_id = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    feature = models.CharField(max_length=200, blank=True)
    prompt_version = models.CharField(max_length=200, blank=True)
    tags = ListField(models.CharField(max_length=200), default=list)
    api_key_id = models.UUIDField(null=True)
    is_error = models.BooleanField(default=False)
    error_type = models.CharField(max_length=200, blank=True)
    latency_ms = models.FloatField(null=True)
    first_token_ms = models.FloatField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cache_read_input_tokens = CountField(default=0)
    cache_write_input_tokens = CountField(default=0)
    reasoning_output_tokens = CountField(default=0)
    price_status = models.CharField(max_length=10, choices=PriceStatus.choices)
    unpriced_reason = models.CharField(max_length=40, blank=True)
    cost_usd = usd_field(null=True)
    client_cost_usd = usd_field(null=True)
    # [{"class", "quantity", "unit_price_usd", "cost_usd"}] as decimal strings, frozen at record time.
    breakdown = BreakdownField(default=list)
    price_source = models.CharField(max_length=80, blank=True)
    matched_model = models.CharField(max_length=200, blank=True)
    usage_convention = models.CharField(max_length=10, blank=True)
    is_estimated = models.BooleanField(default=False)
    flags = ListField(models.CharField(max_length=40), default=list)
    # What a price depends on besides the columns (costs.services.facts), so that the past can be priced again; NULL
    # when there is nothing.
    usage_extra = models.JSONField(null=True)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                RecordHash(F("project"), RecordKey(F("record_id"), F("trace_id"), F("span_id"))),
                F("occurred_at"),
                name="costs_record_key",
            )
        ]
        indexes = [
            models.Index(fields=["project", "occurred_at"], name="costs_record_time"),
            models.Index(fields=["project", "trace_id"], name="costs_record_trace"),
            # Not `cost_usd`: a column of a condition would make every new price a new index entry.
            models.Index(
                fields=["project", "provider", "model", "-occurred_at"],
                name="costs_record_unpriced",
                condition=models.Q(price_status__in=["unpriced", "partial"]),
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """`RecordKey` of a row that was read."""
        return self.record_id or f"{self.trace_id}/{self.span_id}"


class Dimension(models.TextChoices):
    """What `CostAggregate.value` holds. ALL rows hold every call once; the others repeat calls by their value."""

    ALL = "all"
    USER = "user"
    TAG = "tag"
    API_KEY = "api_key"
    PROMPT_VERSION = "prompt_version"
    FEATURE = "feature"
    ERROR_TYPE = "error_type"
    SERVICE_TIER = "service_tier"
    OPERATION = "operation"


# What CostDailyAggregate adds to the names of dimensions it also keeps by provider, model, environment and agent.
BY_FIELDS = "+"


class AggregateModel(TenantModel):
    """Sums of calls per dimension. `latency_counts` and `first_token_counts` (ALL rows only) count calls per bucket of
    costs.histogram; as vectors PostgreSQL adds them at the speed of C."""

    hour = models.DateTimeField()
    dimension = models.CharField(max_length=20, choices=Dimension.choices)
    value = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    calls = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    estimated_calls = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_input_tokens = models.BigIntegerField(default=0)
    cache_write_input_tokens = models.BigIntegerField(default=0)
    reasoning_output_tokens = models.BigIntegerField(default=0)
    cost_usd = usd_field(max_digits=26, default=0)
    latency_calls = models.BigIntegerField(default=0)
    latency_ms = models.FloatField(default=0)
    latency_counts = VectorField(dimensions=BUCKETS, null=True)
    first_token_calls = models.BigIntegerField(default=0)
    first_token_ms = models.FloatField(default=0)
    first_token_counts = VectorField(dimensions=BUCKETS, null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.hour} {self.dimension} {self.value}"


class CostAggregate(AggregateModel):
    """Hourly sums. Provider, model, environment and agent are part of every row, so each dimension can be filtered by
    them; `dimension`/`value` add one more."""

    pk = models.CompositePrimaryKey(
        "project", "hour", "dimension", "value", "provider", "model", "environment", "agent"
    )

    class Meta:
        indexes = [
            models.Index(fields=["project", "dimension", "hour"], name="costs_aggregate_read")
        ]


class CostDailyAggregate(AggregateModel):
    """The same sums per UTC day (`hour` is its midnight), written with the hourly ones: a month is 30 of these.

    Rows of ALL are kept by provider, model, environment and agent. The other dimensions are kept twice: with those
    four empty, so that thousands of users stay one row each per day, and by all four as `dimension` + BY_FIELDS
    (`user+`), for questions that filter or group by them as well.
    """

    pk = models.CompositePrimaryKey(
        "project", "dimension", "hour", "value", "provider", "model", "environment", "agent"
    )


class CostDay(models.Model):
    """How often the records of one UTC day of a project changed: what was worked out from them names the version it
    saw, and holds while the version does. Raised by every transaction that writes, removes or re-prices records of the
    day."""

    pk = models.CompositePrimaryKey("project", "day")
    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    day = models.DateField()
    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.day} v{self.version}"


class ProjectUsage(models.Model):
    """One row per project, raised in each ledger transaction: the version keys cached cost queries (never stale), the
    time is the project's last activity."""

    project = models.OneToOneField(
        "projects.Project", on_delete=models.CASCADE, primary_key=True, related_name="usage"
    )
    version = models.BigIntegerField(default=0)
    last_activity_at = models.DateTimeField(null=True)
    # The organisation's PriceBook.version, kept here so that a writer sees in its last statement, without another
    # query, whether the rules it priced with still hold (costs.price_rules).
    rules_version = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.project_id} v{self.version}"
