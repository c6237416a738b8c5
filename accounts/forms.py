"""Forms of the account and organisation pages."""

from typing import Any

from django import forms

from accounts.models import Role
from core.errors import DomainError


def add_domain_error(form: forms.BaseForm, error: DomainError) -> None:
    """Show a service's refusal at the field it names, else above the form."""
    field = next((name for name in error.fields if name in form.fields), None)
    form.add_error(field, error.detail)


class OrganizationForm(forms.Form):
    name = forms.CharField(max_length=120, label="Organisation name")


class ProfileForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        required=False,
        label="Name",
        help_text="Shown to the other members.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


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
