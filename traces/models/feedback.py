"""What people and evaluators think of traces and steps (owner: feedback)."""

from django.db import models

from accounts.models import User
from core.ids import uuid7
from costs.models import TenantModel


class ScoreType(models.TextChoices):
    NUMERIC = "numeric", "Number"
    CATEGORICAL = "categorical", "Category"
    BOOLEAN = "boolean", "Yes or no"


class ScoreSource(models.TextChoices):
    API = "api", "API"
    ANNOTATION = "annotation", "Person"
    EVAL = "eval", "Evaluator"


class Score(TenantModel):
    """One judgement of a trace, or of one step when `span_id` is set; or of a whole session.

    Numeric and boolean scores have `value` (booleans 1 or 0), categorical ones `text`. The id comes from the client
    when it gives one, so that a repeated upload changes nothing.
    """

    pk = models.CompositePrimaryKey("project", "score_id")
    score_id = models.CharField(max_length=128)
    trace_id = models.CharField(max_length=128, blank=True)
    span_id = models.CharField(max_length=128, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=100)
    data_type = models.CharField(max_length=12, choices=ScoreType.choices)
    value = models.FloatField(null=True)
    text = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    source = models.CharField(max_length=12, choices=ScoreSource.choices)
    environment = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    scored_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "trace_id"], name="traces_score_trace"),
            models.Index(fields=["project", "name", "-scored_at"], name="traces_score_name"),
            models.Index(fields=["project", "-scored_at"], name="traces_score_time"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.score_id}"


def new_score_id() -> str:
    return str(uuid7())
