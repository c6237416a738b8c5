"""What a drafted budget would have done in the last 90 days."""

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal

from core import formats
from core.ranges import DAY
from costs.budgets.charts import Drawing, under_limit
from costs.budgets.crossings import Crossing, crossings, reading_start, running_totals
from costs.budgets.drafts import BudgetDraft
from costs.budgets.periods import day_of, day_start
from costs.budgets.selectors import hourly_amounts

DAYS = 90
SHOWN = 20
ZERO = Decimal(0)


@dataclass(frozen=True)
class Preview:
    """`crossings` oldest first; `words` say how often it would have fired."""

    draft: BudgetDraft
    crossings: list[Crossing]
    words: str
    details: str
    drawing: Drawing
    has_calls: bool
    unpriced_calls: int

    @property
    def newest(self) -> list[Crossing]:
        return self.crossings[::-1][:SHOWN]

    @property
    def hidden(self) -> int:
        return max(0, len(self.crossings) - SHOWN)


def preview_of(draft: BudgetDraft, now: dt.datetime) -> Preview:
    """Exact to the hour. The draft is taken to have held all the time: its first and last day are passed over. One
    query."""
    held = _always(draft)
    today = day_of(now, draft.time_zone)
    first = today - (DAYS - 1) * DAY
    since = day_start(first, draft.time_zone)
    hours = hourly_amounts(held, reading_start(held, since), now)
    costs = {at: one.cost_usd for at, one in hours.items()}
    found = crossings(held, costs, lambda _: draft.terms, since=since)
    days: dict[dt.date, Decimal] = {}
    for at, cost in costs.items():
        day = day_of(at, draft.time_zone)
        days[day] = days.get(day, ZERO) + cost
    totals = running_totals(held, days, first, today + DAY)
    words, details = _words(draft, found, max(totals, default=ZERO))
    return Preview(
        draft,
        found,
        words,
        details,
        under_limit(draft, first, totals, draft.amount_usd, words),
        bool(hours),
        sum(one.unpriced_calls for one in hours.values()),
    )


def _always(draft: BudgetDraft) -> BudgetDraft:
    return replace(draft, starts_on=None, ends_on=None)


def _words(draft: BudgetDraft, found: list[Crossing], highest: Decimal) -> tuple[str, str]:
    """`It would have fired 2 times in the last 90 days.` and what that means."""
    times = f"{len(found)} time{'' if len(found) == 1 else 's'}"
    words = f"It would have fired {times} in the last {DAYS} days." if found else (
        f"It would not have fired in the last {DAYS} days."
    )  # fmt: skip
    peak = f"The most in one period was {formats.money(highest)}, {formats.percent(highest / draft.amount_usd)}."
    limits = [one for one in found if one.is_limit]
    if not limits:
        return words, peak
    reached = f"The limit itself was reached {len(limits)} time{'' if len(limits) == 1 else 's'}"
    if draft.is_hard:
        return (
            words,
            f"{reached}; from then on calls through the gateway would have been refused. {peak}",
        )
    return words, f"{reached}. {peak}"
