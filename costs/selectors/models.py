"""The models a project uses: what they did, what they cost per token class, and why some calls have no price."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from core.ranges import TimeRange
from costs import caching
from costs.filters import SpendFilters
from costs.models import CostRecord
from costs.price_rules import RuleSet
from costs.prices import FLAGS, REASONS, REMEDIES, PricePeriod, period_at, price_periods
from costs.selectors import pages, spend
from costs.selectors.sums import Sums
from costs.selectors.usage import UsageMark

# Reasons are counted over the newest unpriced calls of a model, so that a model without a price stays quick to open.
MAX_LOOKED_AT = 10_000


@dataclass(frozen=True)
class ModelRow:
    """One model in use. `price` is today's with the days it holds."""

    provider: str
    model: str
    sums: Sums
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    price: PricePeriod


@dataclass(frozen=True)
class Reason:
    """Why some calls have no price, or only a part of one, and what to do about it."""

    code: str
    words: str
    remedy: str
    calls: int
    is_partial: bool

    @property
    def needs_price(self) -> bool:
        return "Set a price" in self.remedy


def models_in_use(
    project_id: UUID, period: TimeRange, *, mark: UsageMark, rules: RuleSet, now: dt.datetime
) -> list[ModelRow]:
    """Every provider and model of the range, dearest first. At most two queries."""
    used = caching.cached(
        project_id,
        mark,
        ("models.page", period.explicit),
        lambda: pages.model_usage(project_id, period, SpendFilters()),
    )
    return [
        ModelRow(
            one.provider,
            one.model,
            one.sums,
            one.first_seen_at,
            one.last_seen_at,
            price_today(one.provider, one.model, rules, now),
        )
        for one in used
    ]


def price_today(provider: str, model: str, rules: RuleSet, now: dt.datetime) -> PricePeriod:
    """The price in force now with its days. No query."""
    periods = price_periods(provider, model, rules=rules)
    found = period_at(periods, now.astimezone(dt.UTC).date())
    return found or periods[-1]


def model_sums(project_id: UUID, provider: str, model: str, period: TimeRange) -> Sums:
    """One model's sums in the range. Two queries."""
    filters = SpendFilters({"provider": (provider,), "model": (model,)})
    found = pages.model_usage(project_id, period, filters)
    return found[0].sums if found else Sums()


def daily_spend(
    project_id: UUID, provider: str, model: str, period: TimeRange
) -> Mapping[dt.datetime, Decimal]:
    """One model's spend by bin of the range; empty bins are absent. One query."""
    key = (provider, model)
    return spend.trends(project_id, period, SpendFilters(), [key], period.bin).get(key, {})


def unpriced_reasons(
    project_id: UUID, provider: str, model: str, period: TimeRange
) -> tuple[list[Reason], bool]:
    """Why calls of the model have no price or a part of one, most frequent first; whether only the newest were looked
    at. One query, on an index of such records."""
    rows = CostRecord.objects.filter(
        Q(price_status__in=["unpriced", "partial"]),
        project_id=project_id,
        provider=provider,
        model=model,
        occurred_at__gte=period.start,
        occurred_at__lt=period.end,
    ).order_by("-occurred_at")
    found: Counter[tuple[str, bool]] = Counter()
    looked = 0
    for status, reason, flags in rows.values_list("price_status", "unpriced_reason", "flags")[
        :MAX_LOOKED_AT
    ]:
        looked += 1
        if status == "unpriced":
            found[reason, False] += 1
        else:
            for flag in flags:
                if flag in FLAGS:
                    found[flag, True] += 1
    return [_reason(code, part, calls) for (code, part), calls in found.most_common()], (
        looked == MAX_LOOKED_AT
    )


def _reason(code: str, is_partial: bool, calls: int) -> Reason:
    if is_partial:
        words, remedy = FLAGS[code]
    else:
        words, remedy = REASONS.get(code, code), REMEDIES.get(code, "")
    return Reason(code, words, remedy, calls, is_partial)
