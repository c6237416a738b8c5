"""Forms of the account and organisation pages."""

from typing import Any

from django import forms

from accounts.models import Role
from core.errors import DomainError
from core.person_formats import NUMBER_STYLES, time_zones


def add_domain_error(form: forms.BaseForm, error: DomainError) -> None:
    """Show a service's refusal at the field it names, else above the form."""
    field = next((name for name in error.fields if name in form.fields), None)
    form.add_error(field, error.detail)


class OrganizationForm(forms.Form):
    name = forms.CharField(max_length=120, label="Organisation name")


class OrganizationSettingsForm(OrganizationForm):
    allows_sharing = forms.BooleanField(
        required=False,
        label="Members may make public links to single traces",
        help_text="Switched off, the links there are stop working; switched on again, those that have not ended work.",
    )


class ProfileForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        required=False,
        label="Name",
        help_text="Shown to the other members.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class AppearanceForm(forms.Form):
    """How pages look for one person."""

    time_zone = forms.ChoiceField(
        required=False,
        label="Time zone",
        help_text="Times of traces and events. Days of costs stay UTC, because providers bill in UTC.",
    )
    number_style = forms.ChoiceField(
        choices=[(style, style) for style in NUMBER_STYLES], label="Numbers"
    )
    has_shortcuts = forms.BooleanField(
        required=False, label="Keyboard shortcuts", help_text="Single keys such as g d, j and k."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = [(name, name.replace("_", " ")) for name in time_zones()]
        self.fields["time_zone"].choices = [("", "As in the browser"), *zones]  # type: ignore[attr-defined]


class InviteForm(forms.Form):
    email = forms.EmailField(max_length=254, label="E-mail address")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER, label="Role")

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(role.value, role.label) for role in roles]  # type: ignore[attr-defined]


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class AuditFilterForm(forms.Form):
    action = forms.CharField(max_length=80, required=False, label="Action")
    actor = forms.CharField(max_length=254, required=False, label="Who")
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)
