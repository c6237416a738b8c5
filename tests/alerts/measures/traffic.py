"""Calls for measures: recorded as ingestion does, rolled as the task does."""

import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from alerts.measures.needs import roll_minutes
from alerts.models import Alert
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from projects.models import Project
from tests.factories.alerts import AlertFactory

MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
# Evaluations are some seconds after a full minute: they see what happened before noon.
NOON = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - 24 * HOUR
NOW = NOON + dt.timedelta(seconds=20)
_numbers = itertools.count()


def call(at: dt.datetime, **facts: Any) -> ChargeableCall:
    values = {"provider": "openai", "model": "gpt-4o-mini", "client_cost_usd": Decimal("0.25"), **facts}  # fmt: skip
    return ChargeableCall(record_id=f"call-{next(_numbers)}", occurred_at=at, **values)


def calls(count: int, *, end: dt.datetime = NOON, **facts: Any) -> list[ChargeableCall]:
    """So many before `end`, one a minute, the last one a second before it."""
    last = end - dt.timedelta(seconds=1)
    return [call(last - number * MINUTE, **facts) for number in range(count)]


def send(project: Project, found: Sequence[ChargeableCall], *, now: dt.datetime = NOW) -> None:
    record_costs(project_id=project.pk, calls=found, now=now)


def rule(project: Project, kind: str = "error_rate", **values: Any) -> Alert:
    return AlertFactory.create(
        organization=project.organization, project=project, kind=kind, **values
    )


def roll(now: dt.datetime = NOW) -> None:
    """Often enough that older minutes, filled piece by piece, are there."""
    for _ in range(2):
        roll_minutes(now)
