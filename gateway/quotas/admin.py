"""Limits and what is set aside, of all organisations, for operators: read only, but for pausing a limit."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.selectors import person
from core.admin import ReadOnlyAdmin
from gateway.models import Limit
from gateway.quotas.services import change_limit


@admin.register(Limit)
class LimitAdmin(ReadOnlyAdmin):
    """Read only, but for pausing a limit that stands in the way."""

    list_display = [
        "name", "organization", "project", "scope", "value", "metric", "window", "amount", "is_hard", "is_paused",
    ]  # fmt: skip
    list_filter = ["is_paused", "is_hard", "metric", "scope"]
    list_select_related = ["organization", "project"]
    search_fields = ["name", "value", "organization__name", "organization__slug"]
    ordering = ["-created_at", "-id"]
    actions = ["pause", "resume"]
    fields = readonly_fields = (
        "organization", "project", "name", "scope", "value", "metric", "window", "amount", "is_hard", "is_paused",
        "created_by", "created_at", "updated_at",
    )  # fmt: skip

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Operators who may change limits, though only through these actions."""
        return request.user.has_perm("gateway.change_limit")

    @admin.action(description="Pause", permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Limit]) -> None:
        """Hold no call to the selected limits; the organisations' audit logs say who did it."""
        self._set(request, queryset, is_paused=True)

    @admin.action(description="Resume", permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Limit]) -> None:
        """Hold calls to the selected limits again."""
        self._set(request, queryset, is_paused=False)

    def _set(self, request: HttpRequest, queryset: QuerySet[Limit], *, is_paused: bool) -> None:
        for one in queryset:
            change_limit(limit=one, is_paused=is_paused, actor=person(request), now=timezone.now())
        messages.info(request, "Paused." if is_paused else "Resumed.")
