"""The operators' channels in the admin: made, changed, tested, switched. By the rules of organisations' channels
(alerts.channel_pages.services); secrets go in, sealed with the master key, and never out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.selectors import person
from accounts.services import clean_name
from alerts.channel_pages import services
from alerts.channel_pages.admin import ChannelSwitches
from alerts.channel_pages.forms import ChannelForm, refuse, values_of
from alerts.channel_pages.values import read_values
from alerts.channels.base import ChannelPlugin
from alerts.channels.registry import plugin_for, plugins
from alerts.channels.secrets import open_secret
from alerts.models import Channel, Delivery, OperatorChannel
from alerts.platform.tables import table
from core.errors import DomainError

MOST_MESSAGES = 20
_STANDS = ("kind", "hint", "is_enabled", "failing_since", "last_sent_at")


class OperatorChannelForm(forms.ModelForm):
    """Name, least severity and the kind's own fields, which `form_of` adds."""

    plugin: ChannelPlugin

    class Meta:
        model = OperatorChannel
        fields = ["name", "minimum_severity"]

    def clean(self) -> dict[str, Any]:
        """As the services will judge it, so that a refusal stands at its field."""
        data = super().clean() or {}
        if self.errors:
            return data
        stored: dict[str, Any] = {}
        if not self.instance._state.adding:
            before = Channel.objects.get(pk=self.instance.pk)
            stored = {"settings": before.settings, "secret": open_secret(before)}
        try:
            data["name"] = clean_name(data["name"], limit=80)
            read_values(self.plugin, values_of(self, self.plugin), **stored)
        except DomainError as error:
            refuse(self, error)
            return data
        twins = OperatorChannel.objects.filter(name__iexact=data["name"])
        if twins.exclude(pk=self.instance.pk).exists():
            self.add_error("name", f"There is a channel named {data['name']!r} already.")
        return data


def form_of(plugin: ChannelPlugin, channel: Channel | None) -> type[OperatorChannelForm]:
    """The form for one kind; of a channel there is, stored secrets are not asked for again."""
    asked = ChannelForm(plugin=plugin, channel=channel).fields
    own = {name: field for name, field in asked.items() if name.startswith("access_")}
    return type("KindForm", (OperatorChannelForm,), {"plugin": plugin, **own})


@admin.register(OperatorChannel)
class OperatorChannelAdmin(ChannelSwitches, admin.ModelAdmin):
    """Where the operators are told, beside the superusers' e-mail."""

    list_display = ("name", *_STANDS, "minimum_severity")
    list_filter = ("kind", "is_enabled")
    search_fields = ("name", "hint")
    ordering = ("name", "id")
    actions = ("send_test", "switch_on", "switch_off")
    readonly_fields = (*_STANDS, "disabled_at", "disabled_reason", "last_messages")

    def get_form(
        self, request: HttpRequest, obj: OperatorChannel | None = None, change: bool = False, **_: Any
    ) -> type[OperatorChannelForm]:  # fmt: skip
        return form_of(plugin_for(obj.kind if obj else request.GET.get("kind", "")), obj)

    def get_fields(self, request: HttpRequest, obj: OperatorChannel | None = None) -> list[Any]:
        asked = list(self.get_form(request, obj).base_fields)
        return [*asked, *self.readonly_fields] if obj else asked

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Which kind first: each asks for other things."""
        if request.GET.get("kind") not in {one.kind for one in plugins()}:
            if not self.has_add_permission(request):
                return HttpResponse("Adding channels needs the permission to.", status=403)
            context = {
                **self.admin_site.each_context(request),
                "title": "Add operators' channel",
                "opts": self.opts,
                "plugins": plugins(),
            }
            return TemplateResponse(request, "admin/alerts/operatorchannel/choose.html", context)
        return super().add_view(request, form_url, extra_context)

    def save_model(
        self, request: HttpRequest, obj: OperatorChannel, form: Any, change: bool
    ) -> None:
        """Through the services, which seal the secrets."""
        given = {
            "name": form.cleaned_data["name"],
            "minimum_severity": form.cleaned_data["minimum_severity"],
            "values": values_of(form, form.plugin),
            "actor": person(request),
            "now": timezone.now(),
        }
        if change:
            saved = services.change_channel(channel=obj, **given)
        else:
            kind = form.plugin.kind
            saved = services.create_channel(organization=None, kind=kind, **given)
            obj.pk = saved.channel.pk
            obj._state.adding = False
        if saved.shown:
            self.message_user(
                request,
                f"The signing secret, shown now and never again: {saved.shown}",
                messages.WARNING,
            )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, int], set[str], list[str]]:
        """The channels alone: their messages go with them, and there may be very many."""
        shown = [str(one) for one in objs]
        return shown, {self.opts.verbose_name_plural: len(shown)}, set(), []

    def delete_model(self, request: HttpRequest, obj: OperatorChannel) -> None:
        services.delete_channel(channel=obj, actor=person(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for channel in queryset:
            services.delete_channel(channel=channel, actor=person(request))

    @admin.action(description="Send test", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: Any) -> None:
        """A message that says it is a test; the answer stands on the channel's page a moment later."""
        for channel in queryset:
            try:
                services.test_channel(channel=channel, actor=person(request), now=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{channel.name}: {error.detail}", messages.WARNING)
                continue
            words = f"A test is on its way to {channel.name}; open the channel for its answer."
            self.message_user(request, words)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        """Whoever may change them."""
        return self.has_change_permission(request)

    @admin.display(description="last messages")
    def last_messages(self, channel: OperatorChannel) -> SafeString | str:
        """What was sent to it and what it answered, newest first."""
        rows = Delivery.objects.filter(channel_id=channel.pk).order_by("-pk")[:MOST_MESSAGES]
        shown = [
            (
                f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.get_action_display(), one.get_state_display(),
                str(one.attempts), str(one.status_code or ""), one.error or one.answer[:200],
            )
            for one in rows
        ]  # fmt: skip
        if not shown:
            return 'None yet: choose "Send test" in the list of channels.'
        return table(("Queued (UTC)", "What", "State", "Tries", "Status", "Answer"), shown)
