"""What scores, comments, links and collections look like to programs, for OpenAPI and for output."""

from typing import Any

from rest_framework import serializers

from core.formats import instant
from traces.models import (
    Collection,
    CollectionItem,
    Comment,
    Score,
    ScoreDefinition,
    ScoreSource,
    ScoreType,
    ShareLink,
)


def score_data(score: Score) -> dict[str, Any]:
    """A score as a JSON document; `value` is a number, true/false or a category."""
    value: Any = score.text if score.data_type == ScoreType.CATEGORICAL else score.value
    if score.data_type == ScoreType.BOOLEAN:
        value = bool(score.value)
    return {
        "id": score.score_id,
        "name": score.name,
        "type": score.data_type,
        "value": value,
        "trace_id": score.trace_id or None,
        "span_id": score.span_id or None,
        "session": score.session_id or None,
        "reason": score.reason,
        "source": score.source,
        "environment": score.environment,
        "metadata": score.metadata,
        "author": score.author.email if score.author else None,
        "scored_at": instant(score.scored_at),
        "created_at": instant(score.created_at),
        "updated_at": instant(score.updated_at),
    }


class ScoreUploadSerializer(serializers.Serializer[Any]):
    """One score to store; or an object with the one field `scores`, a list of them."""

    id = serializers.CharField(required=False, help_text="Yours; made when missing.")
    name = serializers.CharField()
    value = serializers.JSONField(help_text="A number, true/false (1/0), or a category.")
    type = serializers.ChoiceField(ScoreType.choices, required=False)
    trace_id = serializers.CharField(required=False)
    span_id = serializers.CharField(required=False, help_text="A step of that trace.")
    session = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)
    source = serializers.ChoiceField(ScoreSource.choices, required=False)  # type: ignore[assignment]
    environment = serializers.CharField(required=False)
    metadata = serializers.DictField(required=False)
    scored_at = serializers.DateTimeField(required=False, help_text="Default: now.")


class ScoreSerializer(serializers.Serializer[Any]):
    """A score as it is stored."""

    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(ScoreType.choices)
    value = serializers.JSONField(help_text="A number, true or false, or a category.")
    trace_id = serializers.CharField(allow_null=True)
    span_id = serializers.CharField(allow_null=True)
    session = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    source = serializers.ChoiceField(ScoreSource.choices)  # type: ignore[assignment]
    environment = serializers.CharField()
    metadata = serializers.DictField()
    author = serializers.CharField(allow_null=True)
    scored_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StoredScoreSerializer(ScoreSerializer):
    """A score, and whether it was new, corrected or known."""

    result = serializers.ChoiceField(["stored", "updated", "duplicate"])


class ScorePageSerializer(serializers.Serializer[Any]):
    """A page of scores."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ScoreSerializer(many=True)


class ScoreOutcomeSerializer(serializers.Serializer[Any]):
    """What became of one score of a batch; the last three only of rejected ones."""

    index = serializers.IntegerField()
    id = serializers.CharField()
    status = serializers.IntegerField()
    result = serializers.ChoiceField(["stored", "updated", "duplicate", "rejected"])
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)
    fields = serializers.ListField(child=serializers.CharField(), required=False)  # type: ignore[assignment]


class ScoreBatchResultSerializer(serializers.Serializer[Any]):
    """One result per score, in the order of the upload."""

    results = ScoreOutcomeSerializer(many=True)


def comment_data(comment: Comment) -> dict[str, Any]:
    """A comment as a JSON document."""
    return {
        "id": str(comment.pk),
        "trace_id": comment.trace_id,
        "span_id": comment.span_id or None,
        "author": comment.author_label,
        "text": comment.text,
        "created_at": instant(comment.created_at),
        "edited_at": instant(comment.edited_at) if comment.edited_at else None,
        "resolved_at": instant(comment.resolved_at) if comment.resolved_at else None,
    }


def definition_data(definition: ScoreDefinition) -> dict[str, Any]:
    """A score definition as a JSON document."""
    return {
        "id": str(definition.pk),
        "name": definition.name,
        "type": definition.data_type,
        "min_value": definition.min_value,
        "max_value": definition.max_value,
        "categories": definition.categories,
        "description": definition.description,
        "says_solved": definition.says_solved,
        "solved_from": definition.solved_from,
        "solved_words": definition.solved_words,
        "archived": definition.archived_at is not None,
    }


def link_data(link: ShareLink) -> dict[str, Any]:
    """A public link as a JSON document; its address is shown once, when it is made."""
    return {
        "id": str(link.pk),
        "trace_id": link.trace_id,
        "with_payloads": link.with_payloads,
        "created_by": link.created_by.email if link.created_by else None,
        "created_at": instant(link.created_at),
        "expires_at": instant(link.expires_at) if link.expires_at else None,
        "revoked_at": instant(link.revoked_at) if link.revoked_at else None,
        "views": link.view_count,
    }


def collection_data(collection: Collection, item_count: int) -> dict[str, Any]:
    """A collection as a JSON document."""
    return {
        "id": str(collection.pk),
        "name": collection.name,
        "description": collection.description,
        "items": item_count,
        "created_at": instant(collection.created_at),
    }


def item_data(item: CollectionItem) -> dict[str, Any]:
    """An item of a collection as a JSON document."""
    return {
        "id": str(item.pk),
        "trace_id": item.trace_id,
        "span_id": item.span_id or None,
        "expected": item.expected,
        "note": item.note,
        "created_at": instant(item.created_at),
    }
