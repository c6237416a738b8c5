"""Incidents, their timelines and maintenance windows for operators: to look at. What is to be done about them is done
on their pages, where it is told to the others."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from alerts.models import AlertEvent, EventEntry, Maintenance
from core.admin import ReadOnlyAdmin


class EventEntryInline(admin.TabularInline):
    """The timeline."""

    model = EventEntry
    fields = ("at", "kind", "actor", "words")
    readonly_fields = ("at", "kind", "actor", "words")
    ordering = ["at", "pk"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AlertEvent)
class AlertEventAdmin(ReadOnlyAdmin):
    """Incidents of every organisation, and those about this installation (without one)."""

    list_display = ["fired_at", "title", "severity", "state", "kind", "organization", "project", "told_at"]  # fmt: skip
    list_filter = ["state", "severity", "kind"]
    list_select_related = ["organization", "project"]
    search_fields = ["title", "name", "=dedup_key", "organization__slug"]
    search_help_text = "Title, rule, dedup key (exact) or the organisation's slug"
    ordering = ["-fired_at", "-id"]
    inlines = [EventEntryInline]


@admin.register(EventEntry)
class EventEntryAdmin(ReadOnlyAdmin):
    """Lines of all timelines: who did what when."""

    list_display = ["at", "kind", "event", "actor"]
    list_filter = ["kind"]
    list_select_related = ["event", "actor"]
    search_fields = ["=event__id", "event__title"]
    ordering = ["-at", "-id"]


@admin.register(Maintenance)
class MaintenanceAdmin(ReadOnlyAdmin):
    """Times in which nobody is told: the first look when somebody was not."""

    list_display = [
        "name", "organization", "project", "starts_at", "ends_at", "repeats", "time_zone", "author",
    ]  # fmt: skip
    list_filter = ["repeats"]
    list_select_related = ["organization", "project", "author"]
    search_fields = ["name", "organization__slug"]
    ordering = ["-ends_at", "-id"]
