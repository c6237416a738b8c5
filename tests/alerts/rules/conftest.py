"""A measure whose past is made up by the test, in the place of the real one."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.measures import registry
from alerts.measures.base import Evidence, History, Point, Reading
from alerts.models import Alert
from tests.factories.projects import ProjectFactory

CALLS = frozenset(
    ("environment", "provider", "model", "agent", "user_id", "tag", "direction", "compare_with", "window",
     "minimum_sample", "pending", "recover", "no_data")
)  # fmt: skip


@dataclass
class MadeUp:
    """A share of failed calls; `past` holds a value for each of the last hours, newest last."""

    kind: str = "error_rate"
    label: str = "Error rate"
    unit: str = "percent"
    help: str = "The share of calls that failed."
    fields: frozenset[str] = CALLS
    is_windowed: bool = True
    past: list[Any] = field(default_factory=list)
    now_value: Decimal | None = Decimal("3.2")

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        return [Reading(one, self.now_value, sample=100) for one in alerts]

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        first = end - dt.timedelta(hours=len(self.past))
        points = [
            Point(first + dt.timedelta(hours=n + 1), None if one is None else Decimal(one))
            for n, one in enumerate(self.past)
        ]
        return History(points, dt.timedelta(hours=1), samples=[100] * len(points), note="By hour.")

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        return Evidence()


@pytest.fixture
def errors() -> Iterator[MadeUp]:
    """Error rates as the test says."""
    made = MadeUp()
    before = dict(registry._MEASURES)
    registry.register(made)
    yield made
    registry._MEASURES.clear()
    registry._MEASURES.update(before)


@pytest.fixture
def project(acme: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


@pytest.fixture
def now() -> dt.datetime:
    return timezone.now()
