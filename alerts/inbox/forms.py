"""The form of a person's preferences. What may be is decided by alerts.inbox.preferences; the form carries it."""

from typing import Any

from django import forms

from alerts.inbox.digest_times import WEEKDAYS
from alerts.inbox.preferences import PreferenceDraft, draft_of
from alerts.inbox.selectors import severity_choices
from alerts.models import Digest, NotificationPreference
from core.errors import DomainError


class PreferenceForm(forms.Form):
    """What one person wants to hear."""

    inbox_severity = forms.ChoiceField(choices=severity_choices(), label="The bell counts")
    has_browser = forms.BooleanField(required=False, label="Show alerts as browser notifications")
    browser_severity = forms.ChoiceField(choices=severity_choices(), label="Shown are")
    digest = forms.ChoiceField(choices=Digest.choices, label="Digest by e-mail")
    digest_weekday = forms.TypedChoiceField(
        coerce=int, choices=list(enumerate(WEEKDAYS)), label="Day of a weekly digest"
    )
    digest_hour = forms.TypedChoiceField(
        coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)], label="At"
    )

    def refuse(self, error: DomainError) -> None:
        named = error.fields[0] if error.fields else ""
        self.add_error(named if named in self.fields else None, error.detail)

    def draft(self) -> PreferenceDraft:
        return PreferenceDraft(**self.cleaned_data)


def form_of(preference: NotificationPreference, data: Any = None) -> PreferenceForm:
    return PreferenceForm(data, initial=vars(draft_of(preference)))
