"""Budgets judged from the ledger with each commit, and the bell that has them judged."""

import datetime as dt
import time
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from redis import Redis

from alerts import checking, tasks
from alerts.evaluate import replayed, terms_of
from alerts.measures.registry import measure_for
from alerts.models import Alert, AlertEvent, AlertState, BudgetWatch, Delivery
from costs import signals
from costs.models import Budget, CostRecord
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.alerts.ledger import DAY, HOUR, LEVELS, MINUTE, NOW, reconciled, spend, told
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.factories.billing import BillingAccountFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import ProjectUsageFactory
from tests.factories.forecasts import SpendAnomalyFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Any:
    made = ProjectFactory.create()
    ProjectUsageFactory.create(project=made, version=1)
    return made


@pytest.fixture
def rule(project: Any) -> Alert:
    """$100 this month, told at 50, 80 and 100 %."""
    budget = BudgetFactory.create(organization=project.organization, name="Ops")
    alert: Alert = AlertFactory.create(
        organization=project.organization, kind="budget", budget=budget, levels=LEVELS
    )
    alert.channels.add(ChannelFactory.create(organization=alert.organization, kind="webhook"))
    return alert


def test_batch_that_crosses_is_one_incident_with_dollars_and_causes(
    rule: Alert, project: Any
) -> None:
    spend(project, "79.999999999999")
    checking.check_budgets(NOW)
    assert AlertEvent.objects.get().severity == "info"
    spend(project, "0.000000000001")
    checking.check_budgets(NOW + MINUTE)
    event = AlertEvent.objects.get()
    assert (event.severity, event.value, event.period) == ("warning", Decimal(80), "November 2026")
    assert Decimal(event.evidence["facts"]["spent_usd"]) == 80
    assert event.evidence["causes"][0]["dimension"] in ("model", "agent", "user")
    assert event.evidence["url"].endswith(f"/budgets/{rule.budget_id}/")
    assert told() == ["trigger", "raise"]


def test_ledger_that_did_not_move_is_not_judged_again(rule: Alert, project: Any) -> None:
    spend(project, 10)
    checking.check_budgets(NOW)
    with CaptureQueriesContext(connection) as captured:
        checking.check_budgets(NOW + MINUTE)
    assert len(captured) <= 2
    assert BudgetWatch.objects.get().versions == 2


def test_rule_that_begins_over_its_limit_is_told_once(rule: Alert, project: Any) -> None:
    spend(project, 130)
    checking.check_all_budgets(NOW)
    checking.check_all_budgets(NOW + MINUTE)
    assert told() == ["trigger"]
    assert AlertEvent.objects.get().severity == "critical"


def test_limit_lowered_below_several_levels_is_one_message_and_raised_resolves(
    rule: Alert, project: Any
) -> None:
    spend(project, 55)
    checking.check_budgets(NOW)
    Budget.objects.update(amount_usd=50)
    checking.check_all_budgets(NOW + MINUTE)
    assert told() == ["trigger", "raise"]
    Budget.objects.update(
        amount_usd=112
    )  # 49.1 %: within the margin of 50, and yet no limit is passed
    checking.check_all_budgets(NOW + 2 * MINUTE)
    event = AlertEvent.objects.get()
    assert event.resolve_reason.startswith("The limit was changed")
    assert told() == ["trigger", "raise", "resolve"]


def test_paused_and_deleted_budgets_end_their_incidents(rule: Alert, project: Any) -> None:
    spend(project, 90)
    every = AlertFactory.create(organization=rule.organization, kind="budget", levels=LEVELS)
    checking.check_all_budgets(NOW)
    Budget.objects.update(is_paused=True)
    checking.check_all_budgets(NOW + MINUTE)
    reasons = AlertEvent.objects.values_list("resolve_reason", flat=True)
    assert set(reasons) == {"The budget was paused."}
    Budget.objects.update(is_paused=False)
    checking.check_all_budgets(NOW + 2 * MINUTE)
    rule.budget.delete()
    checking.check_all_budgets(NOW + 3 * MINUTE)
    last = AlertEvent.objects.filter(alert=every).order_by("-fired_at").first()
    assert last is not None
    assert last.resolve_reason == "What it watched is not there any more."


def test_new_month_begins_with_nothing_and_late_calls_of_the_old_one_are_no_news(
    rule: Alert, project: Any
) -> None:
    spend(project, 90)
    checking.check_budgets(NOW)
    december = dt.datetime(2026, 12, 1, 0, 1, tzinfo=dt.UTC)
    checking.check_all_budgets(december)
    assert AlertEvent.objects.get().resolve_reason.startswith("The period ended")
    spend(project, 500, NOW)
    checking.check_budgets(december + MINUTE)
    assert AlertEvent.objects.count() == 1
    spend(project, 51, december)
    checking.check_budgets(december + 2 * MINUTE)
    assert AlertEvent.objects.count() == 2


def test_forty_budgets_that_end_with_the_month_are_no_storm(project: Any) -> None:
    channel = ChannelFactory.create(organization=project.organization, kind="slack")
    for _ in range(40):
        BudgetFactory.create(organization=project.organization)
    alert = AlertFactory.create(organization=project.organization, kind="budget", levels=LEVELS)
    alert.channels.add(channel)
    spend(project, 90)
    checking.check_budgets(NOW)
    checking.check_all_budgets(dt.datetime(2026, 12, 1, 0, 1, tzinfo=dt.UTC))
    assert AlertEvent.objects.filter(state="resolved").count() == 40
    assert Delivery.objects.filter(state="waiting").count() <= 6


def test_rolling_budget_recovers_when_a_day_leaves_and_goes_on_over_midnight(project: Any) -> None:
    budget = BudgetFactory.create(organization=project.organization, rolling=True)
    AlertFactory.create(
        organization=project.organization, kind="budget", budget=budget, levels=LEVELS
    )
    spend(project, 85, NOW - 6 * DAY)
    checking.check_budgets(NOW)
    spend(project, 5)
    checking.check_budgets(NOW + MINUTE)
    event = AlertEvent.objects.get()
    assert (event.severity, event.period) == ("warning", "")
    checking.check_all_budgets(NOW + 14 * HOUR)
    event.refresh_from_db()
    assert (event.state, event.resolve_reason) == ("resolved", "Back within the limit.")


def test_rule_never_reads_another_organisation(rule: Alert, project: Any) -> None:
    other = ProjectFactory.create()
    ProjectUsageFactory.create(project=other)
    BudgetFactory.create(organization=other.organization)
    spend(other, 1000)
    every = AlertFactory.create(organization=rule.organization, kind="budget", levels=LEVELS)
    for kind in ("forecast", "anomaly", "sync_failed", "reconciliation"):
        AlertFactory.create(
            organization=rule.organization, kind=kind, levels=[{"limit": "1", "severity": "error"}]
        )
    SpendAnomalyFactory.create(organization=other.organization, day=NOW.date())
    BillingAccountFactory.create(connection__organization=other.organization, failures_in_a_row=3)
    reconciled(other.organization, 100, 50)
    checking.check_budgets(NOW)
    checking.check_news(NOW)
    assert not AlertEvent.objects.exists()
    assert {one.key for one in AlertState.objects.filter(alert=every)} == {str(rule.budget_id)}


def test_project_rule_watches_the_budgets_of_its_project(project: Any) -> None:
    own = BudgetFactory.create(organization=project.organization, scope="project", project=project)
    BudgetFactory.create(organization=project.organization)
    alert = AlertFactory.create(
        organization=project.organization, project=project, kind="budget", levels=LEVELS
    )
    spend(project, 90)
    checking.check_budgets(NOW)
    event = AlertEvent.objects.get()
    assert (event.key, event.project, event.alert) == (str(own.pk), project, alert)


def test_one_rule_and_fifty_cost_the_same_queries(project: Any) -> None:
    budget = BudgetFactory.create(organization=project.organization)
    counts = []
    for number in (1, 49):
        for _ in range(number):
            AlertFactory.create(
                organization=project.organization, kind="budget", budget=budget, levels=LEVELS
            )
        spend(project, number)
        checking.check_budgets(NOW + number * MINUTE)
        spend(project, number / 10)
        with CaptureQueriesContext(connection) as captured:
            checking.check_budgets(NOW + (number + 1) * MINUTE)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 13


def test_ingestion_pays_no_query(rule: Alert, project: Any) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        signals.usage_recorded.send(sender=CostRecord, project_id=project.pk, recorded=1, now=NOW)
    assert len(captured) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")
def test_bell_is_rung_once_for_many_commits_and_answered_also_after_a_lost_connection(
    rule: Alert, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "RING_EVERY_S", 0.2)
    monkeypatch.setattr(checking, "_bell", checking.Doorbell())
    broker = Redis.from_url(settings.REDIS_URL)
    broker.delete("analysis")
    for number in range(20):
        commit(project, f"r{number}", 1)
    end = time.monotonic() + 5
    while not broker.llen("analysis") and time.monotonic() < end:
        time.sleep(0.02)
    assert 1 <= broker.llen("analysis") <= 4
    message = broker.lindex("analysis", 0)
    assert message is not None
    assert b"alerts.tasks.check_budgets" in message
    broker.delete("analysis")
    assert look() == 0
    commit(project, "over", 40)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert look() == 1
    assert AlertEvent.objects.get().value == 60


def look() -> int:
    """As the worker does, on its lasting thread."""
    return int(tasks.check_budgets.run())


def commit(project: Any, record_id: str, usd: int) -> None:
    now = dt.datetime.now(dt.UTC)
    call = ChargeableCall(record_id=record_id, occurred_at=now, client_cost_usd=Decimal(usd))
    record_costs(project_id=project.pk, calls=[call], now=now)


def test_course_of_a_budget_ends_where_it_stands_and_replays_its_months(
    rule: Alert, project: Any
) -> None:
    spend(project, 85, NOW - 30 * DAY)
    spend(project, 55, NOW - 2 * DAY)
    measure: Any = measure_for("budget")
    history = measure.history(rule, NOW - 40 * DAY, NOW)
    (reading,) = measure.read([rule], NOW)
    assert history.points[-1].value == reading.value
    found = replayed(terms_of(rule), history.points, measure.period_of(rule, NOW))
    assert [(one.level, one.value) for one in found] == [(1, Decimal(85)), (0, Decimal(55))]
