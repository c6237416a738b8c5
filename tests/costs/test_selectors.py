"""Spend from hand-made hourly sums, and against raw sums of what the ledger's writer stored."""

import datetime as dt
import random
from decimal import Decimal

import pytest
from django.db.models import Count, Q, Sum
from django.http import QueryDict

from core.ranges import TimeRange
from costs.filters import InvalidFilterError, SpendFilters, read_filters
from costs.histogram import BUCKETS
from costs.models import CostRecord
from costs.selectors import pages, spend
from costs.selectors.sums import Sums
from costs.selectors.usage import UsageMark, project_spends, usage_mark
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from tests.factories.costs import HOUR, ProjectUsageFactory, add_hour
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
DAY = TimeRange(HOUR - dt.timedelta(hours=10), HOUR + dt.timedelta(hours=14), "")
ALL = SpendFilters()


@pytest.fixture
def project() -> Project:
    return ProjectFactory.create()


def test_total_holds_both_periods_and_nothing_outside(project, django_assert_num_queries) -> None:
    add_hour(
        project.pk,
        DAY.start,
        calls=2,
        errors=1,
        unpriced_calls=1,
        cost_usd=Decimal("0.000000000001"),
    )
    add_hour(
        project.pk,
        DAY.end - dt.timedelta(hours=1),
        calls=3,
        cost_usd=Decimal("1.5"),
        input_tokens=7,
    )
    add_hour(project.pk, DAY.end, calls=100, cost_usd=Decimal(100))
    add_hour(project.pk, DAY.start - dt.timedelta(hours=1), calls=5, cost_usd=Decimal("0.25"))
    add_hour(
        project.pk, DAY.previous().start - dt.timedelta(hours=1), calls=100, cost_usd=Decimal(100)
    )
    add_hour(ProjectFactory.create().pk, HOUR, calls=100)
    add_hour(project.pk, HOUR, dimension="user", value="ada", calls=100)
    with django_assert_num_queries(1):
        total = spend.spend_total(project.pk, DAY, ALL, previous=DAY.previous())
    assert total.current == Sums(
        calls=5, errors=1, unpriced_calls=1, cost_usd=Decimal("1.500000000001"), input_tokens=7
    )
    assert (total.previous.calls, total.previous.cost_usd) == (5, Decimal("0.25"))


def test_cost_per_call_counts_priced_calls_only() -> None:
    sums = Sums(calls=4, unpriced_calls=2, cost_usd=Decimal(1))
    assert (sums.cost_per_call, sums.unpriced_share, sums.is_unpriced) == (
        Decimal("0.5"),
        Decimal("0.5"),
        False,
    )
    assert Sums(calls=2, unpriced_calls=2).cost_per_call is None
    assert Sums(calls=2, unpriced_calls=2).is_unpriced
    free_and_unknown = Sums(calls=2, unpriced_calls=1)
    assert (free_and_unknown.is_unpriced, free_and_unknown.cost_per_call) == (True, None)
    assert not Sums().is_unpriced


def test_groups_are_dearest_first_with_trend_latency_and_the_period_before(
    project, django_assert_num_queries
) -> None:
    hour = dt.timedelta(hours=1)
    slow = [0] * BUCKETS
    slow[80] = 1
    add_hour(project.pk, HOUR, model="a", cost_usd=Decimal(1), latency_calls=1, latency_counts=slow)
    add_hour(project.pk, HOUR + hour, model="b", cost_usd=Decimal(3))
    add_hour(project.pk, HOUR + 2 * hour, model="b", cost_usd=Decimal(2))
    add_hour(
        project.pk,
        HOUR - dt.timedelta(days=1),
        model="a",
        cost_usd=Decimal(9),
        latency_counts=slow,
    )
    add_hour(project.pk, HOUR - dt.timedelta(days=1), model="gone", cost_usd=Decimal(9))
    with django_assert_num_queries(1):
        top = spend.top_groups(
            project.pk,
            DAY,
            ALL,
            ("provider", "model"),
            previous=DAY.previous(),
            limit=5,
            with_latency=True,
        )
    groups = top.groups
    assert top.count == 2
    trends = spend.trends(project.pk, DAY, ALL, [groups[0].key], "hour")
    assert [(group.key, group.current.cost_usd) for group in groups] == [
        (("openai", "b"), Decimal(5)),
        (("openai", "a"), Decimal(1)),
    ]
    assert trends == {
        ("openai", "b"): {HOUR + hour: Decimal(3), HOUR + 2 * hour: Decimal(2)},
    }
    assert groups[1].previous.cost_usd == Decimal(9)
    assert groups[0].latency.p95_ms is None
    assert groups[1].latency.p50_ms == pytest.approx(16_100, rel=0.05)


def test_filters_combine_and_an_extra_dimension_reads_its_own_rows(project) -> None:
    for agent, environment in (("a", "prod"), ("b", "prod"), ("a", "dev"), ("", "prod")):
        add_hour(project.pk, agent=agent, environment=environment, calls=1)
    add_hour(project.pk, dimension="user", value="ada", agent="a", environment="prod", calls=7)
    add_hour(project.pk, dimension="user", value="bob", agent="a", environment="prod", calls=9)

    def calls(filters: SpendFilters) -> int:
        return spend.spend_total(project.pk, DAY, filters).current.calls

    assert calls(SpendFilters({"agent": ("a", "b")})) == 3
    assert calls(SpendFilters({"agent": ("a", "b"), "environment": ("prod",)})) == 2
    assert calls(SpendFilters({"agent": ("",)})) == 1
    assert calls(SpendFilters({}, "user", ("ada",))) == 7
    assert calls(SpendFilters({"environment": ("dev",)}, "user", ("ada",))) == 0
    users = spend.top_groups(project.pk, DAY, ALL, ("user",), limit=1)
    assert [(group.key, group.current.calls) for group in users.groups] == [(("bob",), 9)]
    assert users.count == 2


def test_series_fills_days_in_order(project, django_assert_num_queries) -> None:
    for offset in (0, 1, 30):
        add_hour(project.pk, HOUR + dt.timedelta(hours=offset), cost_usd=Decimal(1))
    period = TimeRange(HOUR, HOUR + dt.timedelta(days=3), "")
    with django_assert_num_queries(1):
        cells = spend.spend_series(project.pk, period, ALL, ("provider",), "day")
    assert [(cell.at.isoformat(), cell.value, cell.sums.cost_usd) for cell in cells] == [
        ("2026-11-20T00:00:00+00:00", "openai", Decimal(2)),
        ("2026-11-21T00:00:00+00:00", "openai", Decimal(1)),
    ]


def test_pages_by_cursor_give_every_line_once(project) -> None:
    for number in range(7):
        add_hour(
            project.pk,
            HOUR + dt.timedelta(hours=number // 3),
            model=f"m{number % 3}",
            cost_usd=number % 2,
        )
    for size in ("hour", None):
        lines, after = [], None
        while page := pages.spend_page(
            project.pk, DAY, ALL, group_by="model", size=size, after=after, limit=2
        ):
            lines += page
            after = tuple(page[-1].cursor)
        whole = pages.spend_page(
            project.pk, DAY, ALL, group_by="model", size=size, after=None, limit=100
        )
        assert lines == whole
        assert sum(line.sums.calls for line in lines) == 7


def test_project_list_costs_two_queries(project, django_assert_num_queries) -> None:
    other, silent = ProjectFactory.create(), ProjectFactory.create()
    add_hour(project.pk, cost_usd=Decimal("1.25"))
    add_hour(other.pk, cost_usd=0, unpriced_calls=1)
    ProjectUsageFactory.create(project=project)
    with django_assert_num_queries(2):
        rows = project_spends([silent.pk, project.pk, other.pk], DAY)
    assert [(row.sums.cost_usd, row.sums.unpriced_calls, row.last_activity_at) for row in rows] == [
        (0, 0, None),
        (Decimal("1.25"), 0, HOUR),
        (0, 1, None),
    ]


def test_usage_mark_of_a_silent_project_is_zero(project) -> None:
    assert usage_mark(project.pk) == UsageMark(0, None)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("user=a&tag=b", "Only one of user, tag"),
        ("tag=a&tag=b", "filter by one tag"),
        ("user=(none)", "not counted apart"),
        ("model=a%00b", "no NUL"),
        ("model=" + "x" * 201, "at most 200 characters"),
        ("&".join(f"model={n}" for n in range(51)), "at most 50"),
    ],
)
def test_impossible_filters_are_refused(query: str, words: str) -> None:
    with pytest.raises(InvalidFilterError, match=words):
        read_filters(QueryDict(query))


def test_extra_filter_and_other_extra_group_are_refused() -> None:
    with pytest.raises(InvalidFilterError, match="cannot be combined with the filter user"):
        read_filters(QueryDict("user=a"), group_by="tag")


@pytest.mark.parametrize("seed", [1, 2])
def test_sums_equal_the_ledger(project, seed: int) -> None:
    """The reading side and the writing side agree to the last digit, for every row field and dimension."""
    rnd = random.Random(seed)
    now = dt.datetime.now(dt.UTC).replace(minute=30, second=0, microsecond=0)
    calls = [
        ChargeableCall(
            record_id=f"r{number}",
            occurred_at=now - dt.timedelta(minutes=rnd.randint(0, 3000)),
            provider=rnd.choice(["openai", "anthropic", "nowhere"]),
            model=rnd.choice(["gpt-4o", "claude-sonnet-4-5"]),
            usage=Usage(input_tokens=rnd.randint(1, 9000), output_tokens=rnd.randint(1, 900)),
            is_error=rnd.random() < 0.2,
            latency_ms=rnd.uniform(5, 9000),
            agent=rnd.choice(["", "triage"]),
            user_id=rnd.choice(["", "ada", "bob"]),
            tags=tuple(rnd.sample(["x", "y", "z"], rnd.randint(0, 2))),
        )
        for number in range(120)
    ]
    record_costs(project_id=project.pk, calls=calls, now=now)
    period = TimeRange(now - dt.timedelta(days=3), now, "7d").whole_hours()
    raw = CostRecord.objects.filter(project_id=project.pk, occurred_at__gte=period.start)
    facts = {
        "n": Count("occurred_at"),
        "cost": Sum("cost_usd"),
        "bad": Count("occurred_at", filter=Q(is_error=True)),
        "free": Count("occurred_at", filter=Q(cost_usd=None)),
        "inp": Sum("input_tokens"),
    }

    def of(sums: Sums) -> tuple[object, ...]:
        return (sums.calls, sums.cost_usd, sums.errors, sums.unpriced_calls, sums.input_tokens)

    def raws(row: dict[str, object]) -> tuple[object, ...]:
        return (row["n"], row["cost"] or 0, row["bad"], row["free"], row["inp"])

    assert of(spend.spend_total(project.pk, period, ALL).current) == raws(raw.aggregate(**facts))
    for name, column in (("provider", "provider"), ("agent", "agent"), ("user", "user_id")):
        rows = {row[column]: raws(row) for row in raw.values(column).annotate(**facts)}
        if name == "user":
            rows.pop("", None)
        groups = spend.top_groups(project.pk, period, ALL, (name,), limit=100).groups
        assert {group.value: of(group.current) for group in groups} == rows
    tagged = spend.spend_total(project.pk, period, SpendFilters({}, "tag", ("x",))).current
    assert of(tagged) == raws(raw.filter(tags__contains=["x"]).aggregate(**facts))
