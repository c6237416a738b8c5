"""Saved views of the trace list (owner: trace list)."""

from django.db import models
from django.db.models import Q

from accounts.models import User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class SavedView(UUIDModel, TimestampedModel):
    """A named filter state. Shared ones are seen by the whole project, the others by their author."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="saved_views")
    # Whose list it is: traces, sessions, errors …
    page = models.CharField(max_length=20, default="traces")
    author = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    # The query string of the filter state, and how the list looks: {"columns": […], "density": …}.
    query = models.TextField(blank=True)
    layout = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    # What the project's list opens with when the address names no filter.
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "page", "author", "name"], name="traces_savedview_name"
            ),
            models.UniqueConstraint(
                fields=["project", "page"],
                condition=Q(is_default=True, is_shared=True),
                name="traces_savedview_default",
            ),
        ]

    def __str__(self) -> str:
        return self.name
