"""The forms of a project's data settings."""

from typing import Any

from django import forms
from django.conf import settings

from core.masking_builtins import BUILTINS
from projects.data_policy import GIB
from projects.models import ContentCapture, Project

# Own patterns are rows of the form: empty ones are left out, so removing one is emptying it.
SPARE_ROWS = 2


class CaptureForm(forms.Form):
    """What is stored of inputs and outputs, and which rules run before."""

    content_capture = forms.ChoiceField(
        choices=ContentCapture.choices, widget=forms.RadioSelect, label="Inputs and outputs"
    )
    builtin = forms.MultipleChoiceField(
        choices=[(rule.name, f"{rule.label}, like {rule.example}") for rule in BUILTINS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Replace before storing",
        help_text="In the mode masked: all of these when none is chosen. In the mode encrypted: those chosen.",
    )


class RetentionForm(forms.Form):
    """How long things stay; empty means the installation's limit."""

    retention_days = forms.IntegerField(
        required=False,
        min_value=1,
        label="Keep traces for (days)",
        help_text="Empty: as long as this installation keeps anything.",
    )
    payload_retention_days = forms.IntegerField(
        required=False,
        min_value=1,
        label="Keep inputs and outputs for (days)",
        help_text="Empty: as long as their trace.",
    )
    max_gib = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=1,
        label="At most (GiB)",
        help_text="When it is full the oldest days go; today never does. Empty: no limit.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("retention_days", "payload_retention_days"):
            self.fields[name].widget.attrs["max"] = settings.LLMLAB_RETENTION_DAYS

    @staticmethod
    def initial_of(project: Project) -> dict[str, Any]:
        size = project.retention_max_bytes
        return {
            "retention_days": project.retention_days,
            "payload_retention_days": project.payload_retention_days,
            "max_gib": None if size is None else round(size / GIB, 1),
        }

    def changes(self) -> dict[str, Any]:
        """For `change_data_policy`."""
        data = self.cleaned_data
        size = data["max_gib"]
        return {
            "retention_days": data["retention_days"],
            "payload_retention_days": data["payload_retention_days"],
            "retention_max_bytes": None if size is None else int(size * GIB),
        }


class TryForm(forms.Form):
    """A text to try the rules on."""

    text = forms.CharField(
        max_length=5_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Try the saved rules on a text",
        help_text="Nothing of it is stored.",
    )


class ErasureForm(forms.Form):
    """Whose data to delete; typed twice, because it cannot be undone."""

    subject = forms.ChoiceField(choices=[("user", "User"), ("session", "Session")], label="Whose")
    value = forms.CharField(max_length=200, strip=False, label="Id, exactly as it was sent")
    confirm = forms.CharField(max_length=200, strip=False, label="The same id again")

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed != self.cleaned_data.get("value"):
            raise forms.ValidationError("The two ids differ; nothing was deleted.")
        return typed
