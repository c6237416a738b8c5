"""The form of a channel. What may be is decided by the services and the kind's plugin; the form only carries it."""

from typing import Any

from django import forms

from alerts.channels.base import ChannelPlugin
from alerts.models import Channel, Severity
from core.access_fields import form_field, input_name
from core.errors import DomainError


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
            self.fields[input_name(field.name)] = form_field(
                field, is_new=channel is None, stored=self._stored(field.name)
            )
        self.fields["minimum_severity"] = forms.ChoiceField(
            choices=Severity.choices,
            label="Least severity",
            initial=channel.minimum_severity if channel else Severity.INFO,
            help_text="Incidents below it are not told here, whatever rule they are of.",
        )

    def _stored(self, name: str) -> str:
        found = self.channel.settings.get(name, "") if self.channel is not None else ""
        return "\n".join(found) if isinstance(found, list) else found
