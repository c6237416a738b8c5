"""Forms of the project pages."""

from typing import Any

from django import forms

from projects.models import ApiKey, Project

EXPIRIES = {"never": None, "30": 30, "90": 90, "365": 365}


class ProjectForm(forms.Form):
    name = forms.CharField(
        max_length=80, label="Project name", help_text="For people; can be changed later."
    )
    slug = forms.SlugField(
        max_length=80,
        required=False,
        label="Slug",
        help_text="For URLs and programs; made from the name when left empty. It does not change later.",
    )


class RenameForm(forms.Form):
    name = forms.CharField(max_length=80, label="Project name")


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        max_length=80, label="Name", help_text="Where the key is used, for example “support bot”."
    )
    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.INGEST],
        widget=forms.CheckboxSelectMultiple,
        label="Scopes",
    )
    expires_in = forms.ChoiceField(
        choices=[
            ("never", "Never"),
            ("30", "In 30 days"),
            ("90", "In 90 days"),
            ("365", "In a year"),
        ],
        initial="never",
        label="Expires",
    )


class RotationForm(forms.Form):
    overlap = forms.ChoiceField(
        choices=[
            ("now", "at once"),
            ("1h", "in 1 hour"),
            ("24h", "in 24 hours"),
            ("7d", "in 7 days"),
        ],
        initial="24h",
    )


class DeletionForm(forms.Form):
    confirm = forms.CharField(max_length=80, label="Type the slug of the project to delete it")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.project.slug:
            raise forms.ValidationError(f"Type {self.project.slug} exactly; nothing was deleted.")
        return typed
