"""The job: from the ledger's days to forecasts and anomalies, one at a time, again when days change."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.errors import ConflictError
from core.models import Job
from costs.forecasting import services
from costs.forecasting.selectors import forecast_for
from costs.models import AnomalyState, CostDailyAggregate, CostDay, SpendAnomaly, SpendForecast
from costs.signals import anomaly_found
from tests.costs.forecasting.ledger import (
    DAY,
    NOW,
    TODAY,
    add_calls,
    finish,
    office_day,
    refresh,
    write_days,
)
from tests.factories.accounts import MembershipFactory
from tests.factories.budgets import BudgetFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
YESTERDAY = TODAY - DAY


@pytest.fixture
def project(db: None) -> Any:
    return ProjectFactory()


def rows(project: Any) -> dict[tuple[str, str, bool], SpendForecast]:
    found = SpendForecast.objects.filter(organization=project.organization)
    return {(row.kind, row.value, row.project_id is None): row for row in found}


def test_the_month_is_forecast_for_the_organisation_projects_providers_and_models(project):
    write_days(project, 90)
    write_days(
        project, 90, lambda day: office_day(day, 20, 2), provider="anthropic", model="claude"
    )
    refresh(project)

    found = rows(project)
    assert set(found) == {
        ("total", "", True), ("total", "", False), ("provider", "openai", False), ("provider", "anthropic", False),
        ("model", "gpt-4o", False), ("model", "claude", False),
    }  # fmt: skip
    total = found["total", "", True]
    spent = sum(
        (row.cost_usd for row in CostDailyAggregate.objects.filter(
            project_id=project.pk, hour__gte=dt.datetime(2026, 11, 1, tzinfo=dt.UTC))), Decimal(0),
    )  # fmt: skip
    assert total.actual_usd == spent
    coming = sum(
        (office_day(TODAY + n * DAY) + office_day(TODAY + n * DAY, 20, 2) for n in range(15)),
        Decimal(0),
    )
    assert abs(total.expected_usd - spent - coming) < coming / 20
    assert total.low_usd < total.expected_usd < total.high_usd
    assert total.low_usd <= spent + coming <= total.high_usd
    assert 0 < total.error_share < Decimal("0.08")
    assert total.tested >= 10
    assert [day["day"] for day in total.path][::14] == ["2026-11-16", "2026-11-30"]
    assert (
        sum((Decimal(day["usd"]) for day in total.path), Decimal(0)) == total.expected_usd - spent
    )
    assert forecast_for(project.organization_id, month=TODAY) == total


def test_providers_and_models_of_several_projects_are_added_up(project):
    other = ProjectFactory(organization=project.organization)
    write_days(project, 30)
    write_days(other, 30, lambda day: office_day(day, 50, 2))
    refresh(project)

    found = rows(project)
    assert {key for key in found if key[2]} == {
        ("total", "", True), ("provider", "openai", True), ("model", "gpt-4o", True)
    }  # fmt: skip
    parts = SpendForecast.objects.filter(kind="model", project__isnull=False)
    assert found["model", "gpt-4o", True].actual_usd == sum(row.actual_usd for row in parts)


def test_too_little_history_is_said_and_not_guessed(project):
    write_days(project, 9)
    refresh(project)

    row = rows(project)["total", "", True]
    assert row.expected_usd is None
    assert row.low_usd is None
    assert row.actual_usd > 0
    assert row.reason == (
        "Not enough history: 9 of the 21 days it takes to learn the week and be tested."
    )


def test_one_run_at_a_time_and_again_when_a_day_changed(project):
    write_days(project, 30)
    assert services.start_due(now=NOW) == 1
    assert services.start_due(now=NOW) == 0
    with pytest.raises(ConflictError):
        services.start_refresh(organization_id=project.organization_id, now=NOW)
    finish(Job.objects.get(kind=services.KIND))
    assert services.start_due(now=NOW + dt.timedelta(hours=1)) == 0

    CostDay.objects.filter(project=project, day=YESTERDAY).update(version=2)
    assert services.start_due(now=NOW + dt.timedelta(hours=1)) == 1
    finish(Job.objects.filter(kind=services.KIND).latest("created_at"))

    CostDay.objects.create(project=project, day=TODAY)
    assert services.start_due(now=NOW + dt.timedelta(hours=2)) == 0
    assert services.start_due(now=NOW + dt.timedelta(hours=4)) == 1


def test_a_dear_day_is_found_once_with_its_culprit_and_told(project):
    write_days(project, 60)
    more = Decimal(300)
    CostDailyAggregate.objects.filter(
        project_id=project.pk, hour=dt.datetime.combine(YESTERDAY, dt.time(), dt.UTC)
    ).update(cost_usd=office_day(YESTERDAY) + more)
    for weeks in range(1, 5):
        add_calls(project, YESTERDAY - weeks * 7 * DAY, "40", feature="chat", user_id="u1")
    add_calls(project, YESTERDAY, str(office_day(YESTERDAY)), feature="chat", user_id="u1")
    add_calls(
        project, YESTERDAY, "300", calls=3, feature="nightly", user_id="batch", prompt_version="p:7"
    )
    told: list[dict[str, Any]] = []

    def listen(**news: Any) -> None:
        told.append(news)

    anomaly_found.connect(listen)
    try:
        refresh(project)
        refresh(project, now=NOW + dt.timedelta(hours=1))
    finally:
        anomaly_found.disconnect(listen)

    row = SpendAnomaly.objects.get()
    assert (row.day, row.kind, row.project_id) == (YESTERDAY, "total", project.pk)
    assert row.score > 4
    assert [one["anomaly_id"] for one in told] == [row.pk]
    cause = row.causes[0]
    assert cause["where"] == {"feature": "nightly", "prompt_version": "p:7", "user": "batch"} or (
        cause["where"] == {"feature": "nightly"}
    )
    assert Decimal(cause["usd"]) == 300
    assert sum((Decimal(one["usd"]) for one in row.causes), Decimal(0)) == row.excess_usd


def test_a_new_level_is_one_row_its_first_day(project):
    first = TODAY - 4 * DAY
    write_days(project, 60, lambda day: office_day(day) * (4 if day >= first else 1))
    refresh(project)
    assert [row.day for row in SpendAnomaly.objects.all()] == [first]


def test_new_prices_clear_an_open_anomaly_and_leave_what_people_marked(project):
    write_days(project, 60)
    day = CostDailyAggregate.objects.filter(
        project_id=project.pk, hour=dt.datetime.combine(YESTERDAY, dt.time(), dt.UTC)
    )
    day.update(cost_usd=400)
    refresh(project)
    assert SpendAnomaly.objects.get().state == AnomalyState.OPEN

    day.update(cost_usd=office_day(YESTERDAY))
    refresh(project)
    row = SpendAnomaly.objects.get()
    assert row.state == AnomalyState.CLEARED
    assert row.actual_usd == office_day(YESTERDAY)


def test_queries_do_not_grow_with_series(project):
    write_days(project, 30)
    with CaptureQueriesContext(
        connection,
    ) as few:
        refresh(project)
    for place in range(6):
        write_days(
            project, 30, lambda day, place=place: office_day(day, 5, place), model=f"m{place}"
        )
    with CaptureQueriesContext(connection) as many:
        refresh(project)

    # Keeping the connection awake is a matter of seconds, not of series; one more step is one more save and outbox row.
    def asked(found: Any) -> int:
        return sum(query["sql"] != "SELECT 1" for query in found)

    assert asked(many) <= asked(few) + 16


def test_a_budget_is_forecast_by_what_it_counts(project, client):
    write_days(project, 40)
    write_days(project, 40, lambda day: office_day(day, 30, 3), model="gpt-5")
    budget = BudgetFactory.create(
        organization=project.organization, name="Mini", scope="model", value="gpt-5"
    )
    refresh(project)

    found = rows(project)
    row = found["budget", str(budget.pk), True]
    assert (row.label, row.actual_usd) == ("Mini", found["model", "gpt-5", False].actual_usd)
    assert row.expected_usd == found["model", "gpt-5", False].expected_usd
    viewer = MembershipFactory(organization=project.organization, role="viewer")
    client.force_login(viewer.user)
    page = client.get(reverse("costs:forecast_detail", args=[project.organization.slug, row.pk]))
    assert page.status_code == 200
    assert "Mini" in page.content.decode()
    gone = str(budget.pk)
    budget.delete()
    refresh(project, now=NOW + dt.timedelta(hours=1))
    assert ("budget", gone, True) not in rows(project)
