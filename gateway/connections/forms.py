"""Forms of connections and their keys. What may be is decided by the services; forms only carry it."""

import re
from typing import Any
from uuid import UUID

from django import forms
from django.utils.html import escape

from core.errors import DomainError
from gateway.connections.holding import OVERLAPS
from gateway.connections.providers import Provider
from gateway.connections.values import MAX_KEY
from gateway.models import Connection
from projects.models import Project

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
OVERLAP_WORDS = {
    "now": "None: the old key is revoked now",
    "1h": "An hour",
    "24h": "A day",
    "7d": "A week",
}


def secret_field(label: str, help_text: str, *, required: bool) -> forms.CharField:
    """A key goes in and is never shown again."""
    # Not `password`: browsers would offer to save and fill the login's.
    widget = forms.PasswordInput(attrs=_PLAIN | {"autocomplete": "new-password"}, render_value=False)  # fmt: skip
    return forms.CharField(
        label=label, help_text=escape(help_text), required=required, max_length=MAX_KEY, widget=widget
    )  # fmt: skip


def weight_field(initial: int = 1) -> forms.IntegerField:
    return forms.IntegerField(
        label="Weight",
        min_value=1,
        max_value=100,
        initial=initial,
        help_text="Of several keys each takes its share: 3 gets three times the calls of 1.",
    )


def refuse(form: forms.Form, error: DomainError) -> None:
    """Show a refusal at the field it names, else above the form."""
    named = error.fields[0] if error.fields else ""
    places = (named, f"setting_{named}")
    form.add_error(next((one for one in places if one in form.fields), None), error.detail)


class ConnectionForm(forms.Form):
    """Name, address, the kind's settings, models, who may use it; of a new one, its first key."""

    name = forms.CharField(max_length=80, label="Name", help_text="What routes and pages call it.")

    def __init__(
        self,
        *args: Any,
        provider: Provider,
        projects: list[Project],
        connection: Connection | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        row = connection
        self.fields["name"].initial = row.name if row else provider.name
        self.fields["base_url"] = forms.CharField(
            label="Address",
            required=provider.needs_address,
            max_length=500,
            initial=row.base_url if row else "",
            help_text=escape(provider.address_help),
            widget=forms.TextInput(attrs=_PLAIN | {"inputmode": "url", "placeholder": provider.base_url}),
        )  # fmt: skip
        if row is None:
            self.fields["secret"] = secret_field(
                provider.key_label, provider.key_help, required=provider.needs_key
            )
        else:
            self.fields["secret"] = secret_field(
                "Key for another host",
                "Only when the address leads to another host: stored keys are never sent there, they are revoked.",
                required=False,
            )
        for field in provider.fields:
            stored = row.settings.get(field.name) if row else None
            options: dict[str, Any] = {
                "label": field.label,
                "help_text": escape(field.help),
                "required": False,
            }
            self.fields[f"setting_{field.name}"] = (
                forms.BooleanField(initial=bool(stored), **options)
                if field.kind == "switch"
                else forms.CharField(
                    initial=stored or "",
                    max_length=field.max_length,
                    widget=forms.TextInput(attrs=_PLAIN),
                    **options,
                )
            )
        self.fields["model_names"] = forms.CharField(
            label="Models",
            required=False,
            initial="\n".join(row.model_names) if row else "",
            help_text=escape(f"One per line. {provider.models_help}"),
            widget=forms.Textarea(attrs=_PLAIN | {"rows": 4, "class": "mono"}),
        )
        self.fields["project"] = forms.ChoiceField(
            label="For",
            required=False,
            choices=[("", "All projects"), *((str(one.pk), one.name) for one in projects)],
            initial=str(row.project_id) if row and row.project_id else "",
            help_text="Only calls of this project may go there.",
        )

    def values(self) -> dict[str, Any]:
        """What was given, as services.create_connection and change_connection take it."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "base_url": data["base_url"],
            "secret": data["secret"],
            "settings": {one.name: data[f"setting_{one.name}"] for one in self.provider.fields},
            "model_names": [name for name in re.split(r"[\s,]+", data["model_names"]) if name],
            "project_id": UUID(data["project"]) if data["project"] else None,
        }


class KeyForm(forms.Form):
    """One more key."""

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret"] = secret_field(provider.key_label, provider.key_help, required=True)
        self.fields["weight"] = weight_field()


class WeightForm(forms.Form):
    """Another share."""

    def __init__(self, *args: Any, weight: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["weight"] = weight_field(weight)


class RotationForm(forms.Form):
    """A new key in the place of another."""

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret"] = secret_field("New key", provider.key_help, required=True)
        self.fields["overlap"] = forms.ChoiceField(
            label="Overlap",
            choices=[(one, OVERLAP_WORDS[one]) for one in OVERLAPS],
            initial="24h",
            help_text="The new key takes the calls at once. For so long the old one stands in when it is refused.",
        )
