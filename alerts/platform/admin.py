"""Incidents of the installation for its operators: what happened, what was done, who was told."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.selectors import person
from alerts import acting
from alerts.models import Delivery, EventEntry, EventState, OperatorIncident
from alerts.platform.tables import table
from core.admin import ReadOnlyAdmin
from core.errors import ConflictError

MOST_DELIVERIES = 200


class OpenFilter(admin.SimpleListFilter):
    """What goes on and what is over."""

    title = "stands"
    parameter_name = "stands"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("over", "Resolved")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OperatorIncident]
    ) -> QuerySet[OperatorIncident]:
        if self.value() == "open":
            return queryset.exclude(state=EventState.RESOLVED)
        return queryset.filter(state=EventState.RESOLVED) if self.value() == "over" else queryset


@admin.register(OperatorIncident)
class OperatorIncidentAdmin(ReadOnlyAdmin):
    """Read only, but for taking an incident on."""

    list_display = ["fired_at", "title", "severity", "state", "acknowledged_by", "resolved_at"]
    list_filter = [OpenFilter, "severity", "kind"]
    list_select_related = ["acknowledged_by"]
    search_fields = ["title", "words"]
    ordering = ["-fired_at", "-id"]
    actions = ["acknowledge", "unacknowledge"]
    readonly_fields = (
        "title", "words", "severity", "state", "began_at", "fired_at", "told_at", "acknowledged_at",
        "acknowledged_by", "resolved_at", "resolve_reason", "dedup_key", "timeline", "messages_sent",
    )  # fmt: skip
    fields = readonly_fields

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Operators who may change incidents, though only through these actions."""
        return request.user.has_perm("alerts.change_operatorincident")

    @admin.action(description="Acknowledge: somebody looks after it", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[OperatorIncident]) -> None:
        """Take the selected open incidents on; others are named with the reason."""
        self._each(request, queryset, acting.acknowledge, "acknowledged")

    @admin.action(description="Take the acknowledgement back", permissions=["acknowledge"])
    def unacknowledge(self, request: HttpRequest, queryset: QuerySet[OperatorIncident]) -> None:
        """Nobody looks after the selected incidents after all."""
        self._each(request, queryset, acting.unacknowledge, "waiting for somebody again")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[OperatorIncident], act: Any, done: str
    ) -> None:
        count = 0
        for event in queryset.order_by("pk"):
            try:
                act(event=event, actor=person(request), now=timezone.now())
                count += 1
            except ConflictError as error:
                self.message_user(request, f"{event.title}: {error.detail}", messages.WARNING)
        if count:
            self.message_user(request, f"{count} incident{'s' if count != 1 else ''} {done}.")

    @admin.display(description="timeline")
    def timeline(self, event: OperatorIncident) -> SafeString:
        """What happened to it, oldest first."""
        entries = EventEntry.objects.filter(event_id=event.pk).select_related("actor")
        rows = [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.get_kind_display(),
                one.actor.email if one.actor else "",
                one.words,
            )
            for one in entries.order_by("at", "pk")[:MOST_DELIVERIES]
        ]
        return table(("At (UTC)", "What", "Who", "Words"), rows)

    @admin.display(description="messages")
    def messages_sent(self, event: OperatorIncident) -> SafeString | str:
        """Every message about it, to channels and people, and how far each came."""
        rows = Delivery.objects.filter(
            organization=None, unique_key__startswith=f"{event.dedup_key}:"
        ).select_related("channel")
        shown = [
            (
                f"{one.created_at:%Y-%m-%d %H:%M:%S}",
                one.get_action_display(),
                one.channel.name if one.channel else one.recipient,
                one.get_state_display(),
                str(one.attempts),
                one.error or one.answer[:200],
            )
            for one in rows.order_by("pk")[:MOST_DELIVERIES]
        ]
        if not shown:
            return "Nobody was told: name a superuser or an operators' channel."
        return table(("Queued (UTC)", "What", "To", "State", "Tries", "Answer"), shown)
