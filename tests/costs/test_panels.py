"""Every panel against the raw records, to the last digit; what it says when there is nothing; what it costs to ask."""

import csv
import datetime as dt
import io
import random
import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from core.ranges import TimeRange, floor
from costs import board, charts, views
from costs.dashboard import read_state
from costs.filters import EXTRA_FIELDS, SpendFilters
from costs.models import CostAggregate, CostDailyAggregate, CostRecord
from costs.panels import Question, figures
from costs.selectors import source, spend
from costs.selectors.sums import Sums
from costs.selectors.usage import usage_mark
from costs.services import aggregates
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from tests.costs.test_dashboard import HTMX, text_of
from tests.factories.accounts import MembershipFactory
from tests.factories.costs import ProjectUsageFactory, add_hour
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
COLUMN = {"user": "user_id", "api_key": "api_key_id"}


@pytest.fixture
def project() -> Project:
    return ProjectFactory.create(slug="copilot")


@pytest.fixture
def viewer(client: Client, project: Project) -> Client:
    member = MembershipFactory.create(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


def record_week(project: Project, seed: int = 1, number: int = 300) -> list[CostRecord]:
    """A random week of calls through the ledger's own writer."""
    rnd = random.Random(seed)
    made = []
    for index in range(number):
        is_error = rnd.random() < 0.2
        made.append(
            ChargeableCall(
                record_id=f"r{index}",
                occurred_at=NOW - dt.timedelta(minutes=rnd.randint(0, 6 * 24 * 60)),
                provider=rnd.choice(["openai", "anthropic", "nowhere"]),
                model=rnd.choice(["gpt-4o", "claude-sonnet-4-5"]),
                operation=rnd.choice(["chat", "embeddings", ""]),
                service_tier=rnd.choice(["default", "flex", ""]),
                usage=Usage(
                    input_tokens=rnd.randint(1000, 9000),
                    output_tokens=rnd.randint(100, 900),
                    cache_read_input_tokens=rnd.randint(0, 500),
                    cache_write_input_tokens=rnd.randint(0, 400),
                    reasoning_output_tokens=rnd.randint(0, 90),
                ),
                is_error=is_error,
                error_type=rnd.choice(["RateLimitError", "Timeout", ""]) if is_error else "ignored",
                latency_ms=rnd.choice([None, rnd.uniform(5, 9000)]),
                first_token_ms=rnd.choice([None, rnd.uniform(1, 900)]),
                environment=rnd.choice(["prod", "dev"]),
                agent=rnd.choice(["", "triage"]),
                user_id=rnd.choice(["", "ada", "bob", "cyd"]),
                feature=rnd.choice(["", "chat"]),
                prompt_version=rnd.choice(["", "v1", "v2"]),
                tags=tuple(rnd.sample(["x", "y", "z"], rnd.randint(0, 2))),
            )
        )
    record_costs(project_id=project.pk, calls=made, now=NOW)
    return list(CostRecord.objects.filter(project=project))


def question(project: Project, query: str) -> Question:
    from django.http import QueryDict

    state = read_state(QueryDict(query), ref=project.slug, now=NOW)
    return Question(project.pk, usage_mark(project.pk), state)


def test_the_trend_of_cost_per_call_leaves_out_what_is_unknown(project: Project) -> None:
    for hours, calls, unpriced, cost in ((1, 2, 0, 6), (2, 3, 3, 0), (3, 4, 2, 1)):
        at = NOW.replace(minute=0, second=0) - dt.timedelta(hours=hours)
        add_hour(project.pk, at, calls=calls, unpriced_calls=unpriced, cost_usd=Decimal(cost))
    cards = {card["label"]: card for card in figures(question(project, "range=24h"))["cards"]}
    assert cards["Cost per call"]["spark"] == [Decimal("0.5"), Decimal(3)]
    assert sum(cards["Calls"]["spark"]) == 9


def totals(chart: charts.Chart) -> dict[str, Decimal]:
    return {
        one.label: sum((Decimal(value or 0) for value in one.values), Decimal(0))
        for one in chart.series
    }


def values_of(record: CostRecord, name: str) -> list[str]:
    if name == "tag":
        return list(record.tags)
    value = getattr(record, COLUMN.get(name, name))
    return [str(value)] if value or name not in EXTRA_FIELDS else []


@pytest.mark.parametrize(
    "group", ["model", "user", "tag", "feature", "operation", "service_tier", "error_type"]
)
@pytest.mark.parametrize(
    "query", ["range=7d", "range=7d&bin=hour", "range=7d&bin=month", "range=24h"]
)
def test_spend_by_any_dimension_is_exact(project: Project, group: str, query: str) -> None:
    records = record_week(project)
    asked = question(project, f"{query}&group={group}&compare=none")
    period = asked.state.period
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for record in records:
        if period.start <= record.occurred_at < period.end:
            for value in values_of(record, group):
                expected[value] += record.cost_usd or 0
    chart = charts.spend(asked)
    assert totals(chart) == dict(expected)
    assert all(len(one.values) == len(chart.frame.bins) for one in chart.series)


def test_other_is_what_the_five_dearest_leave(project: Project) -> None:
    ProjectUsageFactory.create(project=project)
    for number in range(9):
        add_hour(
            project.pk, floor(NOW, "hour"), dimension="user", value=f"u{number}", cost_usd=Decimal(number + 1)
        )  # fmt: skip
    found = totals(charts.spend(question(project, "range=24h&group=user")))
    assert found == {"u8": 9, "u7": 8, "u6": 7, "u5": 6, "u4": 5, "Other (4)": 10}


def test_cumulative_ends_at_the_total_and_never_falls(project: Project) -> None:
    records = record_week(project)
    chart = charts.spend(question(project, "range=7d&running=1"))
    for one in chart.series:
        assert list(one.values) == sorted(one.values)
    ends = sum((Decimal(one.values[-1] or 0) for one in chart.series), Decimal(0))
    assert ends == sum((record.cost_usd or 0 for record in records), Decimal(0))
    assert chart.title == "Cumulative spend"


def test_comparison_stands_under_the_same_place_of_the_period_before(project: Project) -> None:
    ProjectUsageFactory.create(project=project)
    start = floor(NOW, "day") - dt.timedelta(days=6)
    add_hour(project.pk, start, cost_usd=Decimal(5))
    add_hour(project.pk, start - dt.timedelta(days=6), cost_usd=Decimal(3))
    chart = charts.spend(question(project, "range=7d"))
    assert chart.compare is not None
    assert list(chart.compare.values)[:3] == [0, Decimal(3), 0]
    assert charts.spend(question(project, "range=7d&compare=none")).compare is None


def test_token_classes_add_up_to_all_tokens(project: Project) -> None:
    records = record_week(project)
    found = totals(charts.tokens(question(project, "range=7d")))
    read = sum(record.cache_read_input_tokens for record in records)
    written = sum(record.cache_write_input_tokens for record in records)
    whole_input = sum(record.input_tokens or 0 for record in records)
    output = sum(record.output_tokens or 0 for record in records)
    reasoning = sum(record.reasoning_output_tokens for record in records)
    assert found == {
        "Uncached input": whole_input - read - written,
        "Cache read": read,
        "Cache write": written,
        "Output": output - reasoning,
        "Reasoning": reasoning,
    }


def test_errors_by_type_hold_every_failed_call_once(project: Project) -> None:
    records = record_week(project)
    expected = Counter(
        record.error_type or "No type given" for record in records if record.is_error
    )
    assert totals(charts.errors(question(project, "range=7d"))) == expected
    assert {record.error_type for record in records if not record.is_error} == {""}


def test_errors_of_one_user_are_one_colour(project: Project) -> None:
    records = record_week(project)
    chart = charts.errors(question(project, "range=7d&user=ada"))
    failed = sum(one.is_error for one in records if one.user_id == "ada")
    assert totals(chart) == {"Failed": failed}
    assert chart.note.endswith("types are not kept for this filter")


def test_hours_of_a_week_are_labelled_by_their_dates(project: Project) -> None:
    frame = charts.spend(question(project, "range=7d&bin=hour")).frame
    assert (len([label for label in frame.labels if label]), frame.tick_every) == (7, 1)
    assert charts.spend(question(project, "range=24h")).frame.tick_every == 0


def test_calls_and_rates_are_exact(project: Project) -> None:
    records = record_week(project)
    failed = sum(record.is_error for record in records)
    assert totals(charts.calls(question(project, "range=7d"))) == {
        "Answered": len(records) - failed,
        "Failed": failed,
    }
    day = floor(NOW - dt.timedelta(days=2), "day")
    mine = [one for one in records if floor(one.occurred_at, "day") == day]
    priced = [one for one in mine if one.cost_usd is not None]
    place = 4
    per_call = charts.cost_per_call(question(project, "range=7d")).series[0].values[place]
    assert per_call == sum((one.cost_usd for one in priced), Decimal(0)) / len(priced)
    rate = charts.error_rate(question(project, "range=7d")).series[0].values[place]
    assert rate == Decimal(sum(one.is_error for one in mine)) / len(mine)
    share = charts.cache(question(project, "range=7d")).series[0].values[place]
    assert share == Decimal(sum(one.cache_read_input_tokens for one in mine)) / sum(
        one.input_tokens or 0 for one in mine
    )


@pytest.mark.parametrize("metric", ["latency", "first_token"])
@pytest.mark.parametrize("query", ["range=7d", "range=7d&bin=hour", "range=7d&environment=prod"])
def test_percentiles_are_within_a_tenth(project: Project, metric: str, query: str) -> None:
    records = record_week(project)
    asked = question(project, query)
    if "environment" in query:
        records = [one for one in records if one.environment == "prod"]
    times = sorted(
        getattr(one, f"{metric}_ms") for one in records if getattr(one, f"{metric}_ms") is not None
    )
    found = asked.percentiles(metric)
    assert found is not None
    series, whole = found
    assert sum(one.calls for one in series) == len(times)
    for name, q in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        exact = times[max(1, -(-int(q * 1000) * len(times) // 1000)) - 1]
        assert getattr(whole, name) == pytest.approx(exact, rel=0.1)


def test_percentiles_say_why_they_cannot_be_filtered_by_user(
    viewer: Client, project: Project
) -> None:
    record_week(project, number=20)
    words = text_of(
        viewer.get("/projects/copilot/dashboard/panels/latency/?range=7d&user=ada", headers=HTMX)
    )
    assert "Times are not kept for this filter" in words
    assert "Remove the filter on user" in words


def test_two_extra_dimensions_are_explained_not_refused(viewer: Client, project: Project) -> None:
    record_week(project, number=20)
    page = viewer.get("/projects/copilot/dashboard/?range=7d&user=ada&group=tag&full=1")
    assert page.status_code == 200
    assert "Calls are not counted by tag and user together." in text_of(page)


@pytest.mark.parametrize("seed", [3, 4])
def test_daily_and_hourly_sums_agree_after_adding_and_taking_away(
    project: Project, seed: int
) -> None:
    """What is read for whole days equals what is read hour by hour, for every dimension, percentiles included."""
    record_week(project, seed=seed, number=150)
    removed = [f"r{number}" for number in range(0, 150, 3)]
    from django.db import connection, transaction

    from costs.services.record_costs import finish, remove_rows

    keys = list(
        CostRecord.objects.filter(project=project, record_id__in=removed).values_list(
            "record_id", "occurred_at"
        )
    )
    with transaction.atomic(), connection.cursor() as cursor:
        deltas: aggregates.Deltas = {}
        remove_rows(cursor, project_id=project.pk, keys=keys, deltas=deltas)
        finish(cursor, project_id=project.pk, deltas=deltas, recorded=0, now=NOW)
    period = TimeRange(NOW - dt.timedelta(days=7), NOW, "7d").whole_hours()
    plain = SpendFilters()
    for name in ("model", "user", "tag", "operation", "error_type"):
        days = source.Question(project.pk, period, plain, (name,), size="day")
        hours = source.Question(project.pk, period, plain, (name,), size="hour")
        assert "costs_costdailyaggregate" in source.source(days)[0]
        assert "costs_costdailyaggregate" not in source.source(hours)[0]
        daily = spend.spend_series(project.pk, period, plain, (name,), "day")
        folded: dict[tuple[Any, Any], list[Any]] = {}
        for cell in spend.spend_series(project.pk, period, plain, (name,), "hour"):
            folded.setdefault((floor(cell.at, "day"), cell.value), []).append(cell.sums)
        assert {(cell.at, cell.value): cell.sums for cell in daily} == {
            key: sum(parts[1:], parts[0]) for key, parts in folded.items()
        }
    some = SpendFilters({"model": ("gpt-4o",), "environment": ("prod",)})
    for name in ("user", "tag", "operation", "error_type"):
        by_day: dict[Any, Sums] = {}
        for cell in spend.spend_series(project.pk, period, some, (name,), "day"):
            by_day[cell.value] = by_day.get(cell.value, Sums()) + cell.sums
        by_hour: dict[Any, Sums] = {}
        for cell in spend.spend_series(project.pk, period, some, (name,), "hour"):
            by_hour[cell.value] = by_hour.get(cell.value, Sums()) + cell.sums
        assert by_day == by_hour
        assert by_day
    day = spend.percentile_series(project.pk, period, plain, "day", histogram="latency")
    hour = spend.percentile_series(project.pk, period, plain, "hour", histogram="latency")
    assert day is not None
    assert hour is not None
    assert day[1] == hour[1]
    left = CostRecord.objects.filter(project=project)
    for table in (CostAggregate, CostDailyAggregate):
        rows = table.objects.filter(project=project, dimension="all")
        assert sum(row.calls for row in rows) == left.count()
        assert sum(row.cost_usd for row in rows) == sum(one.cost_usd or 0 for one in left)
        assert (
            sum(row.first_token_calls for row in rows) == left.exclude(first_token_ms=None).count()
        )


def test_every_chart_is_a_table_and_a_csv_of_the_same_numbers(
    viewer: Client, project: Project
) -> None:
    record_week(project)
    for key, build in views.CHARTS.items():
        page = viewer.get(
            reverse(f"costs:{key}_panel", args=["copilot"]) + "?range=7d", headers=HTMX
        )
        content = page.content.decode()
        assert "<summary>View as table<" in content, key
        assert f"panel={key}" in content
        assert 'data-edges="' in content
        answer = viewer.get(f"/projects/copilot/dashboard/export.csv?range=7d&panel={key}")
        lines = list(csv.reader(io.StringIO(answer.content.decode())))
        chart = build(question(project, "range=7d"))
        labels = [one.label for one in chart.legend]
        assert lines[0] == ["start", "end", *labels]
        assert len(lines) == 1 + len(chart.frame.bins)
        first = chart.series[0].values
        for place, line in enumerate(lines[1:]):
            assert line[2] == ("" if first[place] is None else f"{first[place]}")


def test_unknown_chart_cannot_be_exported(viewer: Client, project: Project) -> None:
    answer = viewer.get("/projects/copilot/dashboard/export.csv?panel=gold")
    assert answer.status_code == 400
    assert "panel is 'gold'; it must be one of spend" in text_of(answer)


def test_filter_form_names_one_more_dimension(viewer: Client, project: Project) -> None:
    answer = viewer.get("/projects/copilot/dashboard/?only=user&value=ada&range=7d&tag=x")
    assert (answer.status_code, answer["Location"]) == (
        302,
        "/projects/copilot/dashboard/?range=7d&user=ada",
    )
    wrong = viewer.get("/projects/copilot/dashboard/?only=colour&value=red")
    assert wrong.status_code == 400
    assert "only is 'colour'" in text_of(wrong)


def test_bins_too_fine_for_a_range_fall_back_to_its_own(project: Project) -> None:
    assert question(project, "range=30d&bin=hour").state.bin == "day"
    assert question(project, "range=7d&bin=hour").state.bin == "hour"
    assert question(project, "range=7d&bin=week").state.bin == "week"


def test_same_days_last_month_are_offered_and_used(viewer: Client, project: Project) -> None:
    record_week(project, number=5)
    page = viewer.get(
        "/projects/copilot/dashboard/?range=2026-11-01..2026-11-10&compare=month"
    ).content.decode()
    assert re.search(r"vs</span> Oct 1 – 10, 2026", page)


def test_all_bars_lead_to_the_traces_or_the_dashboard_of_their_value(project: Project) -> None:
    record_week(project)
    by_user = charts.spend(question(project, "range=7d&group=user")).series[0]
    assert f"user={by_user.label}" in by_user.href
    assert "/traces/?" in by_user.href
    by_tier = charts.spend(question(project, "range=7d&group=service_tier")).series[0]
    assert f"/dashboard/?range=7d&service_tier={by_tier.label}" in by_tier.href


def test_catalogue_holds_only_panels_that_have_an_address() -> None:
    assert len(views.available()) >= 12
    own = {panel.key for panel in board.CATALOGUE if not panel.url_name}
    assert own == {*views.CHARTS, *views.OTHERS}
