"""Growing tables of the gateway for operators: read only, by time, never what is sealed."""

import datetime as dt
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import ReadOnlyAdmin
from core.errors import DomainError
from core.ranges import parse_instant
from gateway.models import CircuitOpening, ConfigVersion, JobWebhook, LLMRequest
from gateway.models import operators as rows
from projects.access import parse_uuid

DEFAULT_DAYS = 1


class TimeFilter(admin.SimpleListFilter):
    """Bounds a list by time: its admin's `time_field`."""

    title = "time"
    parameter_name = "days"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.field = model_admin.time_field

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("7", "Last 7 days"), ("30", "Last 30 days"), ("90", "Last 90 days")]

    def choices(self, changelist: Any) -> Any:
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "Last 24 hours"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = {key for key, _ in self.lookup_choices}
        days = int(self.value() or 0) if self.value() in known else DEFAULT_DAYS
        since = timezone.now() - dt.timedelta(days=days)
        return queryset.filter(**{f"{self.field}__gte": since})


class _ByTime(ReadOnlyAdmin):
    """Newest first, of a time, with the project; search by id or the project."""

    time_field = "created_at"
    list_select_related: ClassVar[tuple[str, ...]] = ("project",)
    search_help_text = "Id (exact), or part of the project's name"
    search_fields: ClassVar[tuple[str, ...]] = ("project__name",)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return (f"-{self.time_field}",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An id is looked for as one: other columns could not hold it."""
        wanted = parse_uuid(search_term.strip())
        if wanted is not None:
            return queryset.filter(pk=wanted), False
        return super().get_search_results(request, queryset, search_term.replace("\x00", ""))


@admin.register(LLMRequest)
class RequestAdmin(_ByTime):
    """Calls that ended."""

    time_field = "accepted_at"
    list_display = (
        "opened", "project", "state", "status_code", "error", "asked_model", "model", "route", "provider", "cache",
        "attempts", "queue_ms", "total_ms", "cost_usd",
    )  # fmt: skip
    list_display_links = None
    list_filter = (TimeFilter, "state", "priority", "cache", "is_stream")
    actions = None

    @admin.display(description="accepted at (UTC)", ordering="accepted_at")
    def opened(self, row: LLMRequest) -> SafeString:
        """A link that carries the time, so that the call is read from its own partition."""
        href = reverse("admin:gateway_llmrequest_change", args=[row.pk])
        query = urlencode({"at": row.accepted_at.isoformat()})
        return format_html('<a href="{}?{}">{}</a>', href, query, f"{row.accepted_at:%Y-%m-%d %H:%M:%S}")  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Exact ids, and the beginning of a model: what more would read all of the time."""
        term = search_term.strip().replace("\x00", "")
        wanted = parse_uuid(term)
        if wanted is not None:
            return queryset.filter(pk=wanted), False
        found = Q(trace_id=term) | Q(asked_model__startswith=term) | Q(model__startswith=term)
        return (queryset.filter(found) if term else queryset), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> LLMRequest | None:
        """By id inside the partition that `?at=` names, else of the default time."""
        pk = parse_uuid(object_id)
        if pk is None:
            return None
        found = LLMRequest.objects.select_related("project").filter(pk=pk)
        try:
            at = parse_instant(request.GET.get("at", ""), "at")
        except DomainError:
            since = timezone.now() - dt.timedelta(days=DEFAULT_DAYS)
            return found.filter(accepted_at__gte=since).first()
        return found.filter(accepted_at=at).first()


@admin.register(rows.JobRow)
class JobAdmin(_ByTime):
    """Requests answered later."""

    list_display = (
        "id", "project", "state", "asked_model", "attempts", "owner", "lease_until", "webhook_state", "created_at",
        "deadline_at",
    )  # fmt: skip
    list_filter = (TimeFilter, "state", "webhook_state", "priority")


@admin.register(rows.KeptAnswerRow)
class KeptAnswerAdmin(_ByTime):
    """What the cache keeps, not what it says."""

    list_display = (
        "id", "project", "model", "route", "namespace", "hits", "saved_usd", "created_at", "expires_at",
    )  # fmt: skip
    list_filter = (TimeFilter,)


@admin.register(rows.ShadowCheckRow)
class ShadowCheckAdmin(_ByTime):
    """Hits by meaning that were asked again."""

    time_field = "checked_at"
    list_display = ("id", "project", "route", "is_right", "similarity", "threshold", "checked_at")
    list_filter = (TimeFilter, "is_right")


@admin.register(rows.BatchRow)
class BatchAdmin(_ByTime):
    """Batches at providers."""

    list_display = (
        "id", "project", "provider_id", "state", "status", "total", "succeeded", "failed", "cost_usd", "created_at",
        "poll_at",
    )  # fmt: skip
    list_filter = (TimeFilter, "state", "wire")


@admin.register(rows.FileRow)
class FileAdmin(_ByTime):
    """Files at providers."""

    list_display = ("id", "project", "provider_id", "wire", "purpose", "created_at")
    list_filter = (TimeFilter, "wire", "purpose")


@admin.register(rows.ReservationRow)
class ReservationAdmin(_ByTime):
    """What is set aside for calls under way; old ones were left by somebody who died."""

    time_field = "made_at"
    list_display = ("call_id", "organization", "project", "owner", "made_at", "expires_at")
    list_filter = (TimeFilter,)
    list_select_related = ("organization", "project")


class _Listed(_ByTime):
    """Every column is in the list: the one that the admin takes for the key is not unique."""

    list_display_links = None
    actions = None
    search_help_text = "Part of the project's name"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By words; ids as keys have them, without dashes."""
        wanted = parse_uuid(search_term.strip())
        term = wanted.hex if wanted else search_term.replace("\x00", "")
        return ReadOnlyAdmin.get_search_results(self, request, queryset, term)


@admin.register(rows.CounterRow)
class CounterAdmin(_Listed):
    """How far limits are, and what is set aside of hard budgets."""

    time_field = "window_start"
    list_display = ("key", "organization", "window_start", "used", "reserved")
    list_filter = (TimeFilter,)
    list_select_related = ("organization",)
    search_fields = ("^key", "organization__name")
    search_help_text = (
        "Beginning of a limit's id without dashes, or part of the organisation's name"
    )


@admin.register(rows.ThresholdRow)
class ThresholdAdmin(_Listed):
    """Thresholds that tightened themselves; people lift them on the cache's page."""

    time_field = "tightened_at"
    list_display = ("project", "route", "threshold", "before", "checked", "wrong", "tightened_at")


@admin.register(rows.SumRow)
class SumAdmin(_Listed):
    """Calls per minute and hour."""

    time_field = "at"
    list_display = (
        "at", "step", "project", "model", "calls", "failed", "tried", "fell_back", "limited", "exact", "semantic",
        "missed",
    )  # fmt: skip
    list_filter = (TimeFilter, "step")


@admin.register(CircuitOpening)
class OpeningAdmin(_ByTime):
    """When circuits were open."""

    time_field = "opened_at"
    list_display = ("connection", "model", "opened_at", "closed_at", "why")
    list_filter = (TimeFilter, ("closed_at", admin.EmptyFieldListFilter))
    list_select_related = ("connection",)
    search_fields = ("model", "connection__name")
    search_help_text = "Part of the model's or the connection's name"


@admin.register(JobWebhook)
class WebhookAdmin(ReadOnlyAdmin):
    """Where projects are told that their jobs ended. The address and its secret are sealed."""

    list_display = ("project", "place", "hosts", "updated_by", "updated_at")
    list_select_related = ("project", "updated_by")
    search_fields = ("project__name", "project__slug")
    ordering = ("-updated_at",)
    fields = readonly_fields = ("project", "place", "hosts", "updated_by", "created_at", "updated_at")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobWebhook]:
        return super().get_queryset(request).defer("sealed")


@admin.register(ConfigVersion)
class ConfigVersionAdmin(ReadOnlyAdmin):
    """By what processes know that an organisation changed something of its gateway."""

    list_display = ("organization", "version")
    list_select_related = ("organization",)
    search_fields = ("organization__name", "organization__slug")
    ordering = ("-version",)
