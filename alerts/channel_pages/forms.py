"""The form of a channel. What may be is decided by the services and the kind's plugin; the form only carries it."""

from typing import Any

from django import forms
from django.utils.html import escape

from alerts.channels.base import ChannelPlugin, Field
from alerts.models import Channel, Severity
from core.errors import DomainError


def _widget(field: Field, *, is_stored: bool) -> forms.Widget:
    attrs: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
    if field.choices:
        return forms.Select(attrs={})
    if field.is_secret:
        if is_stored:
            attrs["placeholder"] = "Stored; leave empty to keep it"
        # Not `password`: browsers would offer to save and fill the login's.
        attrs["autocomplete"] = "new-password"
        return forms.PasswordInput(attrs=attrs, render_value=False)
    return (
        forms.Textarea(attrs=attrs | {"rows": 4}) if field.is_long else forms.TextInput(attrs=attrs)
    )


def input_name(name: str) -> str:
    """A plugin may have a field `name` too."""
    return f"access_{name}"


def values_of(form: forms.BaseForm, plugin: ChannelPlugin) -> dict[str, str]:
    """What was given, by the plugin's names."""
    return {
        field.name: form.cleaned_data.get(input_name(field.name), "") for field in plugin.fields
    }


def refuse(form: forms.BaseForm, error: DomainError) -> None:
    """Show a refusal at the field it names, else above the form."""
    named = error.fields[0] if error.fields else ""
    at = next((one for one in (input_name(named), named) if one in form.fields), None)
    form.add_error(at, error.detail)


class ChannelForm(forms.Form):
    """Name, least severity and what the kind's plugin asks for. The secrets of a `channel` stay where they are."""

    name = forms.CharField(max_length=80, label="Name", help_text="What rules call it.")

    def __init__(
        self, *args: Any, plugin: ChannelPlugin, channel: Channel | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.plugin, self.channel = plugin, channel
        self.fields["name"].initial = channel.name if channel else plugin.label
        for field in plugin.fields:
            self.fields[input_name(field.name)] = self._field(field)
        self.fields["minimum_severity"] = forms.ChoiceField(
            choices=Severity.choices,
            label="Least severity",
            initial=channel.minimum_severity if channel else Severity.INFO,
            help_text="Incidents below it are not told here, whatever rule they are of.",
        )

    def _field(self, field: Field) -> forms.Field:
        is_stored = self.channel is not None and field.is_secret
        initial: Any = field.default
        if self.channel is not None and not field.is_secret:
            initial = self.channel.settings.get(field.name, "")
            initial = "\n".join(initial) if isinstance(initial, list) else initial
        options: dict[str, Any] = {
            "label": field.label,
            "help_text": escape(field.help),
            "required": field.is_required and not is_stored,
            "initial": initial,
            "widget": _widget(field, is_stored=is_stored),
        }
        if field.choices:
            return forms.ChoiceField(choices=field.choices, **options)
        return forms.CharField(**options)
