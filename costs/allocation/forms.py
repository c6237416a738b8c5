"""Forms of teams and rules."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms

from costs.allocation.services import HUNDRED, TeamDraft
from costs.models import RuleField, SplitMethod, Team


class TeamForm(forms.Form):
    """A team; for a pool with fixed shares one percent field per team that could get some."""

    name = forms.CharField(max_length=80)
    cost_centre = forms.CharField(
        label="Cost centre", max_length=80, required=False, help_text="What your accounts call it."
    )
    is_shared = forms.BooleanField(
        label="A shared pool: what it costs is passed on to the other teams", required=False
    )
    method = forms.ChoiceField(
        label="Pass it on", choices=SplitMethod.choices, required=False, initial=SplitMethod.SHARE
    )

    def __init__(self, *args: Any, others: Sequence[Team] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.others = list(others)
        for team in self.others:
            self.fields[f"percent_{team.pk}"] = forms.DecimalField(
                label=f"{team.name}, %",
                required=False,
                min_value=Decimal(0),
                max_value=HUNDRED,
                max_digits=9,
                decimal_places=6,
                widget=forms.TextInput(attrs={"inputmode": "decimal", "class": "num"}),
            )

    @property
    def percent_fields(self) -> list[Any]:
        return [self[f"percent_{team.pk}"] for team in self.others]

    @property
    def draft(self) -> TeamDraft:
        """What was said. Only once valid."""
        data = self.cleaned_data
        percents = {
            str(team.pk): data[f"percent_{team.pk}"]
            for team in self.others
            if data.get(f"percent_{team.pk}")
        }
        return TeamDraft(
            data["name"].strip(),
            data["cost_centre"].strip(),
            data["is_shared"],
            data["method"] or SplitMethod.SHARE,
            percents,
        )


def initial_of(team: Team) -> dict[str, Any]:
    """A form filled with a team."""
    return {
        "name": team.name,
        "cost_centre": team.cost_centre,
        "is_shared": team.is_shared,
        "method": team.method,
        **{f"percent_{key}": percent for key, percent in team.percents.items()},
    }


class RuleForm(forms.Form):
    """One rule: the field and its value. Projects and keys are chosen, tags and users are written."""

    team = forms.UUIDField()
    field = forms.ChoiceField(choices=RuleField.choices)
    value = forms.CharField(max_length=200, required=False)
    project = forms.CharField(max_length=60, required=False)
    api_key = forms.CharField(max_length=60, required=False)

    @property
    def chosen_value(self) -> str:
        """The value that goes with the field."""
        data = self.cleaned_data
        name = data["field"] if data["field"] in (RuleField.PROJECT, RuleField.API_KEY) else "value"
        value: str = data[name]
        return value
