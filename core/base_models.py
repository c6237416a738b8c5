"""Abstract bases under every domain's models."""

from django.db import models

from core.ids import uuid7


class UUIDModel(models.Model):
    """A time-ordered, unguessable primary key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True


class TimestampedModel(models.Model):
    """When a row was made and last saved."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
