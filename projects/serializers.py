"""Shapes of projects and keys in the API."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from projects.keys import OVERLAPS
from projects.models import ApiKey, ContentCapture, Project

PROJECT_STATUSES = [Project.Status.ACTIVE, Project.Status.ARCHIVED]


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project as programs see it."""

    organization = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)

    class Meta:
        model = Project
        fields = [
            "id",
            "slug",
            "name",
            "organization",
            "status",
            "content_capture",
            "masking",
            "retention_days",
            "payload_retention_days",
            "retention_max_bytes",
            "first_trace_at",
            "created_at",
        ]
        read_only_fields = fields


class ProjectCreateSerializer(StrictSerializer):
    """`organization` may be left out by someone who belongs to one only."""

    name = serializers.CharField(max_length=80)
    slug = serializers.CharField(max_length=80, required=False)
    organization = serializers.CharField(
        max_length=80, required=False, help_text="Slug of the organisation"
    )


class ProjectChangeSerializer(StrictSerializer):
    """What may change: the name, whether new data is taken, what of it is stored and for how long."""

    name = serializers.CharField(max_length=80, required=False)
    status = serializers.ChoiceField(choices=PROJECT_STATUSES, required=False)
    content_capture = serializers.ChoiceField(choices=ContentCapture.choices, required=False)
    masking = serializers.JSONField(
        required=False,
        help_text='{"builtin": ["email"], "patterns": [{"name", "pattern" (RE2), "replacement"}]}',
    )
    retention_days = serializers.IntegerField(required=False, allow_null=True)
    payload_retention_days = serializers.IntegerField(required=False, allow_null=True)
    retention_max_bytes = serializers.IntegerField(required=False, allow_null=True)


class DeletionSerializer(serializers.Serializer[Any]):
    """The background job that purges a project."""

    job = serializers.UUIDField(source="pk")
    state = serializers.CharField()


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key without its secret; the hash never leaves the database."""

    scopes = serializers.ListField(child=serializers.ChoiceField(choices=ApiKey.Scope.choices))

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "rotated_to",
        ]
        read_only_fields = fields


class NewApiKeySerializer(ApiKeySerializer):
    """The one answer that carries the key itself."""

    key = serializers.CharField(source="raw", help_text="Shown only in this answer; store it now.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields


class ApiKeyCreateSerializer(StrictSerializer):
    """Scopes are explicit: there is no default that does more than asked."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=ApiKey.Scope.choices), allow_empty=False, max_length=4
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class RotationSerializer(StrictSerializer):
    """How long the old key keeps working."""

    overlap = serializers.ChoiceField(choices=list(OVERLAPS), default="24h")
