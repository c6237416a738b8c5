"""Forecasts, anomalies, syncs and bills, judged when something new is known of them."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import checking
from alerts.measures.registry import measure_for
from alerts.models import AlertEvent
from core.models import OutboxItem
from costs import signals
from costs.models import Budget, ReconciledCause, ReconciledCell
from tests.alerts.ledger import DAY, HOUR, MINUTE, NOW, reconciled, spend
from tests.factories.accounts import OrganizationFactory
from tests.factories.alerts import AlertFactory
from tests.factories.billing import BillingAccountFactory, ProviderSyncFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import ProjectUsageFactory
from tests.factories.forecasts import SpendAnomalyFactory, SpendForecastFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Any:
    made = ProjectFactory.create()
    ProjectUsageFactory.create(project=made, version=1)
    return made


def test_news_of_every_kind_cost_the_same_queries_for_one_rule_and_for_fifty(project: Any) -> None:
    BudgetFactory.create(organization=project.organization)
    BillingAccountFactory.create(connection__organization=project.organization)
    reconciled(project.organization, 100, 99)
    counts = []
    for number in (1, 49):
        for kind in checking.NEWS:
            AlertFactory.create_batch(
                number,
                organization=project.organization,
                kind=kind,
                levels=[{"limit": "1000", "severity": "error"}],
            )
        checking.check_news(NOW + number * MINUTE)
        with CaptureQueriesContext(connection) as captured:
            checking.check_news(NOW + (number + 1) * MINUTE)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 26


def test_forecast_over_the_budget_is_told_with_both_sums(project: Any) -> None:
    budget = BudgetFactory.create(organization=project.organization, name="Ops")
    AlertFactory.create(
        organization=project.organization,
        kind="forecast",
        budget=budget,
        levels=[{"limit": "100", "severity": "warning"}],
    )
    spend(project, 60)
    path = [{"day": f"2026-11-{day}", "usd": "5", "low": "4", "high": "6"} for day in range(20, 31)]
    SpendForecastFactory.create(
        organization=project.organization,
        kind="budget",
        value=str(budget.pk),
        made_at=NOW - HOUR,
        path=path,
    )
    checking.check_news(NOW)
    event = AlertEvent.objects.get()
    # 60 so far, 13.5 of today's 24 hours at $5, ten days at $5.
    assert event.value == Decimal("112.8125")
    assert event.evidence["facts"]["forecast_usd"].startswith("112.8125")
    Budget.objects.update(amount_usd=200)
    checking.check_news(NOW + MINUTE)
    assert AlertEvent.objects.get().state == "resolved"


def test_budget_without_a_pace_is_not_judged(project: Any) -> None:
    budget = BudgetFactory.create(organization=project.organization)
    alert = AlertFactory.create(organization=project.organization, kind="forecast", budget=budget)
    readings = measure_for("forecast").read([alert], NOW)
    assert [one.key for one in readings] == [str(budget.pk)]
    checking.check_news(NOW)
    assert not AlertEvent.objects.exists()


def test_anomaly_is_one_incident_until_it_is_marked(project: Any) -> None:
    AlertFactory.create(
        organization=project.organization,
        kind="anomaly",
        levels=[{"limit": "10", "severity": "warning"}],
    )
    anomaly = SpendAnomalyFactory.create(organization=project.organization, day=NOW.date())
    SpendAnomalyFactory.create(
        organization=project.organization, day=NOW.date(), kind="model", value="gpt-5"
    )
    SpendAnomalyFactory.create(organization=project.organization, day=NOW.date() - 5 * DAY)
    checking.check_news(NOW)
    event = AlertEvent.objects.get()
    assert (event.key, event.value) == (str(anomaly.pk), Decimal(20))
    assert event.evidence["causes"][0]["value"] == "gpt-5, nightly"
    checking.check_news(NOW + 3 * DAY)
    assert AlertEvent.objects.get().is_open
    anomaly.state = "expected"
    anomaly.save()
    checking.check_news(NOW + 3 * DAY + MINUTE)
    assert AlertEvent.objects.get().resolve_reason == "Somebody marked the day as expected."


def test_anomaly_that_nobody_marks_ends_after_a_week(project: Any) -> None:
    AlertFactory.create(
        organization=project.organization,
        kind="anomaly",
        levels=[{"limit": "10", "severity": "warning"}],
    )
    SpendAnomalyFactory.create(organization=project.organization, day=NOW.date())
    checking.check_news(NOW)
    checking.check_news(NOW + 8 * DAY)
    assert AlertEvent.objects.get().resolve_reason == "The day is a week past."


def test_news_of_an_anomaly_is_work_that_must_happen(project: Any) -> None:
    AlertFactory.create(
        organization=project.organization,
        kind="anomaly",
        levels=[{"limit": "10", "severity": "warning"}],
    )
    anomaly = SpendAnomalyFactory.create(organization=project.organization, day=NOW.date())
    for _ in range(2):
        signals.anomaly_found.send(
            sender=type(anomaly), organization_id=project.organization_id, project_id=None,
            anomaly_id=anomaly.pk, day=anomaly.day, now=NOW,
        )  # fmt: skip
    item = OutboxItem.objects.get(topic=checking.ANOMALY_TOPIC)
    checking.handle_anomaly(payload=item.payload, now=NOW)
    assert AlertEvent.objects.count() == 1


def test_sync_that_was_given_up_is_told_per_connection_until_one_succeeds() -> None:
    organization = OrganizationFactory.create()
    AlertFactory.create(
        organization=organization, kind="sync_failed", levels=[{"limit": "1", "severity": "error"}]
    )
    account = BillingAccountFactory.create(
        connection__organization=organization, connection__name="Prod", failures_in_a_row=1
    )
    BillingAccountFactory.create(connection__organization=organization)
    ProviderSyncFactory.create(account=account, state="failed", error="401: key revoked")
    checking.check_news(NOW)
    event = AlertEvent.objects.get()
    assert (event.key, event.subject) == (str(account.connection_id), "Prod")
    assert "401: key revoked" in event.words
    account.failures_in_a_row = 2
    account.save()
    checking.check_news(NOW + HOUR)
    account.failures_in_a_row = 0
    account.save()
    checking.check_news(NOW + 2 * HOUR)
    assert AlertEvent.objects.get().resolve_reason == "Back within the limit."


def test_gap_of_settled_days_is_told_with_its_causes() -> None:
    organization = OrganizationFactory.create()
    AlertFactory.create(
        organization=organization,
        kind="reconciliation",
        levels=[{"limit": "5", "severity": "warning"}],
    )
    day = reconciled(organization, 100, 92, unexplained_usd=3)
    reconciled(organization, 500, 0, NOW.date(), is_settled=False)
    cell = ReconciledCell.objects.create(organization=organization, provider="openai", day=day.day)
    ReconciledCause.objects.create(
        organization=organization,
        provider="openai",
        day=day.day,
        cell=cell,
        kind="price",
        amount_usd=5,
    )
    checking.check_news(NOW)
    event = AlertEvent.objects.get()
    assert (event.value, event.key, event.period) == (Decimal(8), "openai", "November 2026")
    assert [one["words"] for one in event.evidence["causes"]] == ["$5.00"]
    assert ["Unexplained", "$3.00"] in event.evidence["rows"]


def test_bill_in_a_currency_without_a_rate_is_not_judged() -> None:
    organization = OrganizationFactory.create()
    AlertFactory.create(
        organization=organization,
        kind="reconciliation",
        levels=[{"limit": "5", "severity": "warning"}],
    )
    reconciled(organization, 100, 10, unconverted={"EUR": "90"})
    checking.check_news(NOW)
    assert not AlertEvent.objects.exists()


@pytest.mark.parametrize("kind", ["budget", "forecast", "anomaly", "sync_failed", "reconciliation"])
def test_every_kind_draws_its_past_also_without_one(kind: str, project: Any) -> None:
    alert = AlertFactory.build(organization=project.organization, kind=kind)
    measure = measure_for(kind)
    measure.history(alert, NOW - 30 * DAY, NOW)
    BudgetFactory.create(organization=project.organization)
    spend(project, 5, NOW - 2 * DAY)
    SpendAnomalyFactory.create(organization=project.organization, day=NOW.date())
    account = BillingAccountFactory.create(connection__organization=project.organization)
    ProviderSyncFactory.create(account=account, state="failed", ended_at=NOW - HOUR)
    reconciled(project.organization, 100, 50)
    history = measure.history(alert, NOW - 30 * DAY, NOW)
    assert history.points
    assert any(one.value for one in history.points)
