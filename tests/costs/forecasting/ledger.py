"""A ledger with months of days, written straight into the tables: what forecasts read."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from core import jobs
from core.models import Job
from costs.forecasting.services import start_refresh
from costs.models import CostDailyAggregate, CostDay
from tests.factories.costs import CostRecordFactory

TODAY = dt.date(2026, 11, 16)
NOW = dt.datetime(2026, 11, 16, 6, 30, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
OFFICE = (1.1, 1.1, 1.1, 1.0, 1.0, 0.4, 0.4)


def office_day(day: dt.date, level: float = 100.0, seed: int = 1) -> Decimal:
    """A day of the week's usual shape with a little noise, always the same."""
    noise = np.random.default_rng([seed, day.toordinal()]).normal(1, 0.05)
    return Decimal(f"{level * OFFICE[day.weekday()] * noise:.6f}")


def write_days(
    project: Any,
    count: int,
    amount: Callable[[dt.date], Decimal] = office_day,
    *,
    provider: str = "openai",
    model: str = "gpt-4o",
    today: dt.date = TODAY,
) -> None:
    """`count` whole days before today."""
    days = [today - place * DAY for place in range(1, count + 1)]
    CostDailyAggregate.objects.bulk_create(
        CostDailyAggregate(
            project_id=project.pk,
            hour=dt.datetime.combine(day, dt.time(), dt.UTC),
            dimension="all",
            provider=provider,
            model=model,
            environment="production",
            agent="support",
            calls=100,
            cost_usd=amount(day),
        )
        for day in days
    )
    CostDay.objects.bulk_create(
        (CostDay(project_id=project.pk, day=day) for day in days), ignore_conflicts=True
    )


def add_calls(project: Any, day: dt.date, cost: str, calls: int = 1, **fields: Any) -> None:
    """Records of one day that cost `cost` together."""
    at = dt.datetime.combine(day, dt.time(9), dt.UTC)
    for _ in range(calls):
        CostRecordFactory.create(
            project_id=project.pk, occurred_at=at, cost_usd=Decimal(cost) / calls, **fields
        )


def refresh(project: Any, *, now: dt.datetime = NOW) -> Job:
    """The organisation's job from its start to its end."""
    job = start_refresh(organization_id=project.organization_id, now=now)
    finish(job, now=now)
    return job


def finish(job: Job, *, now: dt.datetime = NOW) -> None:
    for _ in range(40):
        job.refresh_from_db()
        if not job.is_open:
            break
        jobs.handle_step(payload={"job_id": str(job.pk)}, now=now)
    assert job.state == Job.State.DONE, job.message
