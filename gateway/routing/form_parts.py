"""Fields that the forms of routes and of a project's settings share, and how they become rules."""

from collections.abc import Iterable
from typing import Any

from django import forms

from core.errors import DomainError

TEXT = {"autocomplete": "off", "spellcheck": "false"}
WHOLE = TEXT | {"inputmode": "numeric"}
DECIMAL = TEXT | {"inputmode": "decimal"}
PLAIN_YES_NO = (("", "Either"), ("yes", "Yes"), ("no", "No"))
CACHE_FIELDS = (
    "exact", "semantic", "ttl_s", "namespace", "per_user", "threshold", "shadow_share", "wrong_limit",
)  # fmt: skip


def number(label: str, help_text: str = "", *, initial: str = "", needed: bool = False) -> Any:
    """A number that may have a part behind the point."""
    widget = forms.TextInput(attrs=DECIMAL)
    return forms.FloatField(
        required=needed, label=label, help_text=help_text, initial=initial, widget=widget
    )


def whole(label: str, help_text: str = "", *, initial: str = "", needed: bool = False) -> Any:
    """A whole number."""
    widget = forms.TextInput(attrs=WHOLE)
    return forms.IntegerField(
        required=needed, label=label, help_text=help_text, initial=initial, widget=widget
    )


def words(label: str, help_text: str = "") -> Any:
    """Several words, separated by commas."""
    widget = forms.TextInput(attrs=TEXT)
    return forms.CharField(
        required=False, max_length=4000, label=label, help_text=help_text, widget=widget
    )


def switch(label: str, help_text: str = "") -> Any:
    """On or off."""
    return forms.BooleanField(required=False, label=label, help_text=help_text)


def either(label: str) -> Any:
    """Yes, no, or no matter."""
    return forms.ChoiceField(required=False, label=label, choices=PLAIN_YES_NO)


def split_words(text: str) -> list[str]:
    """The words of a field."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def yes_or_no(value: str) -> bool | None:
    """What `either` means."""
    return {"yes": True, "no": False}.get(value)


def said(value: bool | None) -> str:
    """The reverse."""
    return "" if value is None else "yes" if value else "no"


def plain(shown: dict[str, Any]) -> dict[str, Any]:
    """Numbers without a part behind the point are shown without one."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in shown.items()
    }


class CacheFields(forms.Form):
    """The fields of a CacheRule, each with `cache_` in front."""

    cache_exact = switch(
        "Keep answers to the same request", "Same model, messages, tools and parameters."
    )
    cache_semantic = switch(
        "Keep answers to questions that mean the same",
        "Only the last user message may differ; numbers and names must agree.",
    )
    cache_ttl_s = whole("Kept for, in seconds", initial="3600", needed=True)
    cache_namespace = forms.CharField(
        required=False,
        max_length=120,
        label="Namespace",
        help_text="Answers are shared only within one.",
        widget=forms.TextInput(attrs=TEXT),
    )
    cache_per_user = switch("Apart for each user")
    cache_threshold = number(
        "Similarity that counts as the same", "From 0.5 to 1.", initial="0.97", needed=True
    )
    cache_shadow_share = number(
        "Share of those hits that is asked again for real", initial="0.05", needed=True
    )
    cache_wrong_limit = number(
        "Wrong hits that are borne", "Past this share the similarity tightens itself.",
        initial="0.01", needed=True,
    )  # fmt: skip

    def cache_rule(self) -> dict[str, Any]:
        """The rule of valid fields."""
        return {name: self.cleaned_data[f"cache_{name}"] for name in CACHE_FIELDS}


COMPACT_FIELDS = ("whitespace", "repeats", "tool_results_after", "history_tokens")


class CompactFields(forms.Form):
    """The fields of a CompactRule, each with `compact_` in front."""

    compact_whitespace = switch("Cut white space that says nothing")
    compact_repeats = switch("Cut blocks that repeat")
    compact_tool_results_after = whole(
        "Shorten tool results older than so many turns", "Empty: never."
    )
    compact_history_tokens = whole(
        "Keep so many tokens of history", "The oldest turns go first. Empty: all."
    )

    def compact_rule(self) -> dict[str, Any]:
        """The rule of valid fields."""
        return {name: self.cleaned_data[f"compact_{name}"] for name in COMPACT_FIELDS}


def compact_initial(rule: Any) -> dict[str, Any]:
    """A rule as the fields show it."""
    return {f"compact_{name}": getattr(rule, name) for name in COMPACT_FIELDS}


def rule_paths() -> list[tuple[str, str]]:
    """Paths of cache and compaction rules, and their fields."""
    found = [(f"cache.{name}", f"cache_{name}") for name in CACHE_FIELDS]
    return found + [(f"compact.{name}", f"compact_{name}") for name in COMPACT_FIELDS]


def cache_initial(rule: Any) -> dict[str, Any]:
    """A rule as the fields show it."""
    return {f"cache_{name}": getattr(rule, name) for name in CACHE_FIELDS}


def refuse(form: forms.BaseForm, error: DomainError, names: Iterable[tuple[str, str]] = ()) -> None:
    """Put an error beside its field; `names` are paths of rules and the fields that hold them."""
    known = dict(names)
    for path in error.fields:
        field = known.get(path, path)
        if field in form.fields:
            form.add_error(field, error.detail)
            return
    form.add_error(None, error.detail)
