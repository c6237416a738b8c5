"""What rules about a window of calls see."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alerts.measures import windows
from alerts.measures.base import Reading
from alerts.measures.registry import measure_for
from alerts.models import Alert
from costs.models import MinuteRoll
from costs.usage import Usage
from tests.alerts.measures.traffic import HOUR, MINUTE, NOON, NOW, call, calls, roll, rule, send
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


def read(*alerts: Alert, now: dt.datetime = NOW) -> list[Reading]:
    roll(now)
    return measure_for(alerts[0].kind).read(alerts, now)


def test_each_measure_says_its_figure_of_the_window() -> None:
    project = ProjectFactory()
    usage = Usage(input_tokens=100, output_tokens=20)
    send(
        project,
        [
            *calls(6, usage=usage, latency_ms=100.0),
            *calls(2, usage=usage, latency_ms=4000.0, is_error=True),
            *calls(2, model="nobody-knows-it", client_cost_usd=None),
            *calls(9, end=NOON - 15 * MINUTE, is_error=True),  # before the window
        ],
    )
    found = {
        kind: read(rule(project, kind, window_minutes=15))[0]
        for kind in ("spend", "cost_per_call", "error_rate", "latency", "call_rate", "token_rate", "unpriced")
    }  # fmt: skip
    assert {kind: one.value for kind, one in found.items() if kind != "latency"} == {
        "spend": Decimal("0.000216"),
        "cost_per_call": Decimal("0.000027"),
        "error_rate": Decimal(20),
        "call_rate": Decimal("0.666666666667"),
        "token_rate": Decimal(64),
        "unpriced": Decimal(20),
    }
    assert found["latency"].value == pytest.approx(Decimal(4000), rel=Decimal("0.1"))
    assert {kind: one.sample for kind, one in found.items()} == {
        "spend": 10, "cost_per_call": 8, "error_rate": 10, "latency": 8, "call_rate": 10,
        "token_rate": 10, "unpriced": 10,
    }  # fmt: skip


def test_what_nobody_knows_is_no_value() -> None:
    project = ProjectFactory()
    send(project, calls(3, model="nobody-knows-it", client_cost_usd=None))
    (spend,), (per_call,) = read(rule(project, "spend")), read(rule(project, "cost_per_call"))
    assert (spend.value, spend.sample, spend.facts["unpriced_calls"]) == (None, 3, 3)
    assert (per_call.value, per_call.sample) == (None, 0)
    # Without any call the spend is known, a share is not.
    quiet = ProjectFactory()
    assert [read(rule(quiet, kind))[0].value for kind in ("spend", "call_rate")] == [0, 0]
    kinds = ("error_rate", "unpriced", "latency", "cost_per_call")
    assert [read(rule(quiet, kind))[0].value for kind in kinds] == [None] * 4


def test_fewer_calls_than_the_minimum_are_not_judged() -> None:
    project = ProjectFactory()
    send(project, calls(4, is_error=True))
    (few,) = read(rule(project, minimum_sample=5))
    (enough,) = read(rule(project, minimum_sample=4))
    assert (few.value, few.sample) == (None, 4)
    assert enough.value == 100


SCOPES: list[tuple[dict[str, str], int | None]] = [
    ({"model": "gpt-4o"}, 100),
    ({"environment": "production", "model": "gpt-4o-mini"}, 0),
    ({"agent": "support"}, 50),
    ({"provider": "anthropic"}, None),
    ({"user_id": "ann"}, 100),
    ({"tag": "vip"}, 50),
    ({"tag": "vip", "model": "gpt-4o"}, 100),
]


def test_a_scope_counts_its_calls_alone() -> None:
    project = ProjectFactory()
    facts: dict[str, Any] = {"agent": "support", "tags": ("vip", "vip"), "environment": "production"}  # fmt: skip
    send(
        project,
        [
            *calls(2, model="gpt-4o", user_id="ann", is_error=True, **facts),
            *calls(2, user_id="bob", **facts),
            *calls(4, is_error=True),
        ],
    )
    rules = [rule(project, **scope) for scope, _ in SCOPES]
    assert [one.value for one in read(*rules)] == [value for _, value in SCOPES]


def test_compared_with_the_window_before_it_is_the_change_in_percent() -> None:
    project = ProjectFactory()
    send(project, [*calls(6), *calls(4, end=NOON - 15 * MINUTE)])
    (found,) = read(rule(project, "spend", compare_with="before", window_minutes=15))
    assert (found.value, found.now_value, found.before_value) == (50, Decimal("1.5"), 1)


def test_without_anything_before_there_is_nothing_to_compare_with() -> None:
    project = ProjectFactory()
    send(project, calls(6))
    (found,) = read(rule(project, "spend", compare_with="before"))
    assert (found.value, found.now_value, found.before_value) == (None, Decimal("1.5"), 0)


def test_a_window_ends_with_the_last_full_minute() -> None:
    project = ProjectFactory()
    send(project, [call(NOON), call(NOON + MINUTE)])
    one = rule(project, "spend", window_minutes=1)
    assert read(one, now=NOON + MINUTE - dt.timedelta(seconds=1))[0].value == 0
    assert read(one, now=NOON + MINUTE)[0].value == Decimal("0.25")
    assert read(one, now=NOON + 2 * MINUTE)[0].value == Decimal("0.25")


def test_calls_that_come_late_are_counted_by_the_next_evaluations() -> None:
    project = ProjectFactory()
    one = rule(project, "spend", window_minutes=60)
    send(project, [call(NOON)], now=NOON)
    assert read(one, now=NOON + 2 * MINUTE)[0].value == Decimal("0.25")
    # Seconds late: at once. A quarter of an hour late: within five minutes.
    send(project, [call(NOON + MINUTE)], now=NOON + 2 * MINUTE)
    assert read(one, now=NOON + 3 * MINUTE)[0].value == Decimal("0.5")
    send(project, [call(NOON - 11 * MINUTE)], now=NOON + 4 * MINUTE)
    assert read(one, now=NOON + 5 * MINUTE)[0].value == Decimal("0.75")
    roll(NOON + 15 * MINUTE)
    late = NOON + dt.timedelta(minutes=15, seconds=10)
    send(project, [call(late - dt.timedelta(minutes=14, seconds=50))], now=late)
    assert read(one, now=NOON + 20 * MINUTE)[0].value == 1


def test_a_rule_of_an_organisation_sees_all_its_projects_and_no_other() -> None:
    project = ProjectFactory()
    sister, stranger = ProjectFactory(organization=project.organization), ProjectFactory()
    for one, count in ((project, 2), (sister, 3), (stranger, 7)):
        send(one, calls(count))
    wide = rule(project, "spend")
    wide.project = None
    wide.save()
    (found,) = read(wide)
    assert (found.value, found.sample) == (Decimal("1.25"), 5)
    assert set(MinuteRoll.objects.values_list("pk", flat=True)) == {project.pk, sister.pk}


def test_a_rule_whose_minutes_are_not_there_yet_says_nothing() -> None:
    project = ProjectFactory()
    send(project, calls(3, is_error=True))
    assert measure_for("error_rate").read([rule(project)], NOW) == []


def test_minutes_that_nobody_summed_up_for_long_are_not_taken_for_empty() -> None:
    project = ProjectFactory()
    one = rule(project, "call_rate")
    send(project, calls(3))
    roll()
    later = NOW + HOUR
    send(project, calls(3, end=later), now=later)
    assert measure_for("call_rate").read([one], later) == []
    # One or two minutes behind, the window ends where the sums do.
    (found,) = measure_for("call_rate").read([one], NOW + 2 * MINUTE)
    assert found.sample == 3


@pytest.mark.parametrize("count", [1, 50])
def test_any_number_of_rules_costs_the_same_queries(
    count: int, django_assert_num_queries: Any
) -> None:
    projects = [ProjectFactory() for _ in range(2)]
    for project in projects:
        send(project, calls(2))
    rules = [
        rule(projects[n % 2], window_minutes=1 + n * 20, compare_with=("value", "before")[n % 3 == 0])
        for n in range(count)
    ]  # fmt: skip
    rules[0].project = None
    rules[0].save()
    for _ in range(6):
        roll()
    with django_assert_num_queries(4):
        found = windows.ERROR_RATE.read(rules, NOW)
    assert len(found) == count


def test_rolling_costs_a_few_queries_for_each_active_project(
    django_assert_max_num_queries: Any,
) -> None:
    project, idle = ProjectFactory(), ProjectFactory()
    for one in (project, idle):
        rule(one)
        send(one, calls(2, end=NOON - 3 * HOUR), now=NOON - 3 * HOUR)
    for _ in range(4):
        roll()
    send(project, calls(2))
    roll()
    with django_assert_max_num_queries(32):
        roll(NOW + MINUTE)
