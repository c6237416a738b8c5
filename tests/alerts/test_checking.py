"""Rules judged from the ledger: budgets with each commit, the others by the minute."""

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
from core.models import OutboxItem
from costs import signals
from costs.models import Budget, CostRecord, ReconciledCause, ReconciledCell, ReconciledDay
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.accounts import OrganizationFactory
from tests.factories.alerts import AlertFactory, ChannelFactory
from tests.factories.billing import BillingAccountFactory, ProviderSyncFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import ProjectUsageFactory, add_hour
from tests.factories.forecasts import SpendAnomalyFactory, SpendForecastFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
LEVELS = [
    {"limit": str(limit), "severity": severity}
    for limit, severity in ((50, "info"), (80, "warning"), (100, "critical"))
]


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


def test_ingestion_pays_no_query(rule: Alert, project: Any) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        signals.usage_recorded.send(sender=CostRecord, project_id=project.pk, recorded=1, now=NOW)
    assert len(captured) == 0


@pytest.mark.django_db(transaction=True)
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
    return tasks._lasting.submit(tasks._look).result(timeout=20)


def commit(project: Any, record_id: str, usd: int) -> None:
    now = dt.datetime.now(dt.UTC)
    call = ChargeableCall(record_id=record_id, occurred_at=now, client_cost_usd=Decimal(usd))
    record_costs(project_id=project.pk, calls=[call], now=now)


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


def reconciled(
    organization: Any, billed: int, recorded: int, day: dt.date | None = None, **values: Any
) -> ReconciledDay:
    made: ReconciledDay = ReconciledDay.objects.create(
        organization=organization, provider=values.pop("provider", "openai"), day=day or NOW.date() - 3 * DAY,
        billed_usd=billed, recorded_usd=recorded, computed_at=NOW, **values,
    )  # fmt: skip
    return made


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
