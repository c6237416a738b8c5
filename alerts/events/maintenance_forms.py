"""The form of a maintenance window. What may be is decided by maintenance_drafts; the form only carries it."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms

from alerts.events.maintenance_drafts import MaintenanceDraft, read_draft
from alerts.models import Maintenance, Repeats
from core import person_formats
from core.errors import DomainError
from core.person_formats import time_zones
from projects.models import Project

_CLOCK = "%Y-%m-%dT%H:%M"


class MaintenanceForm(forms.Form):
    """A new window, or a changed one."""

    name = forms.CharField(
        max_length=120,
        label="Name",
        help_text="What is done: people see it where they wonder why nobody was told.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    project = forms.ChoiceField(required=False, label="Project")
    starts_at = forms.CharField(
        label="From", max_length=40, widget=forms.TextInput(attrs={"type": "datetime-local"})
    )
    ends_at = forms.CharField(
        label="To", max_length=40, widget=forms.TextInput(attrs={"type": "datetime-local"})
    )
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="Both times are wall clock there. Repeated windows keep it, also over summer time.",
    )
    repeats = forms.ChoiceField(choices=Repeats.choices, label="Repeats", initial=Repeats.NEVER)

    def __init__(
        self, *args: Any, organization_id: UUID, projects: Sequence[Project], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id = organization_id
        self.fields["project"].choices = [  # type: ignore[attr-defined]
            ("", "All projects"), *((str(one.pk), one.name) for one in projects)
        ]  # fmt: skip
        self.fields["time_zone"].choices = [(name, name) for name in time_zones()]  # type: ignore[attr-defined]

    def draft(self, now: dt.datetime) -> MaintenanceDraft | None:
        """The checked window; None with the errors at their fields. At most one query."""
        if not self.is_valid():
            return None
        try:
            return read_draft(self.organization_id, self.cleaned_data, now=now)
        except DomainError as error:
            self.refuse(error)
            return None

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        self.add_error(named if named in self.fields else None, error.detail)


def fresh_values(now: dt.datetime) -> dict[str, Any]:
    """A new form: two hours from the next full hour, in the reader's zone."""
    zone = person_formats.zone()
    name = str(zone) if str(zone) in time_zones() else "UTC"
    start = now.astimezone(zone).replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    return {
        "starts_at": start.strftime(_CLOCK),
        "ends_at": (start + dt.timedelta(hours=2)).strftime(_CLOCK),
        "time_zone": name,
    }


def values_of(window: Maintenance) -> dict[str, Any]:
    """A form filled with a stored window, by its own clock."""
    zone = ZoneInfo(window.time_zone)
    return {
        "name": window.name,
        "project": str(window.project_id or ""),
        "starts_at": window.starts_at.astimezone(zone).strftime(_CLOCK),
        "ends_at": window.ends_at.astimezone(zone).strftime(_CLOCK),
        "time_zone": window.time_zone,
        "repeats": window.repeats,
    }
