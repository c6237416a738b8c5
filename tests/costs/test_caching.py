"""Cached cost answers: kept while nothing changes, never stale after a call, harmless when Redis is away."""

import datetime as dt
import time
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


@pytest.fixture(autouse=True)
def _redis_believed_present():
    caching._away_until = 0.0
    yield
    caching._away_until = 0.0


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


def test_redis_away_answers_from_the_database_without_waiting(settings) -> None:
    project = ProjectFactory.create()
    # pytest-django resets Django's cache connections when CACHES changes.
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }
    began = time.monotonic()
    answers = [caching.cached(project.pk, UsageMark(1), (n,), lambda n=n: n) for n in range(50)]
    assert answers == list(range(50))
    assert time.monotonic() - began < 3
    assert caching._away_until > time.monotonic()
