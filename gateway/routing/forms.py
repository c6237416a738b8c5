"""The form of a route: its targets are rows. What may be is decided by gateway.routing.drafts."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from django import forms
from django.http import QueryDict

from core.errors import DomainError
from gateway.models import Connection
from gateway.routing import form_parts as parts
from gateway.routing.drafts import MAX_TARGETS
from gateway.routing.guard_fields import GuardFields, guards_initial
from gateway.routing.matching import DAYS
from gateway.routing.words import CHOICES, REASONS, STICKY
from gateway.structs import Match, RouteRules, TargetRule

PREFIX = "targets"
_ROW = re.compile(rf"{PREFIX}-(\d{{1,4}})-(\w+)$")
_WORDS = ("tags", "users", "agents", "environments")
_FLAGS = ("is_stream", "has_tools", "has_images")
_MATCH = (*_WORDS, "prompt_contains", "min_input_tokens", "max_input_tokens", "weekdays", *_FLAGS)
_PLAIN = ("choose", "sticky", "timeout_s", "first_token_s", "hedge_after_s", "on_client_gone")
_GONE = (("", "As the project says"), ("drain", "Finish it for the record"), ("cancel", "Cancel it"))  # fmt: skip


class TargetForm(forms.Form):
    """One place calls may go, and for which of them."""

    connection = forms.ChoiceField(label="Connection")
    model = forms.CharField(
        required=False,
        max_length=200,
        label="Model",
        widget=forms.TextInput(attrs=parts.TEXT | {"list": "known-models"}),
    )
    weight = parts.whole("Weight", initial="1", needed=True)
    step = parts.whole("Step", initial="0", needed=True)
    is_canary = parts.switch("Canary")
    tags = parts.words("Tags", "Any of them; commas between.")
    users = parts.words("Users")
    agents = parts.words("Agents")
    environments = parts.words("Environments")
    prompt_contains = forms.CharField(
        required=False,
        max_length=500,
        label="Prompt contains",
        widget=forms.TextInput(attrs=parts.TEXT),
    )
    min_input_tokens = parts.whole("From input tokens")
    max_input_tokens = parts.whole("Up to input tokens")
    hour_from = parts.whole("From hour (UTC)", "22 to 6 spans midnight.")
    hour_until = parts.whole("Until hour (UTC)")
    weekdays = forms.TypedMultipleChoiceField(
        required=False,
        label="Days",
        coerce=int,
        choices=[(n, DAYS[n]) for n in range(1, 8)],
        widget=forms.CheckboxSelectMultiple,
    )
    is_stream = parts.either("Streams")
    has_tools = parts.either("Has tools")
    has_images = parts.either("Has images")

    def __init__(self, *args: Any, connections: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.initial.get("connection")
        choices = [("", "Choose one"), *connections]
        if chosen and chosen not in dict(connections):
            choices.append((chosen, "A connection that is gone"))
        self.fields["connection"].choices = choices  # type: ignore[attr-defined]

    @property
    def condition_fields(self) -> list[forms.BoundField]:
        """The fields that say for which calls; the days stand apart."""
        return [self[name] for name in (*_MATCH, "hour_from", "hour_until") if name != "weekdays"]

    @property
    def has_conditions(self) -> bool:
        """Whether the row has some, or wrong ones."""
        names = {*_MATCH, "hour_from", "hour_until"}
        return any(self[name].value() for name in names) or bool(names & set(self.errors))

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = self.cleaned_data
        if (data.get("hour_from") is None) != (data.get("hour_until") is None):
            self.add_error("hour_until", "Give both hours, or none.")
        return data

    def rule(self) -> dict[str, Any]:
        """The target of valid fields."""
        data = self.cleaned_data
        when: dict[str, Any] = {name: parts.split_words(data[name]) for name in _WORDS}
        when |= {name: parts.yes_or_no(data[name]) for name in _FLAGS}
        for name in ("prompt_contains", "min_input_tokens", "max_input_tokens", "weekdays"):
            when[name] = data[name]
        if data["hour_from"] is not None:
            when["hours"] = (data["hour_from"], data["hour_until"])
        plain = ("connection", "model", "weight", "step", "is_canary")
        return {name: data[name] for name in plain} | {"when": when}


def target_initial(rule: TargetRule) -> dict[str, Any]:
    """A target as its row shows it."""
    when: Match = rule.when
    shown: dict[str, Any] = {name: ", ".join(getattr(when, name)) for name in _WORDS}
    shown |= {name: parts.said(getattr(when, name)) for name in _FLAGS}
    for name in ("prompt_contains", "min_input_tokens", "max_input_tokens"):
        shown[name] = getattr(when, name)
    shown["weekdays"] = list(when.weekdays)
    if when.hours is not None:
        shown["hour_from"], shown["hour_until"] = when.hours
    plain = ("connection", "model", "weight", "step", "is_canary")
    return {name: getattr(rule, name) for name in plain} | shown


class RouteForm(GuardFields, parts.CompactFields, parts.CacheFields):
    """All of a route but its targets."""

    name = forms.CharField(
        max_length=120,
        label="Name",
        help_text="What clients send as <code>model</code>. <code>*</code> takes every model no other route names.",
        widget=forms.TextInput(attrs=parts.TEXT),
    )
    note = forms.CharField(
        required=False, max_length=500, label="Note", widget=forms.TextInput(attrs=parts.TEXT)
    )
    choose = forms.ChoiceField(
        label="Within a step, ask first", choices=list(CHOICES.items()),
        help_text="The others of the step follow when it fails, then the next step.",
    )  # fmt: skip
    sticky = forms.ChoiceField(
        required=False,
        label="The same target for the same one",
        choices=list(STICKY.items()),
        help_text="With weights: a user or a session stays where it is.",
    )
    tries = parts.whole("Ask one target up to so often", initial="2", needed=True)
    first_wait_s = parts.number("First wait, in seconds", initial="0.5", needed=True)
    longest_wait_s = parts.number(
        "Longest wait, in seconds",
        "A provider that asks for more has had its turn.",
        initial="8",
        needed=True,
    )
    fallback_on = forms.MultipleChoiceField(
        required=False, label="Go on to the next target after",
        choices=[(name, text[0].upper() + text[1:]) for name, text in REASONS.items()],
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    timeout_s = parts.number("Time-out of an answer, in seconds", initial="120", needed=True)
    first_token_s = parts.number(
        "First token within, in seconds", "A stream that has not begun by then falls back."
    )
    hedge_after_s = parts.number(
        "Hedge after, in seconds",
        "Ask a second target beside a slow one; the first answer wins, both are paid.",
    )
    on_client_gone = forms.ChoiceField(
        required=False, label="When the client leaves", choices=_GONE
    )
    has_cache = forms.ChoiceField(
        required=False, label="Cache", choices=(("", "As the project's"), ("own", "Its own rule"))
    )

    has_compact = forms.ChoiceField(
        required=False,
        label="Compaction",
        choices=(("", "As the project's"), ("own", "Its own rule")),
    )

    def rest(self, kept: RouteRules) -> dict[str, Any]:
        """The rules of valid fields beside the targets; what the form does not show is `kept`."""
        data = self.cleaned_data
        names = (*_PLAIN, "fallback_on")
        found: dict[str, Any] = {name: data[name] for name in names}
        found["retry"] = {name: data[name] for name in ("tries", "first_wait_s", "longest_wait_s")}
        found["cache"] = self.cache_rule() if data["has_cache"] else None
        found["guards"] = (
            self.guard_rules() if self.has_guards else msgspec.to_builtins(kept.guards)
        )
        found["compact"] = self.compact_rule() if data["has_compact"] else None
        return found


def route_initial(name: str, note: str, rules: RouteRules) -> dict[str, Any]:
    """A route as its form shows it."""
    shown: dict[str, Any] = {one: getattr(rules, one) for one in _PLAIN}
    shown |= {one: getattr(rules.retry, one) for one in ("tries", "first_wait_s", "longest_wait_s")}
    shown |= {"name": name, "note": note, "fallback_on": list(rules.fallback_on)}
    if rules.cache is not None:
        shown |= {"has_cache": "own", **parts.cache_initial(rules.cache)}
    if rules.compact is not None:
        shown |= {"has_compact": "own", **parts.compact_initial(rules.compact)}
    shown |= guards_initial(rules.guards)
    return parts.plain(shown)


_Targets = forms.formset_factory(
    TargetForm, extra=0, max_num=MAX_TARGETS, validate_max=True,
    absolute_max=MAX_TARGETS + 1,
)  # fmt: skip


class Draft:
    """A route's form and its rows of targets, as shown or as sent."""

    def __init__(
        self,
        *,
        connections: Iterable[Connection],
        name: str = "",
        note: str = "",
        rules: RouteRules,
        data: QueryDict | None = None,
    ) -> None:
        listed = [
            (one.pk.hex, one.name if one.is_enabled else f"{one.name} (off)") for one in connections
        ]
        self.kept = rules
        self.form = RouteForm(data, initial=route_initial(name, note, rules))
        self.form.guards = rules.guards
        self.targets = _Targets(
            data,
            prefix=PREFIX,
            initial=[target_initial(one) for one in rules.targets] or [{}],
            form_kwargs={"connections": listed, "empty_permitted": False},
        )
        self.is_asked_for_more = False
        self.rules: dict[str, Any] = {}

    def is_valid(self) -> bool:
        """Whether the fields hold; `rules` is what they say. Rules that contradict each other are refused when read."""
        # Both, so that all that is wrong is said at once.
        if not all([self.form.is_valid(), self.targets.is_valid()]):
            return False
        self.rules = self.form.rest(self.kept)
        self.rules["targets"] = [row.rule() for row in self.targets.forms]
        return True

    def forget_errors(self) -> None:
        """Somebody adds a row: what is not filled in yet is no error."""
        self.is_asked_for_more = True
        for form in (self.form, *self.targets.forms):
            form.__dict__.update(_errors=forms.utils.ErrorDict(), cleaned_data={})

    @property
    def is_wrong(self) -> bool:
        """Whether the page answers 422."""
        if not self.form.is_bound or self.is_asked_for_more:
            return False
        return bool(self.form.errors) or not self.targets.is_valid()

    def refuse(self, error: DomainError) -> None:
        """Put an error beside its field, in its row."""
        for path in error.fields:
            row = re.match(r"targets\.(\d+)\.(?:when\.)?(\w+)", path)
            if row is None or int(row[1]) >= len(self.targets.forms):
                continue
            form = self.targets.forms[int(row[1])]
            field = "hour_from" if row[2] == "hours" else row[2]
            form.add_error(field if field in form.fields else None, error.detail)
            self.form.add_error(None, f"Target {int(row[1]) + 1}: {error.detail}")
            return
        paths = [(f"retry.{name}", name) for name in ("tries", "first_wait_s", "longest_wait_s")]
        parts.refuse(self.form, error, [*paths, *parts.rule_paths(), *self.form.guard_paths()])


def with_rows_changed(data: QueryDict) -> QueryDict:
    """What was sent with a target added (`add_target`) or removed (`remove_target`, its number)."""
    changed = data.copy()
    total = _whole(data.get(f"{PREFIX}-TOTAL_FORMS"))
    if "remove_target" in data:
        gone = _whole(data.get("remove_target"), total)
        rows = [row for key in changed if (row := _ROW.match(key)) and int(row[1]) >= gone]
        for row in sorted(rows, key=lambda row: int(row[1])):
            values = changed.getlist(row[0])
            del changed[row[0]]
            if int(row[1]) > gone:
                changed.setlist(f"{PREFIX}-{int(row[1]) - 1}-{row[2]}", values)
        total -= gone < total
    elif total < MAX_TARGETS:
        changed[f"{PREFIX}-{total}-weight"] = "1"
        last = _whole(data.get(f"{PREFIX}-{total - 1}-step"))
        changed[f"{PREFIX}-{total}-step"] = str(last)
        total += 1
    changed[f"{PREFIX}-TOTAL_FORMS"] = str(total)
    return changed


def _whole(text: Any, otherwise: int = 0) -> int:
    given = str(text or "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 6 else otherwise
