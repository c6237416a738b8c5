"""The form of a rule: the fields its measure names and no others. What may be is decided by alerts.rules.drafts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from alerts.measures.base import Measure, usual_direction
from alerts.models import (
    Alert,
    AlertChannel,
    AlertKind,
    Channel,
    CompareWith,
    Direction,
    NoData,
    Severity,
)
from alerts.rules.drafts import BY_MEASURE, FILTERS, RuleDraft, measure_fields, read_draft
from alerts.rules.words import span_words
from core.errors import DomainError
from core.formats import plain_decimal
from projects.models import Project

WINDOWS = (5, 10, 15, 30, 60, 180, 360, 720, 1440, 4320, 10080)
REMINDERS = (24, 48, 72, 168)
_TEXT = {"autocomplete": "off"}
_WHOLE = {"autocomplete": "off", "inputmode": "numeric"}


@dataclass(frozen=True)
class LevelRow:
    """A limit as it is typed, and with which severity."""

    limit: str
    severity: str


def _suggested(name: str, label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs=_TEXT | {"list": f"known-{name}"})
    return forms.CharField(
        required=False, max_length=200, label=label, help_text=help_text, widget=widget
    )


def _minutes(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        required=False, max_length=6, label=label, help_text=help_text, widget=forms.TextInput(attrs=_WHOLE)
    )  # fmt: skip


class RuleForm(forms.Form):
    """A new rule, or a changed one. The kind was chosen before; levels are rows of `level_limit`, `level_severity`."""

    name = forms.CharField(max_length=120, label="Name", widget=forms.TextInput(attrs=_TEXT))
    project = forms.ChoiceField(required=False, label="Project")
    budget = forms.ChoiceField(required=False, label="Budget")
    score_name = _suggested("score_name", "Score", "The name of the scores, as they are recorded.")
    percentile = forms.CharField(
        required=False, max_length=2, label="Percentile", initial="95",
        help_text="95: so slow or slower is one call in twenty.", widget=forms.TextInput(attrs=_WHOLE),
    )  # fmt: skip
    provider = _suggested("provider", "Provider")
    model = _suggested("model", "Model")
    agent = _suggested("agent", "Agent")
    environment = _suggested("environment", "Environment")
    user_id = _suggested("user_id", "User")
    tag = _suggested("tag", "Tag", "A user or a tag, not both: the sums keep no pairs.")
    direction = forms.ChoiceField(choices=Direction.choices, label="Fires when the value")
    compare_with = forms.ChoiceField(
        choices=CompareWith.choices, label="Compare with",
        help_text="Against the window before, limits are the change in percent: 50 is half as much again, -50 is half.",
    )  # fmt: skip
    window_minutes = forms.ChoiceField(label="Over the last")
    minimum_sample = forms.CharField(
        required=False, max_length=7, label="Fewest calls to judge",
        help_text="With fewer in the window there is nothing to say: one failed call of two is no 50%.",
        widget=forms.TextInput(attrs=_WHOLE),
    )  # fmt: skip
    pending_minutes = _minutes(
        "Fires after, in minutes", "How long the limit must be passed. Empty: at once."
    )
    recover_margin = forms.DecimalField(
        required=False, min_value=Decimal(0), max_value=Decimal(90), decimal_places=2,
        label="Recovers, percent back from the limit",
        help_text="A value that swings around its limit fires once: with 5, a limit of 100 is left at 95.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "decimal"}),
    )  # fmt: skip
    recover_minutes = _minutes("Kept for, in minutes", "How long it must be back. Empty: at once.")
    on_no_data = forms.ChoiceField(choices=NoData.choices, label="When there are too few calls")
    channels = forms.MultipleChoiceField(
        required=False, label="Tell", widget=forms.CheckboxSelectMultiple
    )
    escalate_minutes = _minutes(
        "Escalate after, in minutes",
        "When nobody acknowledged by then, the channels under it are told too. Empty: never.",
    )
    escalation_channels = forms.MultipleChoiceField(
        required=False, label="Escalate to", widget=forms.CheckboxSelectMultiple
    )
    remind_hours = forms.ChoiceField(required=False, label="Tell again")
    note = forms.CharField(
        required=False, max_length=2000, label="Note", help_text="What to do about it. It stands in every message.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip

    def __init__(
        self,
        *args: Any,
        organization_id: UUID,
        measure: Measure,
        projects: Sequence[Project],
        budgets: Sequence[tuple[str, str]] = (),
        channels: Sequence[Channel] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id, self.measure = organization_id, measure
        has = measure_fields(measure)
        for name in BY_MEASURE:
            if name in self.fields and name not in has:
                del self.fields[name]
        for name, label in getattr(measure, "labels", {}).items():
            self.fields[name].label = label
        self._choose("project", [("", "All projects"), *((str(p.pk), p.name) for p in projects)])
        self._choose("budget", [("", "Every budget"), *budgets])
        listed = [(str(one.pk), _named(one)) for one in channels]
        self._choose("channels", listed)
        self._choose("escalation_channels", listed)
        spans = _with(WINDOWS, self._given("window_minutes"))
        self._choose("window_minutes", [(str(one), span_words(one)) for one in spans])
        hours = [(str(one), f"every {one} hours") for one in _with(REMINDERS, self._given("remind_hours"))]  # fmt: skip
        self._choose("remind_hours", [("", "No, once is enough"), *hours])
        self.levels = self._level_rows()

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        if name in self.fields:
            self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _given(self, name: str) -> int | None:
        """A stored number that is none of those offered stays one of the choices."""
        text = str(self.initial.get(name) or (self.data.get(name, "") if self.is_bound else ""))
        is_number = text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) > 0
        return int(text) if is_number else None

    def _level_rows(self) -> list[LevelRow]:
        if not self.is_bound:
            rows = self.initial.get("levels") or [{"limit": "", "severity": "warning"}]
            return [LevelRow(str(one["limit"]), str(one["severity"])) for one in rows]
        sent: Any = self.data
        limits, severities = sent.getlist("level_limit"), sent.getlist("level_severity")
        rows = [
            LevelRow(limit[:40], severity[:20])
            for limit, severity in zip(limits[:20], severities[:20], strict=False)
        ]
        removed = self.data.get("remove_level", "")
        if removed.isascii() and removed.isdigit() and int(removed[:3]) < len(rows):
            rows.pop(int(removed[:3]))
        if "add_level" in self.data or not rows:
            rows.append(LevelRow("", rows[-1].severity if rows else Severity.WARNING))
        return rows

    def draft(self, *, is_enabled: bool = True) -> RuleDraft | None:
        """The checked rule; None with the errors at their fields. At most three queries."""
        if not self.is_valid():
            return None
        data: dict[str, Any] = dict(self.cleaned_data)
        data["kind"], data["is_enabled"] = self.measure.kind, is_enabled
        data["levels"] = [
            {"limit": row.limit, "severity": row.severity} for row in self.levels if row.limit.strip()
        ]  # fmt: skip
        if not data["levels"]:
            self.refuse(DomainError("Type a limit: at least one is needed.", fields=["levels"]))
            return None
        if (margin := data.pop("recover_margin", None)) is not None:
            data["recover_margin"] = margin / 100
        try:
            return read_draft(self.organization_id, data)
        except DomainError as error:
            self.refuse(error)
            return None

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        if named == "levels":
            self.level_error = error.detail
        self.add_error(named if named in self.fields else None, error.detail)

    @property
    def filter_fields(self) -> list[Any]:
        """The bound fields that narrow what is watched."""
        return [self[name] for name in FILTERS if name in self.fields]

    @property
    def has_filters(self) -> bool:
        return bool(self.filter_fields)

    @property
    def is_narrowed(self) -> bool:
        """Something under "Only some calls" is filled in or wrong."""
        return any(one.value() or one.errors for one in self.filter_fields)

    @property
    def is_timing_wrong(self) -> bool:
        names = ("pending_minutes", "recover_margin", "recover_minutes")
        return any(self[one].errors for one in names if one in self.fields)

    @property
    def is_telling_more(self) -> bool:
        names = ("remind_hours", "escalate_minutes", "escalation_channels")
        return any(self[one].value() or self[one].errors for one in names)

    @property
    def level_help(self) -> str:
        """What a limit means for this kind."""
        if self.measure.kind in (AlertKind.BUDGET, AlertKind.FORECAST):
            return "Percent of the budget, one limit per severity: 50, 80 and 100."
        return "Reaching a limit counts. A second, further limit can be more severe; it raises the same incident."

    level_error = ""
    # A level was added or removed: what is missing is no fault yet.
    is_asked_for_more = False


def _with(offered: Iterable[int], given: int | None) -> list[int]:
    return sorted({*offered, *([given] if given else [])})


def _named(channel: Channel) -> str:
    words = f"{channel.name} ({channel.get_kind_display()})"
    return words if channel.is_enabled else f"{words}, switched off"


def initial_of(alert: Alert) -> dict[str, Any]:
    """A form filled with a stored rule. One query (its channels)."""
    plain = (
        "name", "score_name", "percentile", "provider", "model", "agent", "environment", "user_id", "tag",
        "direction", "compare_with", "window_minutes", "minimum_sample", "on_no_data", "note", "levels",
    )  # fmt: skip
    found: dict[str, Any] = {name: getattr(alert, name) for name in plain}
    for name in ("pending_minutes", "recover_minutes", "escalate_minutes", "remind_hours"):
        found[name] = getattr(alert, name) or ""
    found["recover_margin"] = plain_decimal(alert.recover_margin * 100)
    found["project"], found["budget"] = str(alert.project_id or ""), str(alert.budget_id or "")
    found["channels"], found["escalation_channels"] = [], []
    for one in AlertChannel.objects.filter(alert=alert):
        name = "escalation_channels" if one.is_escalation else "channels"
        found[name].append(str(one.channel_id))
    return found


def initial_of_new(measure: Measure, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A new rule's form: what fits most, over it `values`."""
    found: dict[str, Any] = {
        "window_minutes": 15,
        "recover_margin": "5",
        "direction": usual_direction(measure),
        "compare_with": CompareWith.VALUE,
        "on_no_data": NoData.KEEP,
    }
    return found | {"name": measure.label} | dict(values or {})
