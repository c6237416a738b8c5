"""What a connection billed, day by day and model by model, as a chart."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Sum

from core import formats
from core.charts import SLOTS, Series
from costs.billing.selectors import Billed, billed_by
from costs.models import BilledCost, BillingAccount

SHOWN = 6
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class BillChart:
    """Bars by day; the same lines' sum beside them."""

    first: dt.date
    last: dt.date
    labels: list[str]
    titles: list[str]
    series: list[Series]
    hrefs: list[str]
    summary: str
    total: Billed
    # Days of the range for which the bill has no line at all.
    empty_days: int


def bill_chart(
    account: BillingAccount, *, first: dt.date, end: dt.date, lines_url: str
) -> BillChart:
    """Dollars per day and model; lines without a rate are in `total.unconverted` alone. Two queries."""
    rows = (
        BilledCost.objects.filter(account=account, day__gte=first, day__lt=end)
        .values("day", "model")
        .annotate(usd=Sum("amount_usd"), lines=Count("id"))
    )
    sums: dict[str, dict[dt.date, Decimal]] = defaultdict(dict)
    seen = set()
    for row in rows:
        seen.add(row["day"])
        if row["usd"] is not None:
            sums[row["model"]][row["day"]] = row["usd"]
    days = [first + DAY * n for n in range((end - first).days)]
    total = billed_by([account.pk], first, end)[account.pk]
    last = end - DAY
    return BillChart(
        first=first,
        last=last,
        labels=[f"{day:%b} {day.day}" for day in days],
        titles=[f"{day:%a, %b} {day.day}" for day in days],
        series=_series(sums, days),
        hrefs=[f"{lines_url}&from={day}&to={day}" for day in days],
        summary=f"Billed per day from {first} to {last}: {formats.money(total.usd)} in all.",
        total=total,
        empty_days=len(days) - len(seen),
    )


def _series(sums: dict[str, dict[dt.date, Decimal]], days: list[dt.date]) -> list[Series]:
    ranked = sorted(sums, key=lambda model: (-sum(sums[model].values()), model))
    found = [
        Series(model or "No model named", [sums[model].get(day, 0) for day in days], slot)
        for model, slot in zip(ranked[:SHOWN], SLOTS, strict=False)
    ]
    if rest := ranked[SHOWN:]:
        values = [
            sum((sums[model].get(day, Decimal(0)) for model in rest), Decimal(0)) for day in days
        ]
        found.append(Series(f"{len(rest)} others", values, "co"))
    return found
