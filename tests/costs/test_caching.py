"""Cached cost answers: kept while nothing changes, never stale after a call (Redis away: tests/core/test_cache.py)."""

import datetime as dt
from decimal import Decimal

import pytest

from core.ranges import TimeRange
from costs import caching
from costs.filters import SpendFilters
from costs.selectors import spend
from costs.selectors.usage import UsageMark, usage_mark
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def test_an_answer_is_computed_once_per_version_and_question() -> None:
    project = ProjectFactory.create()
    made = []

    def compute() -> str:
        made.append(1)
        return "answer"

    for mark, question in ((1, ("a",)), (1, ("a",)), (2, ("a",)), (1, ("b",))):
        assert caching.cached(project.pk, UsageMark(mark), question, compute) == "answer"
    assert len(made) == 3


def test_an_answer_of_nothing_is_kept_too() -> None:
    project = ProjectFactory.create()
    made = []
    for _ in range(2):
        assert caching.cached(project.pk, UsageMark(1), ("none",), lambda: made.append(1)) is None
    assert len(made) == 1


def test_a_recorded_call_is_in_the_next_answer() -> None:
    project = ProjectFactory.create()
    now = dt.datetime.now(dt.UTC)
    period = TimeRange(now - dt.timedelta(hours=2), now, "").whole_hours()

    def spent() -> Decimal:
        return caching.cached(
            project.pk,
            usage_mark(project.pk),
            ("total",),
            lambda: spend.spend_total(project.pk, period, SpendFilters()).current.cost_usd,
        )

    assert spent() == 0
    for number in range(1, 4):
        call = ChargeableCall(
            record_id=f"r{number}", occurred_at=now, client_cost_usd=Decimal("0.5")
        )
        record_costs(project_id=project.pk, calls=[call], now=now)
        assert spent() == Decimal("0.5") * number
        assert spent() == Decimal("0.5") * number
