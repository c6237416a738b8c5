"""Forms of exports, destinations and schedules. What may be is decided by the services; the forms carry it."""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms

from core.errors import DomainError
from core.person_formats import time_zones
from costs.exporting.ask import RANGES
from costs.exporting.destinations import DestinationDraft, destination_of, destinations_of
from costs.exporting.schedules import ScheduleDraft
from costs.focus.columns import DEFAULT_VERSION, VERSIONS
from costs.models import ExportDestination, ExportSchedule
from projects.exports.job import FORMATS
from projects.exports.registry import Request, sources

MACHINE = "csv-machine"
FORMAT_CHOICES = [
    ("csv", "CSV for spreadsheets"),
    (MACHINE, "CSV for programs"),
    *((key, label) for key, label in FORMATS.items() if key != "csv"),
]
KEPT = "Keep here for download"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DATE = forms.DateInput(attrs={"type": "date"})


def kind_choices() -> list[tuple[str, str]]:
    """FOCUS first."""
    found = [(one.kind, one.label) for one in sources(of_organization=True)]
    return sorted(found, key=lambda one: one[0] != "focus")


def version_choices() -> list[tuple[str, str]]:
    return [(DEFAULT_VERSION, DEFAULT_VERSION)] + [(v, v) for v in VERSIONS if v != DEFAULT_VERSION]


def split_format(value: str) -> tuple[str, bool]:
    """The format and whether CSV is for programs."""
    return ("csv", True) if value == MACHINE else (value, False)


class RefusingForm(forms.Form):
    """A form that shows a service's refusal at the field it names."""

    def refuse(self, error: DomainError) -> None:
        named = error.fields[0] if error.fields else ""
        self.add_error(named if named in self.fields else None, error.detail)

    def _choose(self, name: str, choices: Iterable[tuple[str, str]]) -> None:
        self.fields[name].choices = list(choices)  # type: ignore[attr-defined]


def _places(organization_id: UUID) -> list[tuple[str, str]]:
    rows = destinations_of(organization_id)
    return [("", KEPT), *((str(one.pk), f"{one.name} ({one.bucket})") for one in rows)]


def place_of(organization_id: UUID, value: str) -> ExportDestination | None:
    """The chosen destination; empty is none. Raises NotFoundError."""
    return destination_of(organization_id, UUID(value)) if value else None


class ExportForm(RefusingForm):
    """An export by hand."""

    kind = forms.ChoiceField(label="What")
    format = forms.ChoiceField(choices=FORMAT_CHOICES, label="Format", initial=MACHINE)
    version = forms.ChoiceField(label="FOCUS version", required=False)
    range = forms.ChoiceField(
        label="Days (UTC)", required=False, choices=list(RANGES.items()), initial="month"
    )
    start = forms.DateField(label="or from", required=False, widget=_DATE)
    end = forms.DateField(label="to", required=False, widget=_DATE)
    split = forms.ChoiceField(
        label="Files",
        required=False,
        choices=[("", "One file"), ("month", "One a month"), ("day", "One a day")],
    )
    destination = forms.ChoiceField(label="Where to", required=False)

    def __init__(self, *args: Any, organization_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choose("kind", kind_choices())
        self._choose("version", version_choices())
        self._choose("destination", _places(organization_id))

    def request(self, now: dt.datetime) -> Request:
        """The question of a valid form."""
        data = self.cleaned_data
        days = {"start": data["start"], "end": data["end"]}
        asked = (
            {name: day.isoformat() for name, day in days.items() if day}
            if any(days.values())
            else {"range": data["range"]}
        )
        asked["split"] = "" if data["kind"] == "focus" else data["split"]
        asked["version"] = data["version"] if data["kind"] == "focus" else ""
        query = urlencode({name: value for name, value in asked.items() if value})
        return Request(query=query, is_machine=split_format(data["format"])[1], now=now)


class DestinationForm(RefusingForm):
    """A bucket. The secret is never shown again; empty keeps it."""

    name = forms.CharField(label="Name", max_length=80)
    endpoint_url = forms.CharField(
        label="Endpoint", max_length=300, required=False,
        help_text="https://… of an S3-compatible storage; empty for Amazon S3.",
    )  # fmt: skip
    region = forms.CharField(label="Region", max_length=40, required=False)
    bucket = forms.CharField(label="Bucket", max_length=63)
    folder = forms.CharField(
        label="Folder", max_length=200, required=False, help_text="Everything goes below it."
    )
    access_key_id = forms.CharField(label="Access key id", max_length=200)
    secret = forms.CharField(
        label="Secret access key", max_length=1000, required=False, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored sealed. It needs to put, and for the check to delete, objects below the folder.",
    )  # fmt: skip

    def draft(self) -> DestinationDraft:
        data = dict(self.cleaned_data)
        return DestinationDraft(prefix=data.pop("folder"), **data)

    def refuse(self, error: DomainError) -> None:
        if error.fields[:1] == ("prefix",):  # a form has a prefix of its own
            self.add_error("folder", error.detail)
        else:
            super().refuse(error)


def initial_of_destination(one: ExportDestination) -> dict[str, Any]:
    """A form filled with a stored destination, without its secret."""
    names = ("name", "endpoint_url", "region", "bucket", "access_key_id")
    return {name: getattr(one, name) for name in names} | {"folder": one.prefix}


class ScheduleForm(RefusingForm):
    """An export by the clock."""

    name = forms.CharField(label="Name", max_length=80)
    kind = forms.ChoiceField(label="What")
    format = forms.ChoiceField(choices=FORMAT_CHOICES, label="Format", initial="parquet")
    version = forms.ChoiceField(label="FOCUS version", required=False)
    first_day = forms.DateField(label="From day (UTC)", widget=_DATE)
    is_incremental = forms.BooleanField(
        label="Only what changed since the last run", required=False, initial=True,
        help_text="Late corrections send the months or days they touch again. Otherwise everything is sent each time.",
    )  # fmt: skip
    destination = forms.ChoiceField(label="Where to", required=False)
    frequency = forms.ChoiceField(
        label="When", choices=ExportSchedule.Frequency.choices, initial="daily"
    )
    hour = forms.TypedChoiceField(
        label="At", coerce=int, choices=[(n, f"{n:02}:00") for n in range(24)], initial=3
    )
    weekday = forms.TypedChoiceField(
        label="On (every week)", coerce=int, choices=list(enumerate(WEEKDAYS)), initial=0
    )
    month_day = forms.TypedChoiceField(
        label="On day (every month)", coerce=int, choices=[(n, str(n)) for n in range(1, 29)], initial=1
    )  # fmt: skip
    time_zone = forms.ChoiceField(label="Time zone", initial="UTC")

    def __init__(self, *args: Any, organization_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id = organization_id
        self._choose("kind", kind_choices())
        self._choose("version", version_choices())
        self._choose("destination", _places(organization_id))
        self._choose("time_zone", ((name, name) for name in time_zones()))

    def draft(self) -> ScheduleDraft:
        """Of a valid form. Raises NotFoundError for a destination that is gone."""
        data = dict(self.cleaned_data)
        data["format"], data["is_machine"] = split_format(data["format"])
        data["destination"] = place_of(self.organization_id, data["destination"])
        return ScheduleDraft(**data)


def initial_of_schedule(one: ExportSchedule) -> dict[str, Any]:
    """A form filled with a stored schedule."""
    names = (
        *("name", "kind", "version", "first_day", "is_incremental"),
        *("frequency", "hour", "weekday", "month_day", "time_zone"),
    )
    return {name: getattr(one, name) for name in names} | {
        "format": MACHINE if one.is_machine else one.format,
        "destination": str(one.destination_id or ""),
    }
