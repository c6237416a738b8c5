"""The ledger for operators: read-only and bounded by time. A record is corrected by its source, never by hand."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats, system
from core.admin import ReadOnlyAdmin
from core.errors import DomainError
from core.ranges import parse_instant
from costs.billing import admin as billing_admin  # noqa: F401 - registers its pages
from costs.models import CostRecord, ProjectUsage
from projects.access import parse_uuid
from projects.models import Project

# Without a choice the list shows this much: a query over every partition would be slow for no one's good.
DEFAULT_DAYS = 7
MAX_PROJECTS = 50


class DayFilter(admin.SimpleListFilter):
    """Bounds every list by time, so that PostgreSQL opens only the partitions it needs."""

    title = "time"
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Last 24 hours"), ("30", "Last 30 days"), ("90", "Last 90 days")]

    def choices(self, changelist: Any) -> Any:
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": f"Last {DEFAULT_DAYS} days"} if number == 0 else choice

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CostRecord]
    ) -> QuerySet[CostRecord]:
        allowed = {key for key, _ in self.lookup_choices}
        days = int(self.value() or 0) if self.value() in allowed else DEFAULT_DAYS
        return queryset.filter(occurred_at__gte=timezone.now() - dt.timedelta(days=days))


class ProjectFilter(admin.SimpleListFilter):
    """One of the newest projects; any other by `?project=<uuid>`."""

    title = "project"
    parameter_name = "project"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Project.objects.order_by("-created_at").values_list(
            "pk", "organization__name", "name"
        )
        return [
            (str(pk), f"{organization} / {name}") for pk, organization, name in rows[:MAX_PROJECTS]
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CostRecord]
    ) -> QuerySet[CostRecord]:
        if not self.value():
            return queryset
        pk = parse_uuid(self.value() or "")
        return queryset.filter(project_id=pk) if pk else queryset.none()


class ProviderFilter(admin.AllValuesFieldListFilter):
    """The providers seen in the default time, not in every partition."""

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: Any,
        model: Any,
        model_admin: Any,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        since = timezone.now() - dt.timedelta(days=DEFAULT_DAYS)
        seen = CostRecord.objects.filter(occurred_at__gte=since).order_by("provider")
        self.lookup_choices = seen.values_list("provider", flat=True).distinct()[:MAX_PROJECTS]


@admin.register(CostRecord)
class CostRecordAdmin(ReadOnlyAdmin):
    """Find a record by trace, record id or model."""

    list_display = [
        "opened",
        "project",
        "provider",
        "model",
        "price_status",
        "cost_usd",
        "input_tokens",
        "output_tokens",
        "is_error",
        "trace_id",
    ]
    list_display_links = None
    list_filter = [
        DayFilter,
        ProjectFilter,
        ("provider", ProviderFilter),
        "price_status",
        "is_error",
        "is_estimated",
    ]
    list_select_related = ["project"]
    search_fields = ["trace_id"]
    search_help_text = (
        "Trace id or record id (exact), or the beginning of a model; within the chosen time"
    )
    ordering = ["-occurred_at", "-id"]
    actions = None

    @admin.display(description="occurred at (UTC)", ordering="occurred_at")
    def opened(self, record: CostRecord) -> SafeString:
        """A link that carries the time, so that the record is read from its own partition."""
        href = reverse("admin:costs_costrecord_change", args=[record.pk])
        query = urlencode({"at": record.occurred_at.isoformat()})
        shown = f"{record.occurred_at:%Y-%m-%d %H:%M:%S}"
        return format_html('<a href="{}?{}">{}</a>', href, query, shown)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[CostRecord], search_term: str
    ) -> tuple[QuerySet[CostRecord], bool]:
        """Exact ids and a model's beginning: case-insensitive search could use no index."""
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        trace, _, step = term.rpartition("/")  # the id of a step's record, which stores none
        found = Q(trace_id=term) | Q(record_id=term) | Q(model__startswith=term)
        return queryset.filter(found | Q(trace_id=trace, span_id=step, record_id=None)), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> CostRecord | None:
        """By id inside the partition that `?at=` names, else inside the default time."""
        pk = parse_uuid(object_id)
        if pk is None:
            return None
        rows = CostRecord.objects.select_related("project").filter(pk=pk)
        try:
            at = parse_instant(request.GET.get("at", ""), "at")
        except DomainError:
            return rows.filter(
                occurred_at__gte=timezone.now() - dt.timedelta(days=DEFAULT_DAYS)
            ).first()
        return rows.filter(occurred_at=at).first()


def ledger_lag(now: dt.datetime) -> system.Section:
    """How fresh the ledger is. Bounded to yesterday's and today's partitions. Two queries."""
    hour = now - dt.timedelta(hours=1)
    recent = CostRecord.objects.filter(
        occurred_at__gte=now - dt.timedelta(days=1), recorded_at__gte=hour
    )
    newest = recent.aggregate(newest=Max("recorded_at"))["newest"]
    activity = ProjectUsage.objects.aggregate(newest=Max("last_activity_at"))["newest"]
    rows = [
        ("Records written in the last hour", formats.count(recent.count())),
        (
            "Newest record",
            formats.relative_time(newest, now) if newest else "none in the last hour",
        ),
        (
            "Last activity of any project",
            formats.relative_time(activity, now) if activity else "none yet",
        ),
    ]
    return system.Section("Ledger", ("", ""), rows)


system.register("Ledger", ledger_lag)
