"""What a plugin asks people for: inputs of a form, of which secret ones are never shown again."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.html import escape


@dataclass(frozen=True)
class Field:
    """One input. A secret one is sealed with the credentials, the others are settings."""

    name: str
    label: str
    help: str = ""
    is_secret: bool = False
    is_required: bool = True
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    is_long: bool = False


class SecretLines(forms.Textarea):
    """A secret of several lines, such as a key file: like a password it is never shown again."""

    def format_value(self, value: Any) -> str:
        return ""


def input_name(name: str) -> str:
    """A plugin may have a field `name` too."""
    return f"access_{name}"


def form_field(field: Field, *, is_new: bool, stored: Any = "") -> forms.Field:
    """The input; a secret that is stored may be left out, and stays. `stored` is a setting's value."""
    is_kept = field.is_secret and not is_new
    options: dict[str, Any] = {
        "label": field.label,
        # The component shows help texts as markup; these are plain words such as `subscriptions/<id>`.
        "help_text": escape(field.help),
        "required": field.is_required and not is_kept,
        "initial": field.default if is_new else stored,
        "widget": _widget(field, is_kept=is_kept),
    }
    if field.choices:
        return forms.ChoiceField(choices=field.choices, **options)
    return forms.CharField(**options)


def _widget(field: Field, *, is_kept: bool) -> forms.Widget:
    attrs: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
    if field.choices:
        return forms.Select(attrs={})
    if field.is_secret:
        if is_kept:
            attrs["placeholder"] = "Stored; leave empty to keep it"
        if field.is_long:
            return SecretLines(attrs=attrs | {"rows": 5})
        # Not `password`: browsers would offer to save and fill the login's.
        attrs["autocomplete"] = "new-password"
        return forms.PasswordInput(attrs=attrs, render_value=False)
    return (
        forms.Textarea(attrs=attrs | {"rows": 4}) if field.is_long else forms.TextInput(attrs=attrs)
    )
