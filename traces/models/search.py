"""What search and the lists beside it read: derived by a worker, never written by the doors (owner: find)."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from pgvector.django import HalfVectorField, HnswIndex

from costs.models import TenantModel, usd_field

# Of the offline default (traces.search.lexical). Indexes for other sizes are made by the re-embed job.
LEXICAL_DIMENSIONS = 512


class SearchState(models.Model):
    """How far a project's traces have been read for search, sessions, users and errors. One row per project."""

    project = models.OneToOneField(
        "projects.Project", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    # Every trace whose `updated_at` is at or before this has been read (a late commit is found again by its seq).
    read_until = models.DateTimeField()
    # Whether inputs and outputs were indexed, and by which capture mode: another mode means a rebuild.
    capture = models.CharField(max_length=10, blank=True)
    # The job that reads everything again, while there is one.
    job_id = models.UUIDField(null=True)
    # Why the embeddings endpoint could not be used, until it can.
    embedding_error = models.TextField(blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.project_id} until {self.read_until}"


class SearchDocument(TenantModel):
    """The words of one trace. `body` holds inputs and outputs only where the project stores them searchable."""

    pk = models.CompositePrimaryKey("project", "trace_id")
    trace_id = models.CharField(max_length=128)
    # The trace's seq when it was read: a greater one means there is news.
    seq = models.BigIntegerField()
    started_at = models.DateTimeField()
    # What it was counted under: when they change, both sides are counted again.
    session_id = models.CharField(max_length=200, blank=True)
    user_id = models.CharField(max_length=200, blank=True)
    # Made by traces.search.words; a lexeme of the project is in each, so that one index serves every tenant.
    words = SearchVectorField()
    body = models.TextField(blank=True)
    has_content = models.BooleanField(default=False)
    is_cut = models.BooleanField(default=False)
    # The last user turn and the output, for meaning; empty when there is no content.
    gist = models.TextField(blank=True)
    # Which model's vector is up to date; empty: none yet.
    embedded_with = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-started_at"], name="traces_document_time"),
            GinIndex(fields=["words"], name="traces_document_words"),
            models.Index(
                fields=["project", "embedded_with"],
                name="traces_document_gist",
                condition=~Q(gist=""),
            ),
        ]

    def __str__(self) -> str:
        return self.trace_id


class TraceEmbedding(TenantModel):
    """Where a trace lies among the meanings of its model."""

    pk = models.CompositePrimaryKey("project", "trace_id")
    trace_id = models.CharField(max_length=128)
    model = models.CharField(max_length=200)
    dimensions = models.IntegerField()
    vector = HalfVectorField()

    class Meta:
        indexes = [
            HnswIndex(
                OpClass(
                    Cast("vector", HalfVectorField(dimensions=LEXICAL_DIMENSIONS)),
                    name="halfvec_cosine_ops",
                ),
                name="traces_embedding_near_512",
                m=16,
                ef_construction=64,
                condition=Q(dimensions=LEXICAL_DIMENSIONS),
            )
        ]

    def __str__(self) -> str:
        return f"{self.trace_id} by {self.model}"


class Activity(TenantModel):
    """The traces of one session or user added up, recomputed whole whenever one of them changes."""

    traces = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    running = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    cost_usd = usd_field(max_digits=26, default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    # input + output, to sort by.
    tokens = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    environments = ArrayField(models.CharField(max_length=64), default=list)
    computed_at = models.DateTimeField()
    # Large ones are counted again once a minute at most; until then there is news they do not have.
    is_stale = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def is_unpriced(self) -> bool:
        """Some calls have no price and no other one cost anything: the cost is unknown, not $0."""
        return self.unpriced_calls > 0 and not self.cost_usd


class SessionRow(Activity):
    """One conversation."""

    pk = models.CompositePrimaryKey("project", "session_id")
    session_id = models.CharField(max_length=200)
    user_ids = ArrayField(models.CharField(max_length=200), default=list)
    # From the first start to the last end.
    duration_ms = models.FloatField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-last_at", "-session_id"], name="traces_session_last"),
            models.Index(
                fields=["project", "-cost_usd", "-session_id"], name="traces_session_cost"
            ),
            models.Index(fields=["project", "-traces", "-session_id"], name="traces_session_turns"),
        ]

    def __str__(self) -> str:
        return self.session_id


class UserRow(Activity):
    """One user of the project's product (not of LLMLab)."""

    pk = models.CompositePrimaryKey("project", "user_id")
    user_id = models.CharField(max_length=200)
    sessions = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-last_at", "-user_id"], name="traces_user_last"),
            models.Index(fields=["project", "-cost_usd", "-user_id"], name="traces_user_cost"),
            models.Index(fields=["project", "-traces", "-user_id"], name="traces_user_traces"),
        ]

    def __str__(self) -> str:
        return self.user_id
