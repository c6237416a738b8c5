"""Every call that came to the gateway, and the jobs among them that answer later."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import User
from core.base_models import TimestampedModel
from costs.models import TenantModel, usd_field
from projects.models import Project


class RequestState(models.TextChoices):
    """How a call ended."""

    DONE = "done", "Answered"
    CACHED = "cached", "Answered from the cache"
    FAILED = "failed", "Failed"
    REFUSED = "refused", "Refused"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Too late"
    LOST = "lost", "Its worker died"


class LLMRequest(TenantModel):
    """One call, written once, when it ended. Partitioned by day of `accepted_at`; real key (project, id, that)."""

    id = models.UUIDField(primary_key=True)
    accepted_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=RequestState.choices)
    dialect = models.CharField(max_length=24)
    asked_model = models.CharField(max_length=200)
    route = models.CharField(max_length=120, blank=True)
    # Why it went there, in words.
    because = models.CharField(max_length=500, blank=True)
    connection_id = models.UUIDField(null=True)
    provider = models.CharField(max_length=60, blank=True)
    # Who answered; and the model it was sent to, as the route has it.
    model = models.CharField(max_length=200, blank=True)
    target_model = models.CharField(max_length=200, blank=True, db_default="")
    is_stream = models.BooleanField(default=False)
    priority = models.PositiveSmallIntegerField(default=1)
    status_code = models.PositiveSmallIntegerField()
    # An error's code as the answer named it; empty when it went well.
    error = models.CharField(max_length=120, blank=True)
    cache = models.CharField(max_length=10, blank=True)  # exact | semantic | miss | bypass | ""
    attempts = models.PositiveSmallIntegerField(default=0)
    fallbacks = models.PositiveSmallIntegerField(default=0)
    # Every try, where there was more than one or one went wrong (gateway.recording.tries).
    tries = models.JSONField(null=True)
    flags = ArrayField(models.CharField(max_length=60), default=list)
    # Where its time went, in milliseconds.
    queue_ms = models.FloatField(null=True)
    provider_ms = models.FloatField(null=True)
    first_token_ms = models.FloatField(null=True)
    total_ms = models.FloatField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cost_usd = usd_field(null=True)
    saved_usd = usd_field(null=True)
    api_key_id = models.UUIDField(null=True)
    user_id = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=128)
    span_id = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-accepted_at"], name="gateway_request_recent"),
            models.Index(
                fields=["project", "-accepted_at"],
                name="gateway_request_tries",
                condition=models.Q(tries__isnull=False),
            ),
            # What people called by hand (gateway.playground); programs' calls are not in it.
            models.Index(
                fields=["project", "user_id", "-accepted_at"],
                name="gateway_request_people",
                condition=models.Q(api_key_id=None),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Too late"


class WebhookState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    DEAD = "dead", "Given up"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)


class AsyncJob(TenantModel, TimestampedModel):
    """A call asked for with `Prefer: respond-async`: stored before its 202, run by a worker, kept until it expires."""

    pk = models.CompositePrimaryKey("project", "id")
    id = models.UUIDField()
    api_key_id = models.UUIDField()
    idempotency_key = models.CharField(max_length=255, blank=True)
    # SHA-256 of the request: the same idempotency key with another body is refused.
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=9, choices=JobState.choices, default=JobState.QUEUED)
    priority = models.PositiveSmallIntegerField(default=1)
    dialect = models.CharField(max_length=24)
    asked_model = models.CharField(max_length=200)
    # gateway.structs.Call and the answer, sealed with the organisation's key.
    sealed_call = models.BinaryField()
    sealed_answer = models.BinaryField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    available_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    # Who runs it, and until when that is believed without a sign of life.
    owner = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    # Of the product whose call it is: erased with them.
    user_id = models.CharField(max_length=200, blank=True, default="", db_default="")
    # The request that somebody asked to be made again.
    retry_of = models.UUIDField(null=True)
    # Where its end is told: what people recognise the address by; the address itself is sealed, none is the project's.
    webhook_url = models.CharField(max_length=500, blank=True)
    sealed_webhook = models.BinaryField(null=True)
    # Empty: nobody is told.
    webhook_state = models.CharField(max_length=9, choices=WebhookState.choices, blank=True)
    webhook_attempts = models.PositiveSmallIntegerField(default=0)
    webhook_error = models.TextField(blank=True)
    # Of one that is sent: until when nobody else sends it.
    webhook_next_at = models.DateTimeField(null=True)
    webhook_since = models.DateTimeField(null=True)
    # [{"at", "status", "ms", "error"}], the last twenty tries.
    webhook_tries = models.JSONField(default=list, db_default=[])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "idempotency_key"],
                name="gateway_job_idempotency",
                condition=~models.Q(idempotency_key=""),
            )
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="gateway_job_recent"),
            models.Index(
                fields=["available_at"],
                name="gateway_job_due",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["expires_at"], name="gateway_job_expiry"),
            models.Index(
                fields=["lease_until"],
                name="gateway_job_lease",
                condition=models.Q(state="running"),
            ),
            models.Index(
                fields=["webhook_next_at"],
                name="gateway_job_telling",
                condition=models.Q(webhook_state__in=["waiting", "sending"])
                & models.Q(state__in=["done", "failed", "cancelled", "expired"]),
            ),
            models.Index(
                fields=["project", "retry_of"],
                name="gateway_job_again",
                condition=models.Q(retry_of__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class JobWebhook(TimestampedModel):
    """Where a project's jobs may tell that they ended, and the secret that signs it. Without a row nobody is told."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    # Hosts a call may name in X-LLMLab-Webhook; *.example.com stands for all below.
    hosts = ArrayField(models.CharField(max_length=253), default=list, blank=True)
    # core.crypto.seal of JSON: url (the default address, maybe none), and what core.webhooks names.
    sealed = models.BinaryField(editable=False)
    # What people recognise the default address by; empty: there is none.
    place = models.CharField(max_length=60, blank=True)
    updated_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return str(self.project_id)
