"""Shapes of exports, schedules and destinations in the API."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from core.models import Job
from costs.exporting import links
from costs.exporting.ask import SPLITS
from costs.exporting.sources import PARTITIONS
from costs.focus.columns import VERSIONS
from costs.models import ExportDestination, ExportLink, ExportSchedule
from projects.exports.job import FORMATS

KINDS = list(PARTITIONS)
FORMAT_NAMES = list(FORMATS)
FLAVOURS = ("spreadsheet", "machine")


class CostExportFileSerializer(serializers.Serializer[Any]):
    """A file of an export."""

    name = serializers.CharField()
    bytes = serializers.IntegerField()
    rows = serializers.IntegerField(allow_null=True)


class CostExportSerializer(serializers.ModelSerializer[Job]):
    """An export: `done` of `total` calls and lines are read; its files once it is done."""

    kind = serializers.CharField(source="params.kind")
    format = serializers.CharField(source="params.format")
    query = serializers.CharField(source="params.query")
    schedule = serializers.SerializerMethodField()
    rows = serializers.SerializerMethodField()
    files = serializers.SerializerMethodField()
    sent_to = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = [
            *("id", "kind", "format", "query", "title", "state", "done", "total", "message"),
            *("schedule", "rows", "files", "sent_to", "created_at", "ended_at"),
        ]
        read_only_fields = fields

    def get_schedule(self, job: Job) -> str | None:
        found: str | None = job.params.get("schedule")
        return found

    def get_rows(self, job: Job) -> int | None:
        found: int | None = job.result.get("rows")
        return found

    def get_files(self, job: Job) -> list[dict[str, Any]]:
        files = job.result.get("files", [])
        return [{name: file[name] for name in ("name", "bytes", "rows")} for file in files]

    def get_sent_to(self, job: Job) -> list[str]:
        return list(job.result.get("sent_to", []))


class CostExportPageSerializer(serializers.Serializer[Any]):
    results = CostExportSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CostExportRequestSerializer(StrictSerializer):
    """What to export. Days are UTC, both included; without them: this month."""

    kind = serializers.ChoiceField(choices=KINDS)
    format = serializers.ChoiceField(choices=FORMAT_NAMES, default="csv")
    flavour = serializers.ChoiceField(
        choices=FLAVOURS,
        required=False,
        help_text="Of CSV: spreadsheet (default) disarms formulas.",
    )
    version = serializers.ChoiceField(choices=VERSIONS, required=False, help_text="Of FOCUS.")
    start = serializers.DateField(required=False)
    end = serializers.DateField(required=False)
    split = serializers.ChoiceField(choices=[one for one in SPLITS if one], required=False)
    projects = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=200,
        help_text="Only these; records and daily.",
    )  # fmt: skip
    destination = serializers.UUIDField(required=False, allow_null=True)


class ExportLinkRequestSerializer(StrictSerializer):
    file = serializers.CharField(max_length=200, required=False, default="")
    expires_in = serializers.ChoiceField(choices=list(links.EXPIRIES), default=links.DEFAULT_EXPIRY)


class ExportLinkSerializer(serializers.ModelSerializer[ExportLink]):
    """A link; its address is in the answer that makes it only."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = ExportLink
        fields = ["id", "file_name", "expires_at", "revoked_at", "download_count", "url"]
        read_only_fields = fields

    def get_url(self, link: ExportLink) -> str | None:
        return links.address_of(link) if self.context.get("is_new") else None


class ExportDestinationSerializer(serializers.ModelSerializer[ExportDestination]):
    """A bucket, without its secret."""

    class Meta:
        model = ExportDestination
        fields = [
            *("id", "name", "endpoint_url", "region", "bucket", "prefix", "access_key_id"),
            *("status", "status_message", "checked_at"),
        ]
        read_only_fields = fields


class ExportDestinationDraftSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)
    endpoint_url = serializers.CharField(max_length=300, required=False, allow_blank=True)
    region = serializers.CharField(max_length=40, required=False, allow_blank=True)
    bucket = serializers.CharField(max_length=63)
    prefix = serializers.CharField(max_length=200, required=False, allow_blank=True)
    access_key_id = serializers.CharField(max_length=200)
    secret = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, trim_whitespace=False,
        help_text="Needed for a new one; without it a stored one stays.",
    )  # fmt: skip


class ExportScheduleSerializer(serializers.ModelSerializer[ExportSchedule]):
    """An export by the clock, and how it stands."""

    flavour = serializers.SerializerMethodField()

    class Meta:
        model = ExportSchedule
        fields = [
            *("id", "name", "kind", "format", "flavour", "version", "frequency", "hour", "weekday"),
            *("month_day", "time_zone", "destination", "first_day", "is_incremental", "is_paused"),
            *("next_run_at", "last_run_at", "last_success_at", "last_message", "failures_in_a_row"),
        ]
        read_only_fields = fields

    def get_flavour(self, schedule: ExportSchedule) -> str:
        return "machine" if schedule.is_machine else "spreadsheet"


class ExportScheduleDraftSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=KINDS)
    format = serializers.ChoiceField(choices=FORMAT_NAMES)
    flavour = serializers.ChoiceField(choices=FLAVOURS, required=False)
    version = serializers.ChoiceField(choices=VERSIONS, required=False)
    first_day = serializers.DateField()
    frequency = serializers.ChoiceField(choices=ExportSchedule.Frequency.choices, default="daily")
    hour = serializers.IntegerField(min_value=0, max_value=23, default=3)
    weekday = serializers.IntegerField(min_value=0, max_value=6, default=0)
    month_day = serializers.IntegerField(min_value=1, max_value=28, default=1)
    time_zone = serializers.CharField(max_length=64, default="UTC")
    is_incremental = serializers.BooleanField(default=True)
    destination = serializers.UUIDField(required=False, allow_null=True)


class ExportSchedulePauseSerializer(StrictSerializer):
    is_paused = serializers.BooleanField()
