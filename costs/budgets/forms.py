"""The form of a budget. What may be is decided by costs.budgets.drafts; the form only carries it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms

from core.errors import DomainError
from core.formats import plain_decimal
from core.person_formats import time_zones
from costs.budgets.drafts import BudgetDraft, read_draft
from costs.models import Budget, BudgetPeriod, BudgetScope
from projects.models import Project


class BudgetForm(forms.Form):
    """A new budget, or a changed one."""

    name = forms.CharField(
        max_length=120, label="Name", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    amount_usd = forms.CharField(
        max_length=40,
        label="Amount in US dollars",
        help_text="What may be spent in one period: 18000 or 18,000.50.",
        widget=forms.TextInput(
            attrs={"inputmode": "decimal", "autocomplete": "off", "class": "num"}
        ),
    )
    period = forms.ChoiceField(choices=BudgetPeriod.choices, label="Period", initial="monthly")
    rolling_days = forms.CharField(
        required=False,
        max_length=4,
        label="Days of a rolling period",
        help_text="30: today and the 29 days before it, at any time.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    scope = forms.ChoiceField(
        choices=BudgetScope.choices, label="Counts the calls of", initial="organization"
    )
    project = forms.ChoiceField(
        required=False,
        label="Project",
        help_text="Needed for a project; for the others it narrows.",
    )
    value = forms.CharField(
        required=False,
        max_length=200,
        label="Which one",
        help_text="The team, user, API key, model, tag or agent, as your calls are recorded.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "known-values"}),
    )
    thresholds = forms.CharField(
        required=False,
        max_length=80,
        label="Tell at, in percent",
        initial="50, 80",
        help_text="The limit itself, 100, always counts.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    is_hard = forms.BooleanField(
        required=False,
        label="Hard limit: the gateway refuses calls that would go beyond it",
    )
    time_zone = forms.ChoiceField(label="Days begin at midnight in", initial="UTC")
    starts_on = forms.DateField(
        required=False, label="First day", widget=forms.DateInput(attrs={"type": "date"})
    )
    ends_on = forms.DateField(
        required=False, label="Last day", widget=forms.DateInput(attrs={"type": "date"})
    )
    note = forms.CharField(
        required=False,
        max_length=1000,
        label="Note",
        help_text="Why this much, and whom to ask.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(
        self, *args: Any, organization_id: UUID, projects: Sequence[Project], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.organization_id = organization_id
        self.fields["project"].choices = [  # type: ignore[attr-defined]
            ("", "All projects"), *((str(one.pk), one.name) for one in projects)
        ]  # fmt: skip
        self.fields["time_zone"].choices = [(name, name) for name in time_zones()]  # type: ignore[attr-defined]

    def draft(self) -> BudgetDraft | None:
        """The checked budget; None with the errors at their fields. At most two queries."""
        if not self.is_valid():
            return None
        try:
            return read_draft(self.organization_id, self.cleaned_data)
        except DomainError as error:
            self.refuse(error)
            return None

    def refuse(self, error: DomainError) -> None:
        """Show a refusal at the field it names, else above the form."""
        named = error.fields[0] if error.fields else ""
        self.add_error(named if named in self.fields else None, error.detail)


def initial_of(budget: Budget) -> dict[str, Any]:
    """A form filled with a stored budget."""
    return {
        "name": budget.name,
        "amount_usd": plain_decimal(budget.amount_usd),
        "period": budget.period,
        "rolling_days": budget.rolling_days or "",
        "scope": budget.scope,
        "project": str(budget.project_id or ""),
        "value": budget.value,
        "thresholds": ", ".join(map(str, budget.thresholds)),
        "is_hard": budget.is_hard,
        "time_zone": budget.time_zone,
        "starts_on": budget.starts_on,
        "ends_on": budget.ends_on,
        "note": budget.note,
    }
