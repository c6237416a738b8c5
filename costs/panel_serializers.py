"""Shapes of the answers behind the dashboard's panels."""

from typing import Any

from rest_framework import serializers

from costs.serializers import RangeSerializer, SumsSerializer


class SeriesGroupSerializer(serializers.Serializer[Any]):
    """One line of a chart: a figure for each bin, in order."""

    group = serializers.CharField(
        allow_null=True, help_text="Null for the whole and for `is_other`"
    )
    is_other = serializers.BooleanField(help_text="All groups that are not listed, together")
    values = serializers.ListField(
        child=serializers.JSONField(allow_null=True),
        help_text="Counts are numbers; amounts and shares decimal strings; null is unknown, never 0",
    )


class SeriesBeforeSerializer(serializers.Serializer[Any]):
    """The period compared with, on bins of its own."""

    range = RangeSerializer()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))


class SeriesSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs/series`."""

    project = serializers.CharField()
    currency = serializers.CharField()
    measure = serializers.CharField()
    bin = serializers.CharField()
    group_by = serializers.CharField(allow_null=True)
    range = RangeSerializer()
    generated_at = serializers.DateTimeField()
    bins = RangeSerializer(many=True)
    group_count = serializers.IntegerField(help_text="How many groups there are in all")
    results = SeriesGroupSerializer(many=True)
    previous = SeriesBeforeSerializer(allow_null=True)


class BreakdownLineSerializer(SumsSerializer):
    """One group. Percentiles are null when the grouping or a filter names more than the four row fields."""

    group = serializers.CharField(help_text="Empty for calls without a value")
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    previous = SumsSerializer(allow_null=True, help_text="Null unless `compare` is given")


class BreakdownSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs/breakdown`."""

    project = serializers.CharField()
    currency = serializers.CharField()
    group_by = serializers.CharField()
    range = RangeSerializer()
    previous_range = RangeSerializer(allow_null=True)
    generated_at = serializers.DateTimeField()
    group_count = serializers.IntegerField()
    results = BreakdownLineSerializer(many=True)


class PercentilesLineSerializer(serializers.Serializer[Any]):
    """Times in ms; at most 9.6 % from the exact order statistic."""

    calls = serializers.IntegerField(help_text="Calls that said this time")
    p50_ms = serializers.FloatField(allow_null=True)
    p90_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class PercentilesBinSerializer(PercentilesLineSerializer):
    """One bin with calls."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class PercentilesSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs/percentiles`."""

    project = serializers.CharField()
    metric = serializers.CharField()
    bin = serializers.CharField()
    range = RangeSerializer()
    generated_at = serializers.DateTimeField()
    total = PercentilesLineSerializer()
    results = PercentilesBinSerializer(many=True)
