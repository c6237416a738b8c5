"""Shapes of forecasts and anomalies in the API. Amounts are decimal strings; unknown is null."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.serializers import StrictSerializer
from costs.forecasting.words import scope_of, title_of
from costs.models import SpendAnomaly, SpendForecast
from costs.serializers import AmountField


class ForecastDaySerializer(serializers.Serializer[Any]):
    """One day to come."""

    day = serializers.DateField()
    usd = AmountField()
    low = AmountField()
    high = AmountField()


class CauseWhereSerializer(serializers.Serializer[Any]):
    """What the calls of a cause agree in; what is absent may be anything."""

    project = serializers.UUIDField(required=False)
    model = serializers.CharField(required=False)
    feature = serializers.CharField(required=False)
    user = serializers.CharField(required=False)
    prompt_version = serializers.CharField(required=False)


class AnomalyCauseSerializer(serializers.Serializer[Any]):
    """What moved a day. The dollars of all causes add up to `excess_usd`; an empty `where` is everything else."""

    where = CauseWhereSerializer()
    is_other_users = serializers.BooleanField(required=False)
    usd = AmountField()
    actual_usd = AmountField()
    expected_usd = AmountField()
    calls = serializers.IntegerField()
    expected_calls = serializers.IntegerField()


class _SeriesSerializer(serializers.ModelSerializer[Any]):
    """What a series is of."""

    name = serializers.SerializerMethodField()
    scope = serializers.SerializerMethodField()
    project = serializers.UUIDField(source="project_id", allow_null=True)

    def get_name(self, row: Any) -> str:
        return title_of(row)

    def get_scope(self, row: Any) -> str:
        return scope_of(row)


class SpendForecastSerializer(_SeriesSerializer):
    """A month's end. `expected_usd` is null with a `reason` where the history does not allow one."""

    actual_usd = AmountField()
    expected_usd = AmountField(allow_null=True)
    low_usd = AmountField(allow_null=True, help_text="80 % of month's ends lie between this …")
    high_usd = AmountField(allow_null=True, help_text="… and this")
    error_share = AmountField(allow_null=True, help_text="Mean error in back-test; 0.08 is ±8 %")
    naive_error_share = AmountField(allow_null=True, help_text="The same of last week's rule")
    path = serializers.SerializerMethodField()

    class Meta:
        model = SpendForecast
        fields = (
            "id", "kind", "value", "name", "scope", "project", "month", "made_at", "from_day", "actual_usd",
            "expected_usd", "low_usd", "high_usd", "error_share", "naive_error_share", "tested", "covered", "method",
            "reason", "path",
        )  # fmt: skip

    @extend_schema_field(ForecastDaySerializer(many=True))
    def get_path(self, row: SpendForecast) -> list[dict[str, Any]]:
        path: list[dict[str, Any]] = row.path
        return path


class SpendAnomalySerializer(_SeriesSerializer):
    """A strange day and what moved it."""

    actual_usd = AmountField()
    expected_usd = AmountField()
    low_usd = AmountField()
    high_usd = AmountField()
    excess_usd = AmountField()
    causes = serializers.SerializerMethodField()

    class Meta:
        model = SpendAnomaly
        fields = (
            "id", "kind", "value", "name", "scope", "project", "day", "is_running", "actual_usd", "expected_usd",
            "low_usd", "high_usd", "excess_usd", "score", "state", "note", "marked_at", "found_at", "causes",
        )  # fmt: skip

    @extend_schema_field(AnomalyCauseSerializer(many=True))
    def get_causes(self, row: SpendAnomaly) -> list[dict[str, Any]]:
        causes: list[dict[str, Any]] = row.causes
        return causes


class ForecastPageSerializer(serializers.Serializer[Any]):
    """Some forecasts, and the address of the next ones."""

    results = SpendForecastSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class AnomalyPageSerializer(serializers.Serializer[Any]):
    """Some anomalies, and the address of the next ones."""

    results = SpendAnomalySerializer(many=True)
    next = serializers.URLField(allow_null=True)


class ExpectationSerializer(StrictSerializer):
    """Why a day was meant to be as it was."""

    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
