"""Named lists of traces and steps that people gather to test against (owner: feedback)."""

from django.db import models

from accounts.models import User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class Collection(UUIDModel, TimestampedModel):
    """A named list of examples taken from real traffic."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="traces_collection_name")
        ]

    def __str__(self) -> str:
        return self.name


class CollectionItem(UUIDModel, TimestampedModel):
    """One trace, or one step of it, in a collection; its input and output are read from the trace when exported."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")
    trace_id = models.CharField(max_length=128)
    span_id = models.CharField(max_length=128, blank=True)
    # What the answer should have been, in the words of whoever knows.
    expected = models.TextField(blank=True)
    note = models.CharField(max_length=500, blank=True)
    added_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "trace_id", "span_id"], name="traces_collectionitem_once"
            )
        ]
        indexes = [models.Index(fields=["project", "trace_id"], name="traces_collectionitem_trace")]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.span_id}"
