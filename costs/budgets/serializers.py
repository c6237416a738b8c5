"""Shapes of budgets in the API. What a budget may say is checked by costs.budgets.drafts."""

from typing import Any

from rest_framework import serializers

from costs.budgets.overview import Row
from costs.models import BudgetPeriod, BudgetScope
from costs.serializers import AmountField

STATES = [(one, one) for one in ("ok", "warning", "over", "paused", "planned", "ended")]


class BudgetDraftSerializer(serializers.Serializer[Any]):
    """A budget to save or to preview."""

    name = serializers.CharField(max_length=120)
    scope = serializers.ChoiceField(choices=BudgetScope.choices)
    value = serializers.CharField(
        required=False, help_text="Team, user, id of an API key, model, tag or agent; else empty"
    )  # fmt: skip
    project = serializers.CharField(required=False, help_text="Slug or id; empty: all projects")
    period = serializers.ChoiceField(choices=BudgetPeriod.choices)
    rolling_days = serializers.IntegerField(
        required=False, help_text="Of a rolling period: 2 to 366"
    )
    time_zone = serializers.CharField(required=False, help_text="Whose days count; default UTC")
    amount_usd = serializers.CharField(help_text="Decimal string")
    thresholds = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="Percents; 100 always counts"
    )
    is_hard = serializers.BooleanField(
        required=False, help_text="The gateway and SDKs refuse calls beyond it"
    )
    starts_on = serializers.DateField(required=False)
    ends_on = serializers.DateField(required=False, help_text="Included")
    note = serializers.CharField(required=False)


class BudgetPauseSerializer(serializers.Serializer[Any]):
    """What PATCH changes."""

    is_paused = serializers.BooleanField()


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget and how it stands. Written from an overview.Row by `budget_json`."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(choices=BudgetScope.choices)
    value = serializers.CharField(allow_blank=True)
    project = serializers.CharField(allow_null=True, help_text="Slug; null: all projects")
    period = serializers.ChoiceField(choices=BudgetPeriod.choices)
    rolling_days = serializers.IntegerField(allow_null=True)
    time_zone = serializers.CharField()
    amount_usd = AmountField()
    thresholds = serializers.ListField(child=serializers.IntegerField())
    is_hard = serializers.BooleanField()
    is_paused = serializers.BooleanField()
    starts_on = serializers.DateField(allow_null=True)
    ends_on = serializers.DateField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=STATES)
    spent_usd = AmountField(help_text="Of the running period, calls with a price only")
    remaining_usd = AmountField(help_text="Below zero when more was spent than allowed")
    share = AmountField(help_text="Spent by amount: 0.8 is 80 %")
    unpriced_calls = serializers.IntegerField(help_text="Calls that count with no known cost")
    crossed = serializers.ListField(child=serializers.IntegerField(), help_text="Percents reached")
    is_blocking = serializers.BooleanField(help_text="A hard limit that is reached")
    period_starts_at = serializers.DateTimeField()
    resets_at = serializers.DateTimeField()
    outlook = serializers.CharField(help_text="Where it leads, in words")
    runs_out_on = serializers.DateField(allow_null=True)


def budget_json(row: Row) -> dict[str, Any]:
    """The JSON of one budget."""
    budget, now = row.budget, row.standing
    names = (
        "id", "name", "scope", "value", "period", "rolling_days", "time_zone", "amount_usd", "thresholds",
        "is_hard", "is_paused", "starts_on", "ends_on", "note",
    )  # fmt: skip
    found: dict[str, Any] = {name: getattr(budget, name) for name in names}
    found |= {
        "project": budget.project.slug if budget.project else None,
        "state": now.state,
        "spent_usd": now.spent_usd,
        "remaining_usd": now.remaining_usd,
        "share": round(now.share, 6),
        "unpriced_calls": now.unpriced_calls,
        "crossed": list(now.crossed),
        "is_blocking": now.is_blocking,
        "period_starts_at": now.period.counts_from,
        "resets_at": now.resets_at,
        "outlook": row.outlook.words,
        "runs_out_on": row.outlook.gone_on,
    }
    return dict(BudgetSerializer(found).data)


class BudgetPageSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/organizations/<organization>/budgets`."""

    results = BudgetSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page")


class ApplyingBudgetSerializer(BudgetSerializer):
    """A budget, and what a program can tell of it by itself."""

    counts_every_call = serializers.BooleanField(
        help_text="True for the organisation, the project and the API key that asks, or a team that has all their"
        " calls; else it depends on the call"
    )  # fmt: skip
    counts_by_rules = serializers.BooleanField(
        help_text="A team's, and the organisation's allocation rules say whose a call is: the server tells which calls"
        " count (ask with user, tag and key), the tag team:<name> alone does not"
    )  # fmt: skip


class ApplyingSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/projects/<project>/budgets`."""

    results = ApplyingBudgetSerializer(many=True)
    strictest = serializers.UUIDField(
        allow_null=True, help_text="Of those that count the call: the hard one with the least left, else the soft one"
    )  # fmt: skip
    remaining_usd = AmountField(
        allow_null=True, help_text="What the strictest leaves; null without one"
    )
    is_blocked = serializers.BooleanField(
        help_text="A hard limit is reached: the gateway refuses such a call"
    )
    as_of = serializers.DateTimeField()
    poll_after_seconds = serializers.IntegerField(
        help_text="Ask again no sooner, with If-None-Match"
    )


class CrossingSerializer(serializers.Serializer[Any]):
    """A share that was reached in the hour from `at`."""

    at = serializers.DateTimeField()
    percent = serializers.IntegerField(source="mark", help_text="100 is the limit")
    spent_usd = AmountField()
    is_block = serializers.BooleanField(
        help_text="A hard limit: calls refused until the period's end"
    )
    period_starts_at = serializers.DateTimeField(source="period.starts_at")
    period_ends_at = serializers.DateTimeField(source="period.ends_at")


class BudgetPreviewSerializer(serializers.Serializer[Any]):
    """What a draft would have done in the last 90 days."""

    times = serializers.IntegerField(help_text="How often it would have fired")
    words = serializers.CharField()
    details = serializers.CharField()
    unpriced_calls = serializers.IntegerField()
    crossings = CrossingSerializer(many=True, help_text="Oldest first")


class PastPeriodSerializer(serializers.Serializer[Any]):
    """One period: what was spent, and the limit that held at its end."""

    starts_at = serializers.DateTimeField(source="period.starts_at")
    ends_at = serializers.DateTimeField(source="period.ends_at")
    spent_usd = AmountField(source="spent.cost_usd")
    calls = serializers.IntegerField(source="spent.calls")
    unpriced_calls = serializers.IntegerField(source="spent.unpriced_calls")
    amount_usd = AmountField(source="terms.amount_usd")
    is_over = serializers.BooleanField()
    is_running = serializers.BooleanField()


class BudgetHistorySerializer(serializers.Serializer[Any]):
    """A budget's past."""

    periods = PastPeriodSerializer(many=True, source="past", help_text="Newest first, at most 12")
    crossings = CrossingSerializer(many=True, help_text="Of the last 90 days, newest first")
