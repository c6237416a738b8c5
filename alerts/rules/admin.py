"""Rules and where they stand for operators: to look at. They are changed on their pages, so that incidents close and
the audit trail says who."""

from django.contrib import admin

from alerts.models import Alert, AlertChannel, AlertState
from core.admin import ReadOnlyAdmin


class StateInline(admin.TabularInline):
    """Where the rule stands about each thing."""

    model = AlertState
    extra = 0
    can_delete = False
    fields = ("subject", "key", "status", "level", "value", "sample", "period", "since", "evaluated_at")  # fmt: skip
    readonly_fields = fields
    ordering = ("subject", "key")

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


class ChannelInline(admin.TabularInline):
    """Whom it tells."""

    model = AlertChannel
    extra = 0
    can_delete = False
    fields = ("channel", "is_escalation")
    readonly_fields = fields

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Rules of all organisations."""

    list_display = ("name", "organization", "project", "kind", "is_enabled", "muted_until", "updated_at")  # fmt: skip
    list_filter = ("kind", "is_enabled")
    list_select_related = ("organization", "project")
    search_fields = ("name", "organization__name", "organization__slug")
    inlines = (ChannelInline, StateInline)
    ordering = ("-updated_at",)
