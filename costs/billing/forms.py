"""The forms of billing connections. What may be is decided by costs.billing.connections; forms only carry it."""

import datetime as dt
from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils.html import escape

from core.errors import DomainError
from costs.billing.access import CheckFailedError
from costs.models import SyncSchedule
from costs.providers.base import BillingPlugin, Field
from projects.models import ConnectionProvider

# Three months show a trend and are read in minutes.
HISTORY = dt.timedelta(days=90)
LINES = ("json", "pem", "certificate", "private_key", "service_account")


class SecretLines(forms.Textarea):
    """A secret of several lines, such as a key file: like a password it is never shown again."""

    def format_value(self, value: Any) -> str:
        return ""


def _widget(field: Field, *, is_stored: bool) -> forms.Widget:
    attrs: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
    if field.choices:
        return forms.Select(attrs={})
    is_long = any(word in field.name for word in LINES)
    if field.is_secret:
        if is_stored:
            attrs["placeholder"] = "Stored; leave empty to keep it"
        if is_long:
            return SecretLines(attrs=attrs | {"rows": 5})
        # Not `password`: browsers would offer to save and fill the login's.
        attrs["autocomplete"] = "new-password"
        return forms.PasswordInput(attrs=attrs, render_value=False)
    return forms.Textarea(attrs=attrs | {"rows": 4}) if is_long else forms.TextInput(attrs=attrs)


class AccessForm(forms.Form):
    """What a plugin asks for. `stored` are the settings of a connection there is; its secrets stay where they are."""

    def __init__(
        self,
        *args: Any,
        plugin: BillingPlugin,
        stored: dict[str, Any] | None = None,
        has_name: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.plugin = plugin
        if has_name:
            self.fields["name"] = forms.CharField(
                max_length=80,
                label="Name",
                initial=ConnectionProvider(plugin.provider).label,
                help_text="What your team calls this account.",
            )
        for field in plugin.fields:
            self.fields[self.input_name(field.name)] = self._field(field, stored)

    @staticmethod
    def input_name(name: str) -> str:
        """A plugin may have a field `name` too."""
        return f"access_{name}"

    @staticmethod
    def _field(field: Field, stored: dict[str, Any] | None) -> forms.Field:
        is_stored = stored is not None and field.is_secret
        options: dict[str, Any] = {
            "label": field.label,
            # The component shows help texts as markup; these are plain words such as `subscriptions/<id>`.
            "help_text": escape(field.help),
            "required": field.is_required and not is_stored,
            "initial": field.default if stored is None else stored.get(field.name, ""),
            "widget": _widget(field, is_stored=is_stored),
        }
        if field.choices:
            return forms.ChoiceField(choices=field.choices, **options)
        return forms.CharField(**options)

    @property
    def main_fields(self) -> list[forms.BoundField]:
        """What everybody fills in."""
        return [
            one for one in self.visible_fields() if one.field.required or self._of(one).is_secret
        ]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        """What most leave as it is."""
        names = {one.name for one in self.main_fields}
        return [one for one in self.visible_fields() if one.name not in names]

    @property
    def has_more(self) -> bool:
        """Whether one of those is filled in or wrong, so that it must be seen."""
        return any(
            one.errors or str(one.value() or "") != self._of(one).default
            for one in self.more_fields
        )

    def _of(self, bound: forms.BoundField) -> Field:
        return next(f for f in self.plugin.fields if self.input_name(f.name) == bound.name)

    def values(self) -> dict[str, str]:
        """What was given, by the plugin's names."""
        return {
            field.name: self.cleaned_data.get(self.input_name(field.name), "")
            for field in self.plugin.fields
        }

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        at = next((one for one in (self.input_name(named), named) if one in self.fields), None)
        self.add_error(None if isinstance(error, CheckFailedError) else at, error.detail)


def _day_field(label: str, help_text: str = "") -> forms.DateField:
    return forms.DateField(
        label=label, help_text=help_text, widget=forms.DateInput(attrs={"type": "date"})
    )


class ScheduleForm(forms.Form):
    """How often a bill is read and from which day on."""

    schedule = forms.ChoiceField(
        choices=SyncSchedule.choices,
        label="Read the bill",
        help_text="Providers correct the last days for a while; each time those are read again.",
    )
    history_from = _day_field(
        "History from",
        "Days from here on are read once in the background; you can watch, cancel and resume it.",
    )

    def __init__(self, *args: Any, now: dt.datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["schedule"].initial = SyncSchedule.HOURLY
        self.fields["history_from"].initial = (now - HISTORY).date()

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        self.add_error(named if named in self.fields else None, error.detail)


class ConnectionForm(ScheduleForm):
    """The name beside them."""

    name = forms.CharField(max_length=80, label="Name")
    field_order = ("name", "schedule", "history_from")


class SyncForm(forms.Form):
    """Which days to read: by the overlap ("now") or these."""

    class Kind(TextChoices):
        NOW = "now"
        HISTORY = "history"

    kind = forms.ChoiceField(choices=Kind.choices)
    first_day = forms.DateField(required=False)
    last_day = forms.DateField(required=False)
