"""Fields for a project's checks, one of each kind. What they cannot say (conditions, own words) stays as it is."""

from typing import Any

import msgspec
from django import forms

from gateway.routing import form_parts as parts
from gateway.structs import GuardRule

_DO = {"block": "Block", "mask": "Mask", "flag": "Flag"}
_PLACES = (("input", "requests"), ("output", "answers"), ("both", "requests and answers"))
_TEXTS = ("pii", "secrets", "patterns")
_KINDS = ("max_tokens", "allowed_models", "pii", "secrets", "patterns", "injection", "json_schema")
_WORDS = {"max_tokens": {"mask": "Cap at the limit"}, "json_schema": {
    "block": "Ask once more, then block", "mask": "Ask once more, then pass on with a flag",
}}  # fmt: skip


def _choices(kind: str) -> list[tuple[str, str]]:
    """What can be done, and of what, in one choice."""
    found = [("", "Off")]
    for action, shown in _DO.items():
        if action == "mask" and kind in ("allowed_models", "injection"):
            continue
        word = _WORDS.get(kind, {}).get(action, shown)
        if kind in _TEXTS:
            found += [(f"{action}:{place}", f"{word} in {name}") for place, name in _PLACES]
        else:
            found.append((f"{action}:{_place(kind)}", word))
    return found


def _place(kind: str) -> str:
    return "output" if kind == "json_schema" else "input"


def _field(kind: str, label: str, help_text: str = "") -> Any:
    return forms.ChoiceField(
        required=False, label=label, help_text=help_text, choices=_choices(kind)
    )


class GuardFields(forms.Form):
    """The fields of checks, each with `guard_` in front."""

    guards: tuple[GuardRule, ...] = ()

    guard_pii = _field("pii", "Personal data", "E-mail, phone, card, IBAN, IP, social security.")
    guard_secrets = _field("secrets", "Secrets", "API keys, tokens, private keys.")
    guard_patterns = _field("patterns", "Banned patterns")
    guard_patterns_lines = forms.CharField(
        required=False,
        max_length=12_000,
        label="Patterns, one per line",
        help_text="Regular expressions (RE2), at most 20.",
        widget=forms.Textarea(attrs={**parts.TEXT, "rows": 3}),
    )
    guard_injection = _field("injection", "Prompt injection", "By its usual words: heuristics.")
    guard_json_schema = _field(
        "json_schema", "Answers that are not the JSON asked for", "Streams: a flag only."
    )
    guard_max_tokens = _field("max_tokens", "Too long answers asked for")
    guard_max_tokens_limit = parts.whole("Most output tokens of a call")
    guard_allowed_models = _field("allowed_models", "Other models than these")
    guard_allowed_models_names = parts.words(
        "Allowed models", "Separated by commas; gpt-* is all that begin so."
    )

    @property
    def guard_fields(self) -> list[forms.BoundField]:
        """All of them, in order."""
        return [self[name] for name in self.fields if name.startswith("guard_")]

    @property
    def has_guards(self) -> bool:
        """Whether they were sent at all."""
        return "guard_pii" in self.data

    @property
    def other_guards(self) -> list[GuardRule]:
        """Checks these fields cannot show."""
        shown = list(_shown(self.guards).values())
        return [rule for rule in self.guards if not any(rule is one for one in shown)]

    def guard_rules(self) -> list[dict[str, Any]]:
        """The checks of valid fields, and those they cannot show."""
        data = self.cleaned_data
        made = []
        for kind in _KINDS:
            if not data[f"guard_{kind}"]:
                continue
            action, _, place = data[f"guard_{kind}"].partition(":")
            rule: dict[str, Any] = {"kind": kind, "action": action, "on": place}
            if kind == "max_tokens":
                rule["limit"] = data["guard_max_tokens_limit"]
            elif kind == "allowed_models":
                rule["names"] = parts.split_words(data["guard_allowed_models_names"])
            elif kind == "patterns":
                lines = data["guard_patterns_lines"].splitlines()
                rule["patterns"] = [line for line in lines if line.strip()]
            made.append(rule)
        return made + [msgspec.to_builtins(rule) for rule in self.other_guards]


def _shown(rules: tuple[GuardRule, ...]) -> dict[str, GuardRule]:
    """By kind, the first check the fields can say all of."""
    found: dict[str, GuardRule] = {}
    for rule in rules:
        plain = GuardRule(
            kind=rule.kind,
            action=rule.action,
            on=rule.on if rule.kind in _TEXTS else _place(rule.kind),  # type: ignore[arg-type]
            limit=rule.limit if rule.kind == "max_tokens" else None,
            names=rule.names if rule.kind == "allowed_models" else (),
            patterns=rule.patterns if rule.kind == "patterns" else (),
        )
        if rule == plain and not any("\n" in one for one in rule.patterns):
            found.setdefault(rule.kind, rule)
    return found


def guards_initial(rules: tuple[GuardRule, ...]) -> dict[str, Any]:
    """The checks as the fields show them."""
    found: dict[str, Any] = {}
    for kind, rule in _shown(rules).items():
        found[f"guard_{kind}"] = f"{rule.action}:{rule.on}"
        if kind == "max_tokens":
            found["guard_max_tokens_limit"] = rule.limit
        elif kind == "allowed_models":
            found["guard_allowed_models_names"] = ", ".join(rule.names)
        elif kind == "patterns":
            found["guard_patterns_lines"] = "\n".join(rule.patterns)
    return found
