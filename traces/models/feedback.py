"""What people and evaluators think of traces and steps: scores, their definitions, and comments (owner: feedback)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import User
from core.base_models import TimestampedModel, UUIDModel
from core.ids import uuid7
from costs.models import TenantModel
from projects.models import Project


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
    when it gives one: the same id sent again corrects the score, the same content sent again changes nothing.
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
            models.Index(
                fields=["project", "name", "-scored_at", "-score_id"], name="traces_score_named"
            ),
            models.Index(fields=["project", "-scored_at", "-score_id"], name="traces_score_newest"),
            models.Index(
                fields=["project", "session_id"],
                name="traces_score_session",
                condition=~Q(session_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.score_id}"

    @property
    def shown(self) -> str:
        """The value in words."""
        if self.data_type == ScoreType.CATEGORICAL:
            return self.text
        if self.data_type == ScoreType.BOOLEAN:
            return "yes" if self.value else "no"
        return f"{self.value:g}" if self.value is not None else "—"


def new_score_id() -> str:
    return str(uuid7())


class ScoreDefinition(UUIDModel, TimestampedModel):
    """What scores of one name must look like. Names without a definition take any value of one type."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="score_definitions")
    name = models.CharField(max_length=100)
    data_type = models.CharField(max_length=12, choices=ScoreType.choices)
    min_value = models.FloatField(null=True, blank=True)
    max_value = models.FloatField(null=True, blank=True)
    # Of categorical ones; empty: any text.
    categories = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    description = models.CharField(max_length=500, blank=True)
    # Whether these scores say that a task is solved, and which of them do (traces.outcomes): numbers from `solved_from`
    # up, these words. A yes always does.
    says_solved = models.BooleanField(default=False)
    solved_from = models.FloatField(null=True, blank=True)
    solved_words = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    # Archived ones are no longer offered to people; values are still checked.
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="traces_scoredefinition_name")
        ]

    def __str__(self) -> str:
        return self.name


class Comment(UUIDModel, TimestampedModel):
    """What a person (or a program, by its key) wrote about a trace or one step of it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    trace_id = models.CharField(max_length=128)
    span_id = models.CharField(max_length=128, blank=True)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # Who wrote it, should the account go, or the key's name.
    author_label = models.CharField(max_length=254)
    text = models.TextField()
    edited_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(fields=["project", "trace_id", "created_at"], name="traces_comment_trace")
        ]

    def __str__(self) -> str:
        return f"{self.author_label} on {self.trace_id}"


class CommentMention(UUIDModel):
    """A member named with @ in a comment; mailed once."""

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="mentions")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comment", "user"], name="traces_mention_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.comment_id}"
