"""Shapes of routes in the API. What their rules may say is checked by gateway.routing.drafts."""

from collections.abc import Mapping
from typing import Any, get_args

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from costs.serializers import AmountField
from gateway.routing.dry_run import Outcome
from gateway.routing.lists import Row
from gateway.routing.words import CHOICES
from gateway.structs import PRIORITIES, Dialect, FallbackReason

_REASONS = get_args(FallbackReason)


def _words(help_text: str = "") -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(), required=False, help_text=help_text)


class MatchSerializer(serializers.Serializer[Any]):
    """For which calls something counts: all that is given must hold."""

    tags = _words("Any of them")
    users = _words()
    agents = _words()
    environments = _words()
    prompt_contains = serializers.CharField(required=False)
    min_input_tokens = serializers.IntegerField(required=False, allow_null=True)
    max_input_tokens = serializers.IntegerField(required=False, allow_null=True)
    hours = serializers.ListField(
        child=serializers.IntegerField(), required=False, allow_null=True,
        help_text="From, until, in UTC; [22, 6] spans midnight",
    )  # fmt: skip
    weekdays = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="1 Monday to 7 Sunday"
    )
    is_stream = serializers.BooleanField(required=False, allow_null=True)
    has_tools = serializers.BooleanField(required=False, allow_null=True)
    has_images = serializers.BooleanField(required=False, allow_null=True)


class RouteTargetSerializer(serializers.Serializer[Any]):
    """A place a route may send calls to."""

    connection = serializers.CharField(help_text="Id of a connection the project may use")
    model = serializers.CharField(required=False, help_text="Empty: the one the client asked for")
    weight = serializers.IntegerField(required=False, help_text="0 to 1000, of its step's targets")
    step = serializers.IntegerField(required=False, help_text="0 first; higher ones when it failed")
    when = MatchSerializer(required=False)
    is_canary = serializers.BooleanField(required=False)


class RetrySerializer(serializers.Serializer[Any]):
    """How often one target is asked."""

    tries = serializers.IntegerField(required=False, help_text="1 to 10")
    first_wait_s = serializers.FloatField(required=False)
    longest_wait_s = serializers.FloatField(required=False)


class CacheRuleSerializer(serializers.Serializer[Any]):
    """Whether and how answers are kept."""

    exact = serializers.BooleanField(required=False)
    semantic = serializers.BooleanField(required=False)
    ttl_s = serializers.IntegerField(required=False)
    namespace = serializers.CharField(required=False)
    per_user = serializers.BooleanField(required=False)
    threshold = serializers.FloatField(required=False)
    shadow_share = serializers.FloatField(required=False)
    wrong_limit = serializers.FloatField(required=False)


class CompactRuleSerializer(serializers.Serializer[Any]):
    """Prompt compaction."""

    whitespace = serializers.BooleanField(required=False)
    repeats = serializers.BooleanField(required=False)
    tool_results_after = serializers.IntegerField(required=False, allow_null=True)
    history_tokens = serializers.IntegerField(required=False, allow_null=True)


class RouteRulesSerializer(serializers.Serializer[Any]):
    """What a route says; what is left out has its default."""

    targets = RouteTargetSerializer(many=True, help_text="1 to 20")
    choose = serializers.ChoiceField(choices=list(CHOICES), required=False)
    sticky = serializers.CharField(required=False, help_text="user or session; empty: neither")
    retry = RetrySerializer(required=False)
    fallback_on = serializers.ListField(
        child=serializers.ChoiceField(choices=_REASONS), required=False
    )
    timeout_s = serializers.FloatField(required=False)
    first_token_s = serializers.FloatField(required=False, allow_null=True)
    hedge_after_s = serializers.FloatField(required=False, allow_null=True)
    cache = CacheRuleSerializer(required=False, allow_null=True, help_text="null: the project's")
    guards = serializers.ListField(child=serializers.DictField(), required=False)
    compact = CompactRuleSerializer(required=False, allow_null=True)
    on_client_gone = serializers.CharField(required=False, help_text="drain, cancel or empty")


@extend_schema_serializer(component_name="GatewayRouteDraft")
class RouteDraftSerializer(serializers.Serializer[Any]):
    """A route to save."""

    name = serializers.CharField(max_length=120, help_text="What clients send as model; * the rest")
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)
    rules = RouteRulesSerializer()
    is_enabled = serializers.BooleanField(required=False, help_text="True by default")


class RouteTrafficSerializer(serializers.Serializer[Any]):
    """Calls of the last 24 hours."""

    calls = serializers.IntegerField()
    failed = serializers.IntegerField()
    fallbacks = serializers.IntegerField()
    cost_usd = AmountField(allow_null=True)


@extend_schema_serializer(component_name="GatewayRoute")
class RouteSerializer(serializers.Serializer[Any]):
    """A route."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    note = serializers.CharField(allow_blank=True)
    is_enabled = serializers.BooleanField()
    version = serializers.IntegerField()
    rules = RouteRulesSerializer()
    last_24h = RouteTrafficSerializer()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(component_name="GatewayRouteList")
class RouteListSerializer(serializers.Serializer[Any]):
    """All routes of a project: there are at most 200."""

    results = RouteSerializer(many=True)


@extend_schema_serializer(component_name="GatewayDryRunRequest")
class TrialSerializer(serializers.Serializer[Any]):
    """A request that is not sent."""

    model = serializers.CharField(max_length=200)
    text = serializers.CharField(required=False, max_length=200_000, trim_whitespace=False)
    system = serializers.CharField(required=False, max_length=200_000, trim_whitespace=False)
    dialect = serializers.ChoiceField(
        choices=[one.value for one in Dialect], required=False, help_text="openai.chat by default"
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=50
    )
    user = serializers.CharField(required=False, max_length=200)
    session = serializers.CharField(required=False, max_length=200)
    agent = serializers.CharField(required=False, max_length=200)
    environment = serializers.CharField(required=False, max_length=200)
    is_stream = serializers.BooleanField(required=False)
    has_tools = serializers.BooleanField(required=False)
    has_images = serializers.BooleanField(required=False)
    max_output_tokens = serializers.IntegerField(required=False, min_value=1, max_value=10_000_000)
    at = serializers.DateTimeField(required=False, help_text="Now by default")
    draw = serializers.FloatField(
        required=False, min_value=0, max_value=0.999999,
        help_text="All that is chance, from 0 to below 1; drawn by default",
    )  # fmt: skip


class DryRunTargetSerializer(serializers.Serializer[Any]):
    """A target of the chain, in the order they would be asked."""

    connection = serializers.CharField()
    model = serializers.CharField()
    provider = serializers.CharField()
    step = serializers.IntegerField()
    is_canary = serializers.BooleanField()
    because = serializers.CharField(allow_blank=True)
    cost_usd = AmountField(allow_null=True, help_text="Estimated; null: its price is not known")
    standing = serializers.CharField(allow_blank=True)


class DryRunErrorSerializer(serializers.Serializer[Any]):
    """Why the request would be refused."""

    status = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


@extend_schema_serializer(component_name="GatewayDryRun")
class OutcomeSerializer(serializers.Serializer[Any]):
    """Where the request would go, or why it would be refused."""

    route = serializers.CharField(allow_blank=True, help_text="Empty: directly")
    because = serializers.CharField(allow_blank=True)
    targets = DryRunTargetSerializer(many=True)
    skipped = serializers.ListField(child=serializers.CharField())
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField(help_text="For which costs are estimated")
    error = DryRunErrorSerializer(allow_null=True)


@extend_schema_serializer(component_name="GatewaySettings")
class SettingsSerializer(serializers.Serializer[Any]):
    """What holds for all calls of a project."""

    on_client_gone = serializers.ChoiceField(choices=["drain", "cancel"], required=False)
    default_priority = serializers.ChoiceField(choices=PRIORITIES, required=False)
    key_priorities = serializers.DictField(
        child=serializers.ChoiceField(choices=PRIORITIES), required=False
    )
    deadline_s = serializers.FloatField(required=False)
    queue_limit = serializers.IntegerField(required=False)
    cache = CacheRuleSerializer(required=False)
    guards = serializers.ListField(child=serializers.DictField(), required=False)
    compact = CompactRuleSerializer(required=False)
    cache_entries = serializers.IntegerField(required=False)
    job_max_attempts = serializers.IntegerField(required=False)
    job_keep_s = serializers.IntegerField(required=False)
    direct = serializers.BooleanField(required=False)


def row_json(row: Row) -> Mapping[str, Any]:
    """A route as the API shows it."""
    route = row.route
    shown = {name: getattr(route, name) for name in ("name", "note", "is_enabled", "version", "rules")}  # fmt: skip
    return {
        "id": str(route.pk),
        **shown,
        "last_24h": RouteTrafficSerializer(row.traffic).data,
        "created_at": route.created_at,
        "updated_at": route.updated_at,
    }


def outcome_json(outcome: Outcome) -> Mapping[str, Any]:
    """A dry run as the API shows it."""
    error = None
    if outcome.error:
        error = {"status": outcome.status, "code": outcome.code, "message": outcome.error}
    return {
        "route": outcome.route,
        "because": outcome.because,
        "targets": DryRunTargetSerializer(outcome.chain, many=True).data,
        "skipped": list(outcome.skipped),
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "error": error,
    }
