"""The forms of billing connections. What may be is decided by costs.billing.connections; forms only carry it."""

import datetime as dt
from typing import Any

from django import forms
from django.db.models import TextChoices

from core.access_fields import Field, form_field, input_name
from core.errors import DomainError
from costs.billing.access import CheckFailedError
from costs.models import SyncSchedule
from costs.providers.base import BillingPlugin
from projects.models import ConnectionProvider

# Three months show a trend and are read in minutes.
HISTORY = dt.timedelta(days=90)


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
            kept = "" if stored is None else stored.get(field.name, "")
            self.fields[input_name(field.name)] = form_field(
                field, is_new=stored is None, stored=kept
            )

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
        return next(f for f in self.plugin.fields if input_name(f.name) == bound.name)

    def values(self) -> dict[str, str]:
        """What was given, by the plugin's names."""
        return {
            field.name: self.cleaned_data.get(input_name(field.name), "")
            for field in self.plugin.fields
        }

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        at = next((one for one in (input_name(named), named) if one in self.fields), None)
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
