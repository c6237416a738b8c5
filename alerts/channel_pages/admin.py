"""Channels and messages of all organisations for operators: how they stand, and a fresh start. Secrets are never shown;
what a message says is the organisation's own and stays there, too."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.selectors import person
from alerts.channel_pages import services
from alerts.channel_pages.selectors import state_of
from alerts.delivering import cancel, replay
from alerts.models import Channel, Delivery
from core.admin import ReadOnlyAdmin
from core.errors import DomainError


class StandsFilter(admin.SimpleListFilter):
    """Sending, failing, switched off."""

    title = "stands"
    parameter_name = "stands"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = {"failing": "Not getting through", "broken": "Switched off by an error"}
        return [*words.items(), ("off", "Switched off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> QuerySet[Channel]:
        match self.value():
            case "failing":
                return queryset.filter(is_enabled=True, failing_since__isnull=False)
            case "broken":
                return queryset.filter(is_enabled=False).exclude(disabled_reason="")
            case "off":
                return queryset.filter(is_enabled=False)
        return queryset


class ChannelSwitches:
    """Two actions of a channel's admin for who has the permission `switch` there; the organisations' audit logs say who
    did it."""

    @admin.action(description="Switch on", permissions=["switch"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        """Send to the selected channels again."""
        for channel in queryset:
            services.enable_channel(channel=channel, actor=person(request), now=timezone.now())
        messages.info(request, "Switched on.")

    @admin.action(description="Switch off", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        """Send nothing to the selected channels."""
        for channel in queryset:
            services.disable_channel(channel=channel, actor=person(request), now=timezone.now())
        messages.info(request, "Switched off.")


@admin.register(Channel)
class ChannelAdmin(ChannelSwitches, ReadOnlyAdmin):
    """Read only, but for switching a channel on or off when it harms the installation."""

    list_display = ["name", "organization", "kind", "hint", "stands", "failing_since", "last_sent_at"]  # fmt: skip
    list_filter = [StandsFilter, "kind"]
    list_select_related = ["organization"]
    search_fields = ["name", "hint", "organization__name", "organization__slug"]
    ordering = ["-created_at", "-id"]
    actions = ["switch_on", "switch_off"]
    fields = readonly_fields = (
        "organization", "name", "kind", "hint", "minimum_severity", "stands", "disabled_at", "disabled_reason",
        "failing_since", "failures", "next_send_at", "last_sent_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return super().get_queryset(request).defer("secret", "settings")

    @admin.display(description="stands")
    def stands(self, channel: Channel) -> str:
        words = {"on": "Sending", "failing": "Not getting through", "broken": "Switched off by an error"}  # fmt: skip
        return words.get(state_of(channel), "Switched off")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        """Operators who may change channels, though only through these actions."""
        return request.user.has_perm("alerts.change_channel")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Every message to a channel or person: state and tries, without what it says."""

    list_display = [
        "id", "created_at", "organization", "channel", "recipient", "action", "state", "attempts", "next_attempt_at",
        "short_error",
    ]  # fmt: skip
    list_filter = ["state", "action"]
    list_select_related = ["organization", "channel"]
    search_fields = ["=message_id", "=recipient", "=channel__name", "=organization__slug"]
    search_help_text = "Message id, e-mail address, channel's name or organisation's slug (exact)"
    ordering = ["-id"]
    actions = ["send_again", "take_back"]
    fields = readonly_fields = (
        "message_id", "organization", "channel", "recipient", "action", "dedup_key", "unique_key", "lanes", "state",
        "attempts", "created_at", "next_attempt_at", "locked_until", "first_failed_at", "ended_at", "status_code",
        "duration_ms", "error", "tries",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).defer("payload", "answer")

    @admin.display(description="error")
    def short_error(self, delivery: Delivery) -> str:
        return delivery.error[:120]

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Operators who may change messages, though only through these actions."""
        return request.user.has_perm("alerts.change_delivery")

    @admin.action(description="Send again what was given up", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """With the same ids; others are left alone."""
        self._act(request, queryset, replay, "will be sent again")

    @admin.action(description="Cancel what waits", permissions=["send"])
    def take_back(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Do not send the selected waiting messages."""
        self._act(request, queryset, cancel, "will not be sent")

    def _act(self, request: HttpRequest, queryset: QuerySet[Delivery], act: Any, done: str) -> None:
        try:
            count = act(
                deliveries=list(queryset.order_by("pk")), actor=person(request), now=timezone.now()
            )
        except DomainError as error:
            self.message_user(request, error.detail, messages.WARNING)
            return
        self.message_user(request, f"{count} message{'s' if count != 1 else ''} {done}.")
