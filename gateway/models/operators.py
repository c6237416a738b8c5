"""Tables with keys of several columns, as Django's admin can show them: the same rows under one column, read only.

The admin takes no composite keys (Django 5.2). What is sealed or only for machines is left out, so it cannot be shown.
Where the one column is not unique, rows are listed and none is opened.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization
from costs.models import usd_field
from gateway.models.batches import BatchState, Wire
from gateway.models.requests import JobState, WebhookState
from projects.models import Project


class _OfProject(models.Model):
    project = models.ForeignKey(
        Project, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )

    class Meta:
        abstract = True


class JobRow(_OfProject):
    """AsyncJob."""

    id = models.UUIDField(primary_key=True)
    state = models.CharField(max_length=9, choices=JobState.choices)
    asked_model = models.CharField(max_length=200)
    dialect = models.CharField(max_length=24)
    priority = models.PositiveSmallIntegerField()
    attempts = models.PositiveSmallIntegerField()
    max_attempts = models.PositiveSmallIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.TextField()
    owner = models.CharField(max_length=120)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    retry_of = models.UUIDField(null=True)
    webhook_url = models.CharField(max_length=500)
    webhook_state = models.CharField(max_length=9, choices=WebhookState.choices)
    webhook_attempts = models.PositiveSmallIntegerField()
    webhook_error = models.TextField()

    class Meta:
        managed = False
        db_table = "gateway_asyncjob"
        verbose_name = "job"

    def __str__(self) -> str:
        return str(self.id)


class KeptAnswerRow(_OfProject):
    """CachedResponse."""

    id = models.UUIDField(primary_key=True)
    model = models.CharField(max_length=200)
    route = models.CharField(max_length=120)
    namespace = models.CharField(max_length=120)
    prompt_version = models.CharField(max_length=200)
    dialect = models.CharField(max_length=24)
    embedded_with = models.CharField(max_length=200)
    hits = models.BigIntegerField()
    cost_usd = usd_field(null=True)
    saved_usd = usd_field()
    created_at = models.DateTimeField()
    last_hit_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "gateway_cachedresponse"
        verbose_name = "kept answer"

    def __str__(self) -> str:
        return str(self.id)


class ShadowCheckRow(_OfProject):
    """ShadowCheck."""

    id = models.UUIDField(primary_key=True)
    route = models.CharField(max_length=120)
    cached_id = models.UUIDField()
    similarity = models.FloatField()
    threshold = models.FloatField()
    is_right = models.BooleanField(null=True)
    agreement = models.FloatField(null=True)
    cost_usd = usd_field(null=True)
    checked_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "gateway_shadowcheck"
        verbose_name = "shadow check"

    def __str__(self) -> str:
        return str(self.id)


class ThresholdRow(models.Model):
    """CacheThreshold; of one project there may be several."""

    project = models.OneToOneField(
        Project,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        primary_key=True,
    )
    route = models.CharField(max_length=120)
    threshold = models.FloatField()
    before = models.FloatField()
    checked = models.PositiveIntegerField()
    wrong = models.PositiveIntegerField()
    tightened_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "gateway_cachethreshold"
        verbose_name = "tightened threshold"

    def __str__(self) -> str:
        return self.route or "direct"


class CounterRow(models.Model):
    """LimitCounter; of one key there is a row per window."""

    key = models.CharField(max_length=280, primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    window_start = models.DateTimeField()
    used = models.DecimalField(max_digits=28, decimal_places=12)
    reserved = models.DecimalField(max_digits=28, decimal_places=12)

    class Meta:
        managed = False
        db_table = "gateway_limitcounter"
        verbose_name = "limit counter"

    def __str__(self) -> str:
        return self.key


class ReservationRow(_OfProject):
    """Reservation."""

    call_id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    lines = models.JSONField()
    owner = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "gateway_reservation"
        verbose_name = "reservation"

    def __str__(self) -> str:
        return str(self.call_id)


class BatchRow(_OfProject):
    """Batch."""

    id = models.UUIDField(primary_key=True)
    wire = models.CharField(max_length=9, choices=Wire.choices)
    provider_id = models.CharField(max_length=200)
    connection_id = models.UUIDField()
    state = models.CharField(max_length=10, choices=BatchState.choices)
    status = models.CharField(max_length=40)
    dialect = models.CharField(max_length=24)
    provider = models.CharField(max_length=60)
    model_names = ArrayField(models.CharField(max_length=200))
    total = models.PositiveIntegerField()
    succeeded = models.PositiveIntegerField(null=True)
    failed = models.PositiveIntegerField(null=True)
    most_usd = usd_field(null=True)
    cost_usd = usd_field(null=True)
    error = models.TextField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField(null=True)
    poll_at = models.DateTimeField(null=True)
    polls_failed = models.PositiveIntegerField()

    class Meta:
        managed = False
        db_table = "gateway_batch"
        verbose_name = "batch"
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.provider_id or str(self.id)


class FileRow(_OfProject):
    """ProviderFile."""

    id = models.UUIDField(primary_key=True)
    wire = models.CharField(max_length=9, choices=Wire.choices)
    provider_id = models.CharField(max_length=200)
    connection_id = models.UUIDField()
    purpose = models.CharField(max_length=60)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "gateway_providerfile"
        verbose_name = "provider's file"

    def __str__(self) -> str:
        return self.provider_id


class SumRow(_OfProject):
    """CallSum; at one time there is a row per project, length and model."""

    at = models.DateTimeField(primary_key=True)
    step = models.PositiveSmallIntegerField()
    model = models.CharField(max_length=200)
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    tried = models.BigIntegerField()
    fell_back = models.BigIntegerField()
    limited = models.BigIntegerField()
    exact = models.BigIntegerField()
    semantic = models.BigIntegerField()
    missed = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "gateway_callsum"
        verbose_name = "sum of calls"
        verbose_name_plural = "sums of calls"

    def __str__(self) -> str:
        return f"{self.at} {self.model}"
