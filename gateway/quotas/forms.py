"""Forms of limits. What may be is decided by the services; forms only carry it."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.html import escape

from core.errors import DomainError
from gateway.models import Limit, LimitMetric, LimitScope, LimitWindow
from gateway.quotas.deciding import plain
from projects.models import Project

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
KINDS = [
    ("hard", "Hard: calls beyond it are refused"),
    ("soft", "Soft: calls go on, answers say so in a header"),
]


def refuse(form: forms.Form, error: DomainError) -> None:
    """Show a refusal at the field it names, else above the form."""
    named = error.fields[0] if error.fields else ""
    places = (named, {"is_hard": "kind", "value": "value"}.get(named, ""))
    form.add_error(next((one for one in places if one in form.fields), None), error.detail)


class ChangeForm(forms.Form):
    """What may change: name, amount, hard or soft."""

    name = forms.CharField(max_length=120, label="Name", help_text="What refusals call it.")
    amount = forms.DecimalField(
        label="Amount",
        help_text="Requests, tokens, dollars or calls at once; dollars may have decimals.",
        widget=forms.TextInput(attrs=_PLAIN | {"inputmode": "decimal"}),
    )
    kind = forms.ChoiceField(label="Beyond it", choices=KINDS, widget=forms.RadioSelect)

    def __init__(self, *args: Any, limit: Limit | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].initial = "soft" if limit and not limit.is_hard else "hard"
        if limit is not None:
            self.fields["name"].initial = limit.name
            self.fields["amount"].initial = plain(limit.amount)

    def values(self) -> dict[str, Any]:
        """As services.change_limit takes it."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "amount": data["amount"],
            "is_hard": data["kind"] == "hard",
        }


class LimitForm(ChangeForm):
    """A new limit."""

    scope = forms.ChoiceField(
        label="Counts together the calls of",
        choices=LimitScope.choices,
        help_text="Without a name below, each key, user, tag, model or project is counted on its own.",
    )
    value = forms.CharField(
        label="Only this user, tag or model",
        required=False,
        max_length=200,
        help_text="As calls name it; empty: each on its own.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    metric = forms.ChoiceField(label="What is counted", choices=LimitMetric.choices)
    window = forms.ChoiceField(
        label="Per",
        required=False,
        choices=LimitWindow.choices,
        help_text="By the clock in UTC; weeks begin on Monday. Calls at once have no window.",
    )
    field_order = ["name", "metric", "amount", "window", "scope", "value", "key", "project", "kind"]

    def __init__(
        self, *args: Any, projects: list[Project], keys: list[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["window"].initial = LimitWindow.MONTH.value
        self.fields["metric"].initial = LimitMetric.USD.value
        self.fields["key"] = forms.ChoiceField(
            label="Only this API key",
            required=False,
            choices=[("", "Each key on its own"), *keys],
            help_text=escape("For the scope API key."),
        )
        self.fields["project"] = forms.ChoiceField(
            label="Only calls of",
            required=False,
            choices=[("", "All projects"), *((str(one.pk), one.name) for one in projects)],
        )
        self.order_fields(self.field_order)

    def values(self) -> dict[str, Any]:
        """As services.create_limit takes it."""
        data = self.cleaned_data
        is_key = data["scope"] == LimitScope.KEY
        metric = data["metric"]
        return super().values() | {
            "scope": data["scope"],
            "value": data["key"] if is_key else data["value"],
            "metric": metric,
            # The window shown beside "calls at once" means nothing.
            "window": "" if metric == LimitMetric.CONCURRENCY else data["window"],
            "project_id": UUID(data["project"]) if data["project"] else None,
        }
