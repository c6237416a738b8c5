"""Routes and settings for operators: to look at. They are changed on their pages, so that the audit trail says who."""

from django.contrib import admin

from core.admin import ReadOnlyAdmin
from gateway.models import GatewaySettings, Route


@admin.register(Route)
class RouteAdmin(ReadOnlyAdmin):
    """Routes of all projects."""

    list_display = ("name", "project", "is_enabled", "version", "updated_by", "updated_at")
    list_filter = ("is_enabled",)
    list_select_related = ("project", "updated_by")
    search_fields = ("name", "note", "project__name", "project__slug")
    ordering = ("-updated_at",)


@admin.register(GatewaySettings)
class GatewaySettingsAdmin(ReadOnlyAdmin):
    """What holds for all calls of a project."""

    list_display = ("project", "updated_by", "updated_at")
    list_select_related = ("project", "updated_by")
    search_fields = ("project__name", "project__slug")
    ordering = ("-updated_at",)
