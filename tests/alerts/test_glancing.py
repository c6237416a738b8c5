"""Looks at budgets that write nothing: calm seconds are cheap, and nothing that is news is taken for calm."""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import checking, glancing
from alerts.deciding import close_rule
from alerts.models import Alert, AlertEvent, AlertState
from costs.models import Budget
from tests.alerts.ledger import LEVELS, NOW, spend, told
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import ProjectUsageFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def project() -> Any:
    made = ProjectFactory.create()
    ProjectUsageFactory.create(project=made, version=1)
    return made


@pytest.fixture
def rule(project: Any) -> Iterator[Alert]:
    """$100 this month, $40 of it spent and judged."""
    BudgetFactory.create(organization=project.organization)
    alert: Alert = AlertFactory.create(
        organization=project.organization, kind="budget", levels=LEVELS
    )
    alert.channels.add(ChannelFactory.create(organization=alert.organization, kind="webhook"))
    spend(project, 40)
    checking.check_budgets(NOW)
    yield alert
    glancing._known.clear()


def test_second_without_news_costs_two_queries_and_writes_nothing(
    rule: Alert, project: Any
) -> None:
    spend(project, 5)
    with CaptureQueriesContext(connection) as captured:
        checking.check_budgets(NOW + SECOND)
    assert len(captured) == 2
    assert AlertState.objects.get().value == 40
    with CaptureQueriesContext(connection) as captured:
        checking.check_budgets(NOW + 2 * SECOND)
    assert len(captured) == 1  # nothing was committed since


def test_crossing_after_a_look_is_judged_at_once(rule: Alert, project: Any) -> None:
    for number, usd in enumerate(("9.999999999999", "0.000000000001", 29, 1, 20)):
        spend(project, usd)
        checking.check_budgets(NOW + (number + 1) * SECOND)
    assert told() == ["trigger", "raise", "raise"]
    assert AlertEvent.objects.get().severity == "critical"


def test_figure_that_moved_is_written_every_few_seconds(rule: Alert, project: Any) -> None:
    for second in range(1, 9):
        spend(project, 1 + second / 100)
        checking.check_budgets(NOW + second * SECOND)
    assert AlertState.objects.get().value == Decimal("48.36")


def _close(rule: Alert) -> None:
    close_rule(alert=rule, reason="Off.", actor=None, now=NOW + 2 * SECOND)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rule: Budget.objects.update(amount_usd=60), ["raise"]),
        (
            lambda rule: Alert.objects.update(levels=[LEVELS[0], LEVELS[1] | {"limit": "52"}]),
            ["raise"],
        ),
        (lambda rule: BudgetFactory.create(organization=rule.organization), ["trigger"]),
        (
            lambda rule: AlertFactory.create(
                organization=rule.organization, kind="budget", levels=LEVELS
            ).channels.add(rule.channels.get()),
            ["trigger"],
        ),
        (_close, ["resolve", "trigger"]),
        (lambda rule: Alert.objects.update(is_enabled=False), []),
        (lambda rule: Budget.objects.update(amount_usd=1000), ["resolve"]),
        (lambda rule: Budget.objects.update(is_paused=True), ["resolve"]),
    ],
    ids=["amount", "limit", "budget", "rule", "state", "off", "raised", "paused"],
)
def test_what_somebody_changed_since_is_judged_as_it_is_now(
    rule: Alert, project: Any, change: Callable[[Alert], object], found: list[str]
) -> None:
    spend(project, 12)
    checking.check_budgets(NOW + SECOND)
    spend(project, "0.1")
    checking.check_budgets(NOW + 2 * SECOND)  # a look
    assert told() == ["trigger"]
    change(rule)
    spend(project, "0.2")
    checking.check_budgets(NOW + 3 * SECOND)
    assert told() == ["trigger", *found]


def test_recovery_is_seen_by_a_look(project: Any, rule: Alert) -> None:
    spend(project, 12)
    checking.check_budgets(NOW + SECOND)
    spend(project, "-4.49")  # 47.51: above the line at 47.5
    checking.check_budgets(NOW + 2 * SECOND)
    assert told() == ["trigger"]
    spend(project, "-0.02")
    checking.check_budgets(NOW + 3 * SECOND)
    assert told() == ["trigger", "resolve"]


def test_organisations_are_looked_at_together_and_only_one_with_news_is_judged(
    rule: Alert, project: Any
) -> None:
    other = ProjectFactory.create()
    ProjectUsageFactory.create(project=other, version=1)
    BudgetFactory.create(organization=other.organization)
    AlertFactory.create(organization=other.organization, kind="budget", levels=LEVELS)
    spend(other, 10)
    checking.check_budgets(NOW)
    spend(other, 1)
    spend(project, 1)
    with CaptureQueriesContext(connection) as captured:
        checking.check_budgets(NOW + SECOND)
    assert len(captured) == 2
    spend(other, 60)
    spend(project, 2)
    (event,) = checking.check_budgets(NOW + 2 * SECOND)
    assert event.organization_id == other.organization_id


def test_too_many_to_remember_are_judged(
    rule: Alert, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glancing, "MOST", 0)
    glancing._known.clear()
    for second in (1, 2):
        spend(project, second)
        checking.check_budgets(NOW + second * SECOND)
    spend(project, 50)
    assert len(checking.check_budgets(NOW + 3 * SECOND)) == 1
