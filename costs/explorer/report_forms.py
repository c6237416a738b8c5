"""Forms of reports and their schedules. What may be is decided by costs.explorer.reports; the forms carry it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms

from accounts.models import Membership
from core.person_formats import time_zones
from costs.explorer.reports import ReportDraft, ScheduleDraft
from costs.exporting.forms import WEEKDAYS, RefusingForm
from costs.models import CostReport, ReportSchedule


class ReportForm(RefusingForm):
    """A report's name, and who sees it."""

    name = forms.CharField(
        max_length=120, label="Name", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    is_shared = forms.BooleanField(required=False, label="Share it with the organisation")
    replaces = forms.BooleanField(
        required=False, label="Replace my report of that name if there is one"
    )

    def draft(self, query: str) -> ReportDraft:
        data = self.cleaned_data
        return ReportDraft(data["name"], query, data["is_shared"])


class ScheduleForm(RefusingForm):
    """When a report is sent, and to whom."""

    frequency = forms.ChoiceField(choices=ReportSchedule.Frequency.choices, label="How often")
    weekday = forms.TypedChoiceField(
        coerce=int, choices=list(enumerate(WEEKDAYS)), label="Day of a weekly report"
    )
    month_day = forms.IntegerField(
        min_value=1, max_value=28, label="Day of a monthly report", help_text="1 to 28."
    )
    hour = forms.TypedChoiceField(
        coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)], label="At"
    )
    time_zone = forms.ChoiceField(label="In the zone")
    covers = forms.ChoiceField(
        choices=ReportSchedule.Covers.choices,
        label="About",
        help_text="Days, weeks and months are UTC.",
    )
    recipients = forms.TypedMultipleChoiceField(
        coerce=UUID, label="To", widget=forms.CheckboxSelectMultiple
    )
    is_active = forms.BooleanField(required=False, label="Send it by the clock")

    def __init__(
        self, *args: Any, members: Sequence[Membership], left: Sequence[UUID] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._choose("time_zone", [(name, name) for name in time_zones()])
        self._choose(
            "recipients",
            [
                (
                    str(one.user_id),
                    f"{one.user.display_name} ({one.user.email})"
                    + (" — unsubscribed" if one.user_id in left else ""),
                )
                for one in members
            ],
        )

    def draft(self) -> ScheduleDraft:
        return ScheduleDraft(**self.cleaned_data)


def schedule_initial(
    report: CostReport, schedule: ReportSchedule | None, listed: Sequence[UUID], zone: str
) -> dict[str, Any]:
    """A form filled with a stored schedule, or with every Monday at eight."""
    if schedule is None:
        return {
            "frequency": "weekly", "weekday": 0, "month_day": 1, "hour": 8, "time_zone": zone or "UTC",
            "covers": "before", "is_active": True, "recipients": [str(report.author_id)],
        }  # fmt: skip
    names = ("frequency", "weekday", "month_day", "hour", "time_zone", "covers", "is_active")
    return {name: getattr(schedule, name) for name in names} | {
        "recipients": [str(one) for one in listed]
    }
