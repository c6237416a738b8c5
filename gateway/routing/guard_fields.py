"""Fields for checks, one of each kind. What they cannot say (conditions, a second check of a kind) stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django import forms

from core.errors import DomainError
from gateway.guards.injection import THRESHOLD
from gateway.guards.rules import KINDS, labels
from gateway.guards.trial import LONGEST, Trial, try_checks
from gateway.routing import form_parts as parts
from gateway.routing.drafts import read_guards
from gateway.structs import GuardRule

_DO = {"block": "Block", "mask": "Mask", "flag": "Flag"}
_PLACES = (("input", "requests"), ("output", "answers"), ("both", "requests and answers"))
_TEXTS = ("pii", "secrets", "patterns")
_ORDER = ("max_tokens", "allowed_models", "pii", "secrets", "patterns", "injection", "json_schema")
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


def _field(kind: str, help_text: str = "") -> Any:
    return forms.ChoiceField(
        required=False, label=KINDS[kind], help_text=help_text, choices=_choices(kind)
    )


def _message() -> Any:
    return forms.CharField(
        required=False,
        max_length=500,
        label="What a refusal says besides",
        widget=forms.TextInput(attrs=parts.TEXT),
    )


@dataclass(frozen=True)
class Group:
    """The fields of one kind: what to do, what it needs, and the rest behind a fold."""

    main: forms.BoundField
    needed: list[forms.BoundField]
    more: list[forms.BoundField]

    @property
    def is_open(self) -> bool:
        return any(one.value() or one.errors for one in self.more)


class GuardFields(forms.Form):
    """The fields of checks, each with `guard_` in front."""

    guards: tuple[GuardRule, ...] = ()

    guard_pii = _field("pii", "E-mail, phone, card, IBAN, IP, social security.")
    guard_pii_names = forms.MultipleChoiceField(
        required=False,
        label="Only these kinds",
        help_text="None: all of them.",
        choices=list(labels().items()),
        widget=forms.CheckboxSelectMultiple,
    )
    guard_pii_message = _message()
    guard_secrets = _field("secrets", "API keys, tokens, private keys.")
    guard_secrets_message = _message()
    guard_patterns = _field("patterns")
    guard_patterns_lines = forms.CharField(
        required=False,
        max_length=12_000,
        label="Patterns, one per line",
        help_text="Regular expressions (RE2, linear time), at most 20 of 500 characters.",
        widget=forms.Textarea(attrs={**parts.TEXT, "rows": 3}),
    )
    guard_patterns_message = _message()
    guard_injection = _field("injection", "By its usual words: heuristics.")
    guard_injection_limit = parts.whole(
        "Score from which it counts", f"Each kind of wording has 30 to 60; empty: {THRESHOLD}."
    )
    guard_injection_message = _message()
    guard_json_schema = _field("json_schema", "Streams: a flag only.")
    guard_json_schema_message = _message()
    guard_max_tokens = _field("max_tokens")
    guard_max_tokens_limit = parts.whole("Most output tokens of a call")
    guard_max_tokens_message = _message()
    guard_allowed_models = _field("allowed_models")
    guard_allowed_models_names = parts.words(
        "Allowed models", "Separated by commas; gpt-* is all that begin so."
    )
    guard_allowed_models_message = _message()

    @property
    def guard_groups(self) -> list[Group]:
        """All of them by kind, in the order they are shown."""
        needed = {"patterns": ("lines",), "max_tokens": ("limit",), "allowed_models": ("names",)}
        more = {"pii": ("names", "message"), "injection": ("limit", "message")}
        return [
            Group(
                self[f"guard_{kind}"],
                [self[f"guard_{kind}_{name}"] for name in needed.get(kind, ())],
                [self[f"guard_{kind}_{name}"] for name in more.get(kind, ("message",))],
            )
            for kind in KINDS
        ]

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
        made = [self._rule(kind) for kind in self._chosen()]
        return made + [msgspec.to_builtins(rule) for rule in self.other_guards]

    def _chosen(self) -> list[str]:
        return [kind for kind in _ORDER if self.cleaned_data.get(f"guard_{kind}")]

    def _rule(self, kind: str) -> dict[str, Any]:
        data = self.cleaned_data
        action, _, place = data[f"guard_{kind}"].partition(":")
        rule: dict[str, Any] = {"kind": kind, "action": action, "on": place}
        rule["message"] = data.get(f"guard_{kind}_message", "").strip()
        if kind in ("max_tokens", "injection"):
            rule["limit"] = data.get(f"guard_{kind}_limit")
        elif kind == "allowed_models":
            rule["names"] = parts.split_words(data.get("guard_allowed_models_names", ""))
        elif kind == "pii":
            rule["names"] = data.get("guard_pii_names", [])
        elif kind == "patterns":
            lines = data.get("guard_patterns_lines", "").splitlines()
            rule["patterns"] = [line for line in lines if line.strip()]
        return rule

    def guard_paths(self) -> list[tuple[str, str]]:
        """Rules' paths and the fields that hold them, of valid fields."""
        found = []
        for place, kind in enumerate(self._chosen()):
            for part in ("names", "limit", "message", "patterns", "action", "on"):
                name = f"guard_{kind}_{'lines' if part == 'patterns' else part}"
                found.append(
                    (f"guards.{place}.{part}", name if name in self.fields else f"guard_{kind}")
                )
        return found

    def try_guards(self, trial: "GuardTrialForm") -> Trial | None:
        """What the checks as they stand in the form would do with the pasted text; None with the errors at their
        fields. Errors of all other fields are forgotten: nothing is saved."""
        self.is_valid()
        self._errors = forms.utils.ErrorDict(
            {name: said for name, said in self.errors.items() if name.startswith("guard_")}
        )
        if not trial.is_valid() or self.errors:
            return None
        try:
            rules = read_guards(self.guard_rules())
        except DomainError as error:
            parts.refuse(self, error, self.guard_paths())
            return None
        said = trial.cleaned_data
        return try_checks(rules, said["check_text"], is_answer=said["check_as"] == "answer")

    @property
    def guard_errors(self) -> list[tuple[str, Sequence[str]]]:
        """What is wrong with the checks, with the labels of the fields."""
        found: Mapping[str, Any] = self.errors
        return [
            (str(self.fields[name].label) if name in self.fields else "", list(said))
            for name, said in found.items()
        ]


class GuardTrialForm(forms.Form):
    """The text to try the checks on."""

    # Only its own button needs it.
    use_required_attribute = False

    check_text = forms.CharField(
        max_length=LONGEST,
        label="Try them on a text",
        help_text="As the form stands, saved or not. Nothing is sent to a model, stored or logged.",
        widget=forms.Textarea(attrs={**parts.TEXT, "rows": 3}),
    )
    check_as = forms.ChoiceField(
        required=False, label="As", choices=(("request", "A request"), ("answer", "An answer"))
    )


def _shown(rules: tuple[GuardRule, ...]) -> dict[str, GuardRule]:
    """By kind, the first check the fields can say all of."""
    found: dict[str, GuardRule] = {}
    for rule in rules:
        plain = GuardRule(
            kind=rule.kind,
            action=rule.action,
            on=rule.on if rule.kind in _TEXTS else _place(rule.kind),  # type: ignore[arg-type]
            limit=rule.limit if rule.kind in ("max_tokens", "injection") else None,
            names=rule.names if rule.kind in ("allowed_models", "pii") else (),
            patterns=rule.patterns if rule.kind == "patterns" else (),
            message=rule.message,
        )
        if rule == plain and not any("\n" in one for one in (*rule.patterns, rule.message)):
            found.setdefault(rule.kind, rule)
    return found


def guards_initial(rules: tuple[GuardRule, ...]) -> dict[str, Any]:
    """The checks as the fields show them."""
    found: dict[str, Any] = {}
    for kind, rule in _shown(rules).items():
        found[f"guard_{kind}"] = f"{rule.action}:{rule.on}"
        found[f"guard_{kind}_message"] = rule.message
        if kind in ("max_tokens", "injection"):
            found[f"guard_{kind}_limit"] = rule.limit
        elif kind == "allowed_models":
            found["guard_allowed_models_names"] = ", ".join(rule.names)
        elif kind == "pii":
            found["guard_pii_names"] = list(rule.names)
        elif kind == "patterns":
            found["guard_patterns_lines"] = "\n".join(rule.patterns)
    return found
