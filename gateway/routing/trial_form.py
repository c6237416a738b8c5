"""The form of a dry run."""

import datetime as dt
import random
from typing import Any

from django import forms

from gateway.dialects.facts import MAX_MODEL_CHARS
from gateway.routing import form_parts as parts
from gateway.routing.dry_run import MAX_TEXT, Trial
from gateway.structs import Dialect

_DIALECTS = (
    (Dialect.CHAT.value, "OpenAI Chat Completions"),
    (Dialect.RESPONSES.value, "OpenAI Responses"),
    (Dialect.MESSAGES.value, "Anthropic Messages"),
    (Dialect.EMBEDDINGS.value, "Embeddings"),
    (Dialect.COMPLETIONS.value, "OpenAI Completions"),
)


class TrialForm(forms.Form):
    """A request that is not sent. Its fields stand beside a route's form, hence their names."""

    try_model = forms.CharField(
        max_length=MAX_MODEL_CHARS, label="Model", widget=forms.TextInput(attrs=parts.TEXT)
    )
    try_text = forms.CharField(
        required=False, max_length=MAX_TEXT, label="User message", initial="Hello",
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    try_dialect = forms.ChoiceField(required=False, label="Client speaks", choices=_DIALECTS)
    try_tags = parts.words("Tags")
    try_user = parts.words("User")
    try_session = parts.words("Session")
    try_agent = parts.words("Agent")
    try_environment = parts.words("Environment")
    try_max_output_tokens = parts.whole("Output tokens at most")
    try_at = forms.DateTimeField(
        required=False, label="At (UTC)", help_text="Empty: now.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )  # fmt: skip
    try_is_stream = parts.switch("Streams")
    try_has_tools = parts.switch("Has tools")
    try_has_images = parts.switch("Has images")

    def __init__(self, *args: Any, owner: str = "", **kwargs: Any) -> None:
        """`owner`: the id of the form these fields are sent with, where they stand outside it."""
        super().__init__(*args, **kwargs)
        if owner:
            for field in self.fields.values():
                field.widget.attrs["form"] = owner

    def clean_try_max_output_tokens(self) -> int | None:
        value: int | None = self.cleaned_data["try_max_output_tokens"]
        if value is not None and not 1 <= value <= 10_000_000:
            raise forms.ValidationError("It must be from 1 to 10,000,000.")
        return value

    def clean_try_at(self) -> dt.datetime | None:
        value: dt.datetime | None = self.cleaned_data["try_at"]
        return value.replace(tzinfo=dt.UTC) if value else None

    def trial(self) -> Trial:
        """The request of valid fields. Which target the weights draw is chance, as it is for real."""
        data = {name.removeprefix("try_"): value for name, value in self.cleaned_data.items()}
        data["dialect"] = Dialect(data["dialect"] or Dialect.CHAT)
        data["tags"] = tuple(parts.split_words(data["tags"]))
        return Trial(**data, draw=random.random())  # noqa: S311 - spreads load
