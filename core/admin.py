"""Follow-up work and long jobs for operators, and the system page beside them."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone

from core import outbox, system
from core.models import Job, OutboxItem


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows to look at."""

    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StateFilter(admin.SimpleListFilter):
    """Open work, given-up work, done work."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("dead", "Given up"), ("done", "Done")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OutboxItem]
    ) -> QuerySet[OutboxItem]:
        if self.value() == "open":
            return queryset.filter(done_at=None, dead_at=None)
        if self.value() == "dead":
            return queryset.filter(dead_at__isnull=False)
        return queryset.filter(done_at__isnull=False) if self.value() == "done" else queryset


@admin.register(OutboxItem)
class OutboxItemAdmin(ReadOnlyAdmin):
    """What must still happen, what was given up after three tries, and a fresh start for that."""

    list_display = [
        "created_at",
        "topic",
        "key",
        "state",
        "attempts",
        "available_at",
        "locked_until",
        "short_error",
    ]
    list_filter = [StateFilter, "topic"]
    search_fields = ["=key", "^topic"]
    search_help_text = "Key (exact) or beginning of a topic"
    ordering = ["-created_at", "-id"]
    actions = ["replay"]

    @admin.display(description="state")
    def state(self, item: OutboxItem) -> str:
        if item.done_at:
            return "Done"
        return "Given up" if item.dead_at else "Open"

    @admin.display(description="error")
    def short_error(self, item: OutboxItem) -> str:
        return item.error[:120]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Operators who may change outbox rows, though only through this action."""
        return request.user.has_perm("core.change_outboxitem")

    @admin.action(description="Replay: try given-up work again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> None:
        """Give the selected dead rows a fresh start; open and done rows are left alone."""
        count = outbox.replay(list(queryset.values_list("pk", flat=True)), now=timezone.now())
        if count:
            self.message_user(
                request, f"{count} item{'s' if count != 1 else ''} will be tried again."
            )
        else:
            self.message_user(request, "None of the selected items was given up.", messages.WARNING)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Long jobs and how far they are."""

    list_display = ["created_at", "kind", "title", "state", "progress", "updated_at", "message"]
    list_filter = ["state", "kind"]
    search_fields = ["title", "^kind"]
    ordering = ["-created_at", "-id"]

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        return f"{job.done:,} of {job.total:,} ({job.percent}%)" if job.total else f"{job.done:,}"


def system_page(request: HttpRequest) -> HttpResponse:
    """The state of every moving part; a part that does not answer says so. Staff only (admin_view)."""
    context = {
        **admin.site.each_context(request),
        "title": "System",
        "sections": system.sections(now=timezone.now()),
        "now": timezone.now(),
    }
    return TemplateResponse(request, "admin/system.html", context)


def _get_urls() -> list[URLResolver | URLPattern]:
    own: list[URLResolver | URLPattern] = [
        path("system/", admin.site.admin_view(system_page), name="system")
    ]
    return own + _site_urls()


_site_urls = admin.site.get_urls
admin.site.get_urls = _get_urls  # type: ignore[method-assign]
