"""The calculator's form: read from the address, so that an estimate can be kept and sent as a link."""

import dataclasses
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from costs.estimates.workload import (
    HUNDRED,
    MAX_COMPARED,
    MAX_LINES,
    MAX_MONTHS,
    MAX_PARTS,
    MAX_TASKS,
    MAX_TOKENS,
    CostLine,
    Part,
    Workload,
)

_NUMBER = {"inputmode": "decimal", "autocomplete": "off", "class": "num"}
SPARE_PARTS, SPARE_LINES = 1, 1


def _percent(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=options.pop("min_value", Decimal(0)),
        max_value=HUNDRED,
        max_digits=9,
        decimal_places=4,
        widget=forms.TextInput(attrs=_NUMBER | {"placeholder": "0"}),
        **options,
    )


class PlanForm(forms.Form):
    """What holds for the whole plan."""

    tasks = forms.IntegerField(
        label="Tasks a month",
        min_value=1,
        max_value=MAX_TASKS,
        help_text="How often the work is done in the first month.",
        widget=forms.TextInput(attrs=_NUMBER),
    )
    growth = _percent(
        "Growth a month, %",
        min_value=Decimal(-100),
        help_text="Each month has so many more tasks than the one before.",
    )
    months = forms.IntegerField(
        label="Months",
        required=False,
        min_value=1,
        max_value=MAX_MONTHS,
        widget=forms.TextInput(attrs=_NUMBER | {"placeholder": "12"}),
    )
    batch = _percent("Through the batch API, %")


class PartForm(forms.Form):
    """One kind of call."""

    model = forms.CharField(
        label="Model",
        max_length=200,
        required=False,
        widget=forms.TextInput(
            attrs={
                "list": "known-models",
                "placeholder": "provider/model",
                "autocomplete": "off",
                "spellcheck": "false",
                "class": "mono",
            }
        ),
    )
    calls = forms.DecimalField(
        label="Calls per task",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(100_000),
        max_digits=12,
        decimal_places=6,
        widget=forms.TextInput(attrs=_NUMBER | {"placeholder": "1"}),
    )
    input = forms.IntegerField(
        label="Input tokens",
        required=False,
        min_value=0,
        max_value=MAX_TOKENS,
        widget=forms.TextInput(attrs=_NUMBER),
    )
    output = forms.IntegerField(
        label="Output tokens",
        required=False,
        min_value=0,
        max_value=MAX_TOKENS,
        widget=forms.TextInput(attrs=_NUMBER),
    )
    read = _percent("Cache read, %")
    written = _percent("Cache write, %")

    def clean(self) -> dict[str, Any]:
        """A row is empty or has a model and tokens; what is cached is a part of the input."""
        data: dict[str, Any] = super().clean() or {}
        has_values = any(data.get(name) not in (None, "") for name in self.fields)
        if not has_values:
            return data
        if not data.get("model") and "model" not in self.errors:
            self.add_error("model", "Name the model, as provider/model.")
        if data.get("input") is None and data.get("output") is None and not self.errors:
            self.add_error("input", "Say how many tokens a call has.")
        if (data.get("read") or 0) + (data.get("written") or 0) > HUNDRED:
            raise ValidationError(
                {"read": "Cache reads and writes are parts of the input: together at most 100 %."}
            )
        return data

    @property
    def part(self) -> Part | None:
        """The row's call; None when it is empty."""
        data = self.cleaned_data
        if not data.get("model"):
            return None
        return Part(
            data["model"].strip().lower(),
            Decimal(1) if data["calls"] is None else data["calls"],
            data["input"] or 0,
            data["output"] or 0,
            data["read"] or Decimal(0),
            data["written"] or Decimal(0),
        )


class LineForm(forms.Form):
    """What is paid besides."""

    name = forms.CharField(label="What", max_length=80, required=False)
    usd = forms.DecimalField(
        label="US dollars",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(10) ** 9,
        max_digits=16,
        decimal_places=6,
        widget=forms.TextInput(attrs=_NUMBER),
    )
    per = forms.ChoiceField(
        label="Per",
        required=False,
        choices=[("month", "month"), ("thousand", "1,000 tasks")],
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("name") and data.get("usd") is None and "usd" not in self.errors:
            self.add_error("usd", "Say what it costs.")
        return data

    @property
    def line(self) -> CostLine | None:
        """The row's cost; None when it is empty."""
        data = self.cleaned_data
        if data.get("usd") is None:
            return None
        return CostLine(data["name"] or "Other", data["usd"], data["per"] or "month")


@dataclasses.dataclass
class Calculator:
    """The forms of the page together."""

    plan: PlanForm
    parts: list[PartForm]
    lines: list[LineForm]
    compared: tuple[str, ...]
    is_filled: bool

    @property
    def is_valid(self) -> bool:
        return all(form.is_valid() for form in (self.plan, *self.parts, *self.lines))

    @property
    def workload(self) -> Workload | None:
        """None without a call. Only once valid."""
        parts = tuple(part for form in self.parts if (part := form.part))
        if not parts:
            return None
        data = self.plan.cleaned_data
        return Workload(
            tasks=data["tasks"],
            parts=parts,
            months=data["months"] or 12,
            growth_percent=data["growth"] or Decimal(0),
            batch_percent=data["batch"] or Decimal(0),
            lines=tuple(line for form in self.lines if (line := form.line)),
        )


def read_calculator(query: QueryDict) -> Calculator:
    """The forms, bound to what the address says; a fresh page has empty ones."""
    is_filled = bool(query.get("tasks") or query.get("p0-model"))
    data = query if is_filled else None
    names = dict.fromkeys(name.strip().lower()[:200] for name in query.getlist("compare"))
    compared = tuple(name for name in names if name and "\x00" not in name)[:MAX_COMPARED]
    return Calculator(
        PlanForm(data),
        [
            PartForm(data, prefix=f"p{at}")
            for at in range(_rows(query, "p", "model", SPARE_PARTS, MAX_PARTS))
        ],
        [
            LineForm(data, prefix=f"l{at}")
            for at in range(_rows(query, "l", "usd", SPARE_LINES, MAX_LINES))
        ],
        compared,
        is_filled,
    )


def _rows(query: QueryDict, prefix: str, name: str, spare: int, limit: int) -> int:
    """How many rows to show: up to the last filled one, and some to fill."""
    used = [
        at
        for at in range(limit)
        if any(query.get(f"{prefix}{at}-{field}") for field in (name, "name", "input"))
    ]
    return min(limit, (used[-1] + 1 if used else 0) + spare)


def query_of(workload: Workload, *, compared: tuple[str, ...] = ()) -> QueryDict:
    """The address of a workload."""
    query = QueryDict(mutable=True)
    query["tasks"] = str(workload.tasks)
    for name, value in (
        ("growth", workload.growth_percent),
        ("batch", workload.batch_percent),
    ):
        if value:
            query[name] = f"{value.normalize():f}"
    query["months"] = str(workload.months)
    for at, part in enumerate(workload.parts[:MAX_PARTS]):
        query[f"p{at}-model"] = part.model
        query[f"p{at}-calls"] = f"{part.calls.normalize():f}"
        query[f"p{at}-input"] = str(part.input_tokens)
        query[f"p{at}-output"] = str(part.output_tokens)
        if part.cache_read_percent:
            query[f"p{at}-read"] = f"{part.cache_read_percent.normalize():f}"
        if part.cache_write_percent:
            query[f"p{at}-written"] = f"{part.cache_write_percent.normalize():f}"
    for at, line in enumerate(workload.lines):
        query[f"l{at}-name"], query[f"l{at}-per"] = line.name, line.per
        query[f"l{at}-usd"] = f"{line.amount_usd.normalize():f}"
    if compared:
        query.setlist("compare", list(compared))
    return query
