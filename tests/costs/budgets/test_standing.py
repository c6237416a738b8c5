"""How budgets stand: exact at the borders of periods and zones, equal to the raw rows, a fixed number of queries."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from costs.budgets.applying import standings_for
from costs.budgets.periods import day_of, day_start, period_at
from costs.budgets.scopes import Call, counts
from costs.budgets.selectors import (
    daily_spend,
    hourly_amounts,
    open_budgets,
    standing,
    standings,
)
from costs.models import Budget, CostRecord
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall
from tests.factories.budgets import BudgetFactory
from tests.factories.costs import add_hour
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 10, 30, tzinfo=dt.UTC)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def project():
    return ProjectFactory.create()


def budget_of(owner, **values):
    return BudgetFactory.create(organization=owner.organization, **values)


@pytest.mark.parametrize(
    ("values", "first", "end"),
    [
        ({"period": "daily"}, "2026-11-20T00:00", "2026-11-21T00:00"),
        ({"period": "weekly"}, "2026-11-16T00:00", "2026-11-23T00:00"),
        ({"period": "monthly"}, "2026-11-01T00:00", "2026-12-01T00:00"),
        ({"rolling": True}, "2026-11-14T00:00", "2026-11-21T00:00"),
        ({"period": "daily", "time_zone": "America/New_York"}, "2026-11-20T05:00", "2026-11-21T05:00"),
        # Clocks went back on 1 November: the month begins in summer time.
        ({"period": "monthly", "time_zone": "America/New_York"}, "2026-11-01T04:00", "2026-12-01T05:00"),
        ({"period": "daily", "time_zone": "Asia/Tokyo"}, "2026-11-19T15:00", "2026-11-20T15:00"),
        # Half an hour off: the day begins at the next full hour, 00:30 there.
        ({"period": "daily", "time_zone": "Asia/Kolkata"}, "2026-11-19T19:00", "2026-11-20T19:00"),
        ({"period": "daily", "time_zone": "Pacific/Kiritimati"}, "2026-11-20T10:00", "2026-11-21T10:00"),
    ],
)  # fmt: skip
def test_a_period_counts_from_its_first_hour_to_its_last(project, values, first, end) -> None:
    budget = budget_of(project, **values)
    period = period_at(budget, NOW)
    assert (period.starts_at, period.ends_at) == (at(first), at(end))
    inside, outside = Decimal("0.000000000001"), Decimal(1000)
    add_hour(project.pk, period.starts_at, cost_usd=inside)
    add_hour(project.pk, period.starts_at - dt.timedelta(hours=1), cost_usd=outside)
    late = period.ends_at - dt.timedelta(seconds=1)
    add_hour(project.pk, period.ends_at - dt.timedelta(hours=1), cost_usd=Decimal(2))
    add_hour(project.pk, period.ends_at, cost_usd=outside)
    assert standing(budget, late).spent_usd == Decimal("2.000000000001")


@pytest.mark.parametrize("values", [{}, {"scope": "user", "value": "ada"}])
def test_the_hour_that_runs_counts_in_hours(project, values) -> None:
    call = ChargeableCall(
        record_id="now", occurred_at=NOW, client_cost_usd=Decimal(3), user_id="ada"
    )
    record_costs(project_id=project.pk, calls=[call], now=NOW)
    found = hourly_amounts(budget_of(project, **values), NOW - dt.timedelta(hours=2), NOW)
    assert {hour: one.cost_usd for hour, one in found.items()} == {
        NOW.replace(minute=0): Decimal(3)
    }


def test_unpriced_calls_are_counted_and_cost_nothing_known(project) -> None:
    budget = budget_of(project, amount_usd=Decimal(10))
    add_hour(project.pk, NOW.replace(minute=0), calls=3, unpriced_calls=2, cost_usd=Decimal(8))
    found = standing(budget, NOW)
    assert (found.spent_usd, found.remaining_usd, found.unpriced_calls) == (8, 2, 2)
    assert (found.share, found.crossed, found.state) == (Decimal("0.8"), (50, 80), "warning")
    assert found.resets_at == at("2026-12-01")


def test_a_threshold_is_crossed_exactly_at_its_amount(project) -> None:
    budget = budget_of(project, amount_usd=Decimal("0.3"), thresholds=[33])
    hour = NOW.replace(minute=0)
    add_hour(project.pk, hour, cost_usd=Decimal("0.098999999999"))
    assert standing(budget, NOW).crossed == ()
    add_hour(project.pk, hour, agent="other", cost_usd=Decimal("0.000000000001"))
    assert standing(budget, NOW).crossed == (33,)


def test_scopes_count_their_calls_only(project) -> None:
    """Organisation, project, team, user, key, model, tag, agent; in one project and in all."""
    other = ProjectFactory.create(organization=project.organization)
    stranger = ProjectFactory.create()
    key = "0190c0de-0000-7000-8000-000000000001"
    call = {
        "model": "gpt-5",
        "agent": "support",
        "user_id": "ada",
        "api_key_id": key,
        "tags": ("team:core", "x"),
    }
    for place, where in enumerate((project, other, stranger)):
        calls = [
            ChargeableCall(
                record_id=f"a{place}", occurred_at=NOW, client_cost_usd=Decimal(1), **call
            ),
            ChargeableCall(record_id=f"b{place}", occurred_at=NOW, client_cost_usd=Decimal("0.1")),
        ]
        record_costs(project_id=where.pk, calls=calls, now=NOW)
    expected = {
        ("organization", "", False): "2.2",
        ("project", "", True): "1.1",
        ("team", "core", False): "2",
        ("team", "core", True): "1",
        ("user", "ada", False): "2",
        ("user", "ada", True): "1",
        ("key", key, True): "1",
        ("model", "gpt-5", False): "2",
        ("tag", "x", True): "1",
        ("tag", "core", False): "0",
        ("agent", "support", False): "2",
    }
    budgets = [
        budget_of(project, scope=scope, value=value, project=project if is_one else None)
        for scope, value, is_one in expected
    ]
    assert [str(one.spent_usd.normalize()) for one in standings(budgets, NOW)] == list(
        expected.values()
    )
    asked = Call(project.pk, "ada", key, "gpt-5", "support", ("team:core", "x"))
    assert [counts(one, asked) for one in budgets] == [value != "0" for value in expected.values()]
    assert [counts(one, Call(other.pk)) for one in budgets] == [True] + [False] * 10


def test_whoever_decides_over_a_call_gets_its_running_budgets_strictest_first(
    project, django_assert_num_queries
) -> None:
    add_hour(project.pk, NOW.replace(minute=0), cost_usd=Decimal(5))
    for name, values in {
        "soft": {"amount_usd": Decimal(6)},
        "wide": {"amount_usd": Decimal(90), "is_hard": True},
        "tight": {
            "amount_usd": Decimal(7),
            "is_hard": True,
            "scope": "project",
            "project": project,
        },
        "bob": {"amount_usd": Decimal(1), "is_hard": True, "scope": "user", "value": "bob"},
        "ended": {"is_hard": True, "ends_on": dt.date(2026, 11, 19)},
        "resting": {"is_hard": True, "is_paused": True},
    }.items():
        budget_of(project, name=name, **values)
    with django_assert_num_queries(2):
        found = standings_for(project.organization_id, Call(project.pk, user="ada"), NOW)
    assert [one.budget.name for one in found] == ["tight", "wide", "soft"]


def test_any_number_of_budgets_is_one_query(project, django_assert_num_queries) -> None:
    add_hour(project.pk, NOW.replace(minute=0), cost_usd=Decimal(1))
    for number in range(30):
        budget_of(project, period=["daily", "weekly", "monthly"][number % 3])
    with django_assert_num_queries(1):
        budgets = open_budgets(project.organization_id, now=NOW)
    with django_assert_num_queries(1):
        assert [one.spent_usd for one in standings(budgets, NOW)] == [1] * 30
    with django_assert_num_queries(1):
        assert daily_spend(budgets[0], dt.date(2026, 11, 1), dt.date(2026, 12, 1)) == {
            NOW.date(): 1
        }


def test_paused_ended_and_planned_budgets_are_not_open_and_keep_their_period(project) -> None:
    add_hour(project.pk, at("2026-11-09T23:00"), cost_usd=Decimal(1))
    add_hour(project.pk, at("2026-11-11T00:00"), cost_usd=Decimal(90))
    paused = budget_of(project, is_paused=True)
    ended = budget_of(project, starts_on=dt.date(2026, 11, 9), ends_on=dt.date(2026, 11, 10))
    planned = budget_of(project, period="daily", starts_on=dt.date(2026, 11, 25))
    held = budget_of(project, starts_on=dt.date(2026, 11, 10), is_hard=True, amount_usd=Decimal(90))
    assert open_budgets(project.organization_id, now=NOW) == [held]
    found = standings([paused, ended, planned, held], NOW)
    assert [(one.state, one.spent_usd) for one in found] == [
        ("paused", 91), ("ended", 1), ("planned", 0), ("over", 90),
    ]  # fmt: skip
    assert [one.is_blocking for one in found] == [False, False, False, True]
    assert found[2].period.first == dt.date(2026, 11, 25)


@settings(max_examples=12)
@given(
    calls=st.lists(
        st.tuples(
            st.integers(0, 5 * 24 * 60 - 1),
            st.decimals(0, 5, places=12),
            st.sampled_from(["ada", "bob"]),
        ),
        max_size=12,
    ),
    zone=st.sampled_from(
        ["UTC", "America/St_Johns", "Asia/Kolkata", "Europe/Berlin", "Asia/Tokyo"]
    ),
    user=st.sampled_from(["", "ada"]),
)
def test_daily_spend_and_standing_equal_the_raw_rows(calls, zone, user) -> None:
    start = at("2026-11-15")
    with transaction.atomic():
        project = ProjectFactory.create()
        made = [
            ChargeableCall(
                record_id=str(number),
                occurred_at=start + dt.timedelta(minutes=minute),
                client_cost_usd=cost,
                user_id=who,
            )
            for number, (minute, cost, who) in enumerate(calls)
        ]
        record_costs(project_id=project.pk, calls=made, now=NOW)
        scope = {"scope": "user", "value": user} if user else {}
        budget = budget_of(project, time_zone=zone, period="rolling", rolling_days=3, **scope)
        rows = CostRecord.objects.filter(project_id=project.pk).values_list(
            "occurred_at", "cost_usd", "user_id"
        )
        days: dict[dt.date, Decimal] = {}
        for when, cost, who in rows:
            if user in ("", who):
                day = day_of(when, zone)
                days[day] = days.get(day, Decimal(0)) + cost
        first, last = dt.date(2026, 11, 13), dt.date(2026, 11, 23)
        assert daily_spend(budget, first, last) == days
        now = day_start(dt.date(2026, 11, 19), zone) - dt.timedelta(minutes=1)
        window = [dt.date(2026, 11, day) for day in (16, 17, 18)]
        assert standing(budget, now).spent_usd == sum(days.get(day, Decimal(0)) for day in window)
        hours = hourly_amounts(budget, start - dt.timedelta(days=1), start + dt.timedelta(days=6))
        assert sum(one.cost_usd for one in hours.values()) == sum(days.values())
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "project"},
        {"scope": "organization", "value": "x"},
        {"scope": "user", "value": ""},
        {"scope": "key", "value": "x"},
        {"period": "rolling"},
        {"period": "rolling", "rolling_days": 367},
        {"period": "daily", "rolling_days": 3},
        {"amount_usd": Decimal(0)},
        {"thresholds": list(range(1, 12))},
        {"starts_on": dt.date(2026, 11, 2), "ends_on": dt.date(2026, 11, 1)},
    ],
)
def test_the_database_refuses_what_no_budget_can_be(values) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        BudgetFactory.create(**values)
    assert not Budget.objects.exists()
