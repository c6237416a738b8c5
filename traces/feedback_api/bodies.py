"""The bodies of the smaller feedback endpoints, strict: an unknown field is an error."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from traces.feedback.shares import DEFAULT_EXPIRY, EXPIRIES
from traces.models import ScoreType


class RulesBody(StrictSerializer):
    """What a score definition says besides its name and type."""

    min_value = serializers.FloatField(required=False, allow_null=True, default=None)
    max_value = serializers.FloatField(required=False, allow_null=True, default=None)
    categories = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    says_solved = serializers.BooleanField(required=False, default=False)
    solved_from = serializers.FloatField(required=False, allow_null=True, default=None)
    solved_words = serializers.ListField(
        child=serializers.CharField(), required=False, default=list
    )


class DefinitionBody(RulesBody):
    """A new definition."""

    name = serializers.CharField()
    type = serializers.ChoiceField(ScoreType.choices)


class DefinitionChangeBody(StrictSerializer):
    """What may change: the rules, and whether people are offered it. What is not named stays."""

    min_value = serializers.FloatField(required=False, allow_null=True)
    max_value = serializers.FloatField(required=False, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField(), required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    says_solved = serializers.BooleanField(required=False)
    solved_from = serializers.FloatField(required=False, allow_null=True)
    solved_words = serializers.ListField(child=serializers.CharField(), required=False)
    archived = serializers.BooleanField(required=False)


class DefinitionShape(serializers.Serializer[Any]):
    """A definition as it is stored."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    type = serializers.ChoiceField(ScoreType.choices)
    min_value = serializers.FloatField(allow_null=True)
    max_value = serializers.FloatField(allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField()
    says_solved = serializers.BooleanField()
    solved_from = serializers.FloatField(allow_null=True)
    solved_words = serializers.ListField(child=serializers.CharField())
    archived = serializers.BooleanField()


class CommentBody(StrictSerializer):
    """A new comment."""

    text = serializers.CharField(trim_whitespace=False)
    span_id = serializers.CharField(required=False, allow_blank=True, default="")


class CommentChangeBody(StrictSerializer):
    """A new text (by its author), or whether it is dealt with."""

    text = serializers.CharField(required=False, trim_whitespace=False)
    resolved = serializers.BooleanField(required=False)


class CommentShape(serializers.Serializer[Any]):
    """A comment as it is stored."""

    id = serializers.UUIDField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True)
    author = serializers.CharField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)


class ShareBody(StrictSerializer):
    """A new public link."""

    trace_id = serializers.CharField()
    with_payloads = serializers.BooleanField(required=False, default=False)
    expires_in = serializers.ChoiceField(list(EXPIRIES), required=False, default=DEFAULT_EXPIRY)


class ShareShape(serializers.Serializer[Any]):
    """A public link; its address is in the answer that makes it, and nowhere else."""

    id = serializers.UUIDField()
    trace_id = serializers.CharField()
    with_payloads = serializers.BooleanField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    views = serializers.IntegerField()


class NewShareShape(ShareShape):
    """The link with its address, this once."""

    url = serializers.CharField()


class CollectionBody(StrictSerializer):
    """A new collection."""

    name = serializers.CharField()
    description = serializers.CharField(required=False, allow_blank=True, default="")


class CollectionShape(serializers.Serializer[Any]):
    """A collection."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    items = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ItemsBody(StrictSerializer):
    """Traces to add, or one step with `span_id`."""

    trace_ids = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=1_000)
    span_id = serializers.CharField(required=False, allow_blank=True, default="")


class AddedShape(serializers.Serializer[Any]):
    """What adding did."""

    added = serializers.IntegerField()
    known = serializers.IntegerField()
    missing = serializers.ListField(child=serializers.CharField())


class ItemShape(serializers.Serializer[Any]):
    """An item of a collection."""

    id = serializers.UUIDField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True)
    expected = serializers.CharField()
    note = serializers.CharField()
    created_at = serializers.DateTimeField()


class ItemChangeBody(StrictSerializer):
    """What the answer should have been."""

    expected = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    note = serializers.CharField(required=False, allow_blank=True)
