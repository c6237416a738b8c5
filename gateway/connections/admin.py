"""Connections and keys of all organisations for operators: how they stand, and a switch. What is sealed is not read."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.selectors import person
from core.admin import ReadOnlyAdmin
from gateway.connections.providers import address_of
from gateway.connections.services import switch_connection
from gateway.models import Connection, ConnectionKey


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    """Read only, but for switching a connection on or off when it harms the installation."""

    list_display = [
        "name", "organization", "project", "kind", "address", "is_enabled", "check_state", "checked_at",
    ]  # fmt: skip
    list_filter = ["is_enabled", "check_state", "kind"]
    list_select_related = ["organization", "project"]
    search_fields = ["name", "base_url", "organization__name", "organization__slug"]
    ordering = ["-created_at", "-id"]
    actions = ["switch_on", "switch_off"]
    fields = readonly_fields = (
        "organization", "project", "name", "kind", "address", "settings", "model_names", "is_enabled",
        "check_started_at", "checked_at", "check_state", "check_message", "check_model", "check_ms", "created_by",
        "created_at", "updated_at",
    )  # fmt: skip

    @admin.display(description="address")
    def address(self, connection: Connection) -> str:
        return address_of(connection)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        """Operators who may change connections, though only through these actions."""
        return request.user.has_perm("gateway.change_connection")

    @admin.action(description="Switch on", permissions=["switch"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Let calls go to the selected connections again; the organisations' audit logs say who did it."""
        self._switch(request, queryset, is_enabled=True)

    @admin.action(description="Switch off", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Send no calls to the selected connections."""
        self._switch(request, queryset, is_enabled=False)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[Connection], *, is_enabled: bool
    ) -> None:
        for one in queryset:
            switch_connection(
                connection=one, is_enabled=is_enabled, actor=person(request), now=timezone.now()
            )
        messages.info(request, "Switched on." if is_enabled else "Switched off.")


@admin.register(ConnectionKey)
class ConnectionKeyAdmin(ReadOnlyAdmin):
    """Which keys there are and how they stand, never what they are."""

    list_display = [
        "hint", "connection", "organization", "state", "weight", "retires_at", "checked_at", "last_error",
    ]  # fmt: skip
    list_filter = ["state"]
    list_select_related = ["connection__organization"]
    search_fields = ["hint", "connection__name", "=connection__organization__slug"]
    ordering = ["-created_at", "-id"]
    fields = readonly_fields = (
        "connection", "hint", "state", "weight", "retires_at", "checked_at", "last_error", "created_by", "created_at",
        "updated_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConnectionKey]:
        return super().get_queryset(request).defer("sealed")

    @admin.display(description="organisation")
    def organization(self, key: ConnectionKey) -> Any:
        return key.connection.organization
