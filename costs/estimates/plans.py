"""A plan and the same work on other models."""

import datetime as dt
from collections.abc import Sequence

from django.conf import settings

from costs.estimates.estimate import Estimate, estimate
from costs.estimates.workload import Workload
from costs.price_rules import RuleSet

OWN = "As planned"


def retention() -> dt.timedelta:
    """How far back records reach."""
    return dt.timedelta(days=settings.LLMLAB_RETENTION_DAYS)


def compared_plans(
    workload: Workload, models: Sequence[str], *, rules: RuleSet, now: dt.datetime
) -> list[Estimate]:
    """The plan first, then every call on each of `models`, the cheapest first and those without a price last."""
    own = estimate(workload, name=OWN, rules=rules, now=now)
    others = [
        estimate(workload.on(model), name=model, rules=rules, now=now)
        for model in dict.fromkeys(models)
    ]
    others.sort(key=lambda one: (one.total_usd is None, one.total_usd or 0, one.name))
    return [own, *others]
