"""What rules are judged by: calls as a committed batch leaves them, days of bills."""

import datetime as dt
from decimal import Decimal
from typing import Any

from alerts.models import Delivery
from costs.models import ReconciledDay
from tests.factories.costs import add_hour

NOW = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
LEVELS = [
    {"limit": str(limit), "severity": severity}
    for limit, severity in ((50, "info"), (80, "warning"), (100, "critical"))
]


def spend(project: Any, usd: Any, at: dt.datetime = NOW - HOUR) -> None:
    """Calls as a committed batch leaves them."""
    add_hour(
        project.pk,
        at.replace(minute=0, second=0, microsecond=0),
        cost_usd=Decimal(str(usd)),
        agent=f"a{usd}{at:%d%H%M}",
    )
    project.usage.version += 1
    project.usage.save()


def told() -> list[str]:
    return [one.action for one in Delivery.objects.order_by("pk")]


def reconciled(
    organization: Any, billed: int, recorded: int, day: dt.date | None = None, **values: Any
) -> ReconciledDay:
    made: ReconciledDay = ReconciledDay.objects.create(
        organization=organization, provider=values.pop("provider", "openai"), day=day or NOW.date() - 3 * DAY,
        billed_usd=billed, recorded_usd=recorded, computed_at=NOW, **values,
    )  # fmt: skip
    return made
