"""Sums per minute: what windows add up to is what the records say, whenever they came."""

import datetime as dt
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costs import minutes
from costs.histogram import histogram_of
from costs.minutes import HOUR, MINUTE, Need
from costs.models import CostRecord, MinuteRoll, MinuteSum
from costs.selectors.minutes import (
    Scope,
    Window,
    arrivals,
    coverage,
    segments,
    summed,
    waiting_calls,
)
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
NOON = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - dt.timedelta(
    days=1
)
NEED = Need(
    longest=dt.timedelta(hours=6), users=frozenset({"ann"}), tags=frozenset({"vip"}), has_arrivals=True
)  # fmt: skip


def call(number: int, at: dt.datetime, **facts: Any) -> ChargeableCall:
    values: dict[str, Any] = {
        "provider": "openai", "model": "gpt-4o-mini", "client_cost_usd": Decimal("0.001"), **facts
    }  # fmt: skip
    return ChargeableCall(record_id=f"call-{number}", occurred_at=at, **values)


def send(project: Project, calls: Sequence[ChargeableCall], now: dt.datetime) -> None:
    record_costs(project_id=project.pk, calls=calls, now=now)


def read(scope: Scope, start: dt.datetime, end: dt.datetime) -> Window | None:
    covered = coverage([scope.project_id], end=end)[scope.project_id]
    found = segments(scope, start, end, covered.since_of(scope))
    return summed([found[0]], with_latency=not scope.value)[0] if found else None


def raw(scope: Scope, start: dt.datetime, end: dt.datetime) -> list[CostRecord]:
    rows = CostRecord.objects.filter(
        project_id=scope.project_id, occurred_at__gte=start, occurred_at__lt=end
    )
    for name in ("provider", "model", "environment", "agent"):
        if value := getattr(scope, name):
            rows = rows.filter(**{name: value})
    if scope.user:
        rows = rows.filter(user_id=scope.user)
    return [row for row in rows if not scope.tag or scope.tag in row.tags]


def assert_same(scope: Scope, start: dt.datetime, end: dt.datetime) -> None:
    found, rows = read(scope, start, end), raw(scope, start, end)
    assert found is not None
    assert found.start == start
    assert found.sums.calls == len(rows)
    assert found.sums.errors == sum(row.is_error for row in rows)
    assert found.sums.unpriced_calls == sum(row.cost_usd is None for row in rows)
    assert found.sums.cost_usd == sum((row.cost_usd or 0 for row in rows), Decimal(0))
    assert found.sums.total_tokens == sum(
        (row.input_tokens or 0) + (row.output_tokens or 0) for row in rows
    )
    if not scope.value:
        times = [row.latency_ms for row in rows if row.latency_ms is not None]
        assert list(found.latency or histogram_of([])) == histogram_of(times)


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple[dict[str, Any], dt.timedelta, dt.timedelta]]:
    """Calls: what they are, when they happened after noon, and how much later they came."""
    facts = st.fixed_dictionaries(
        {
            "model": st.sampled_from(["gpt-4o-mini", "nobody-knows-it"]),
            "environment": st.sampled_from(["", "production"]),
            "agent": st.sampled_from(["", "support"]),
            "user_id": st.sampled_from(["", "ann", "bob"]),
            "tags": st.sampled_from([(), ("vip",), ("vip", "vip", "eu")]),
            "is_error": st.booleans(),
            "latency_ms": st.sampled_from([None, 0.0, 0.4, 1.0, 812.5, 1e9]),
            "client_cost_usd": st.sampled_from([None, Decimal("0.000000000001"), Decimal("2.5")]),
            "usage": st.sampled_from([None, Usage(input_tokens=10, output_tokens=3)]),
        }
    )
    times = st.integers(0, 150 * 60).map(lambda s: dt.timedelta(seconds=s))
    late = st.integers(0, 13 * 60).map(lambda s: dt.timedelta(seconds=s))
    return draw(st.lists(st.tuples(facts, times, late), min_size=1, max_size=16))


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=traffic(), seed=st.integers(0, 2**32))
def test_windows_equal_the_records_whatever_comes_in_which_order(
    sent: list[tuple[dict[str, Any], dt.timedelta, dt.timedelta]], seed: int
) -> None:
    """Late calls, calls sent twice, rolls at any time, rolls that met a change: the sums are the records'."""
    project, rnd = ProjectFactory(), random.Random(seed)
    calls = [(call(n, NOON + at, **facts), NOON + at + late) for n, (facts, at, late) in enumerate(sent)]  # fmt: skip
    events = [(moment, one) for one, moment in calls]
    events += [(moment + MINUTE, one) for one, moment in rnd.sample(calls, len(calls) // 3)]
    ticks = [NOON + rnd.randint(0, 170) * MINUTE for _ in range(6)]
    for moment, one in sorted([*events, *((tick, None) for tick in ticks)], key=lambda e: e[0]):
        if one is not None:
            send(project, [one], moment)
        else:
            minutes.roll_all({project.pk: NEED}, now=moment)
            if rnd.random() < 0.3:
                minutes.note_changed(project_id=project.pk, until=moment - 20 * MINUTE)
    end = NOON + 171 * MINUTE
    for _ in range(3):
        minutes.roll_all({project.pk: NEED}, now=end, seconds=60)
    windows = [(end - length * MINUTE, end) for length in (5, 90, 170)]
    windows.append((NOON, end - 30 * MINUTE))
    for scope in (
        Scope(project.pk),
        Scope(project.pk, model="gpt-4o-mini", environment="production"),
        Scope(project.pk, user="ann"),
        Scope(project.pk, tag="vip", agent="support"),
    ):
        for start, finish in windows:
            assert_same(scope, start, finish)


def rolled(project: Project, *, now: dt.datetime, need: Need = NEED, times: int = 1) -> MinuteRoll:
    for _ in range(times):
        minutes.roll_all({project.pk: need}, now=now, seconds=60)
    return MinuteRoll.objects.get(project_id=project.pk)


def test_long_windows_take_days_and_hours_between_their_minutes() -> None:
    project = ProjectFactory()
    start = NOON - 4 * 24 * HOUR + 17 * MINUTE
    end = NOON + 23 * MINUTE
    moments = [start, start + HOUR, start + 30 * HOUR, NOON - MINUTE, end - MINUTE, end, start - MINUTE]  # fmt: skip
    send(project, [call(n, at, user_id="ann") for n, at in enumerate(moments)], end)
    rolled(project, now=end, need=Need(longest=end - start, users=frozenset({"ann"})), times=2)
    for facts in ({}, {"user": "ann"}, {"user": "ann", "model": "gpt-4o-mini"}):
        found = read(Scope(project.pk, **facts), start, end)
        assert found is not None
        assert (found.sums.calls, found.start) == (5, start)


def test_a_window_without_its_older_minutes_begins_with_its_first_whole_hour() -> None:
    project = ProjectFactory()
    now = NOON + 20 * MINUTE
    send(project, [call(1, now - 6 * HOUR + MINUTE), call(2, now - HOUR)], now)
    rolled(project, now=now, need=Need())
    MinuteRoll.objects.filter(project_id=project.pk).update(since=now - HOUR)
    found = read(Scope(project.pk), now - 6 * HOUR, now)
    assert found is not None
    assert (found.start, found.sums.calls) == (NOON - 5 * HOUR, 1)
    # Nothing whole in it, and no minutes: not known, and not taken for nothing.
    assert read(Scope(project.pk), now - 90 * MINUTE, now - 40 * MINUTE) is None


def test_a_user_whom_a_rule_names_later_is_read_from_the_records() -> None:
    project = ProjectFactory()
    now = NOON + 5 * MINUTE
    send(project, [call(1, NOON, user_id="bob"), call(2, NOON - 70 * MINUTE, user_id="bob")], now)
    rolled(project, now=now)
    scope = Scope(project.pk, user="bob")
    assert read(scope, NOON - 80 * MINUTE, now) is None
    rolled(project, now=now, need=Need(users=frozenset({"bob"})), times=2)
    assert_same(scope, NOON - 80 * MINUTE, now)
    # ann's minutes are nobody's business any more.
    assert not MinuteSum.objects.filter(project_id=project.pk, value="ann").exists()


def test_calls_that_come_while_nobody_rolls_are_there_afterwards() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + MINUTE)
    later = NOON + 5 * HOUR
    send(project, [call(2, NOON + 4 * HOUR + 30 * MINUTE), call(3, later)], later)
    rolled(project, now=later + MINUTE, times=2)
    assert_same(Scope(project.pk), later - 40 * MINUTE, later + MINUTE)


def test_a_step_that_met_a_change_of_records_counts_for_nothing(monkeypatch: Any) -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    before = rolled(project, now=NOON + MINUTE)
    replace = minutes.rows.replace

    def meanwhile(*args: Any, **options: Any) -> None:
        replace(*args, **options)
        minutes.note_changed(project_id=project.pk, until=NOON)

    monkeypatch.setattr(minutes.rows, "replace", meanwhile)
    send(project, [call(2, NOON + MINUTE)], NOON + MINUTE)
    after = rolled(project, now=NOON + 2 * MINUTE)
    assert after.rolled_to == before.rolled_to
    # The step that was undone had changed it itself, so the change is gone with it, too.
    assert after.generation == before.generation


def test_a_project_whose_sums_fail_does_not_hold_up_the_others(monkeypatch: Any) -> None:
    bad, good = sorted((ProjectFactory(), ProjectFactory()), key=lambda one: one.pk)
    for project in (bad, good):
        send(project, [call(1, NOON)], NOON)
    replace = minutes.rows.replace

    def timing_out(cursor: Any, project_id: Any, *args: Any, **options: Any) -> None:
        if project_id == bad.pk:
            raise OperationalError("canceling statement due to statement timeout")
        replace(cursor, project_id, *args, **options)

    monkeypatch.setattr(minutes.rows, "replace", timing_out)
    needs = {bad.pk: NEED, good.pk: NEED}
    assert minutes.roll_all(needs, now=NOON + MINUTE, seconds=60) == 1
    assert read(Scope(bad.pk), NOON, NOON + MINUTE) is None
    assert_same(Scope(good.pk), NOON, NOON + MINUTE)
    # Its first reading already: what comes from now on is seen to wait.
    later = NOON + 2 * MINUTE
    send(bad, [call(2, later)], later)
    minutes.roll_all(needs, now=NOON + 3 * MINUTE, seconds=60)
    assert waiting_calls(NOON + 9 * MINUTE) == (1, later)


def test_calls_wait_from_when_they_are_stored_until_they_are_summed_up() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + 20 * MINUTE, times=2)
    again = NOON + 3 * HOUR
    assert waiting_calls(again) == (0, None)  # quiet is not behind
    send(project, [call(2, again - HOUR), call(3, again)], again)
    assert waiting_calls(again + 7 * MINUTE) == (1, again)
    rolled(project, now=again + 7 * MINUTE)
    assert waiting_calls(again + 8 * MINUTE) == (0, None)
    with CaptureQueriesContext(connection) as captured:
        waiting_calls(again + 12 * MINUTE)
    assert len(captured) == 1


def test_idle_projects_are_not_read() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + 40 * MINUTE, times=3)
    assert minutes.roll_all({project.pk: NEED}, now=NOON + 41 * MINUTE) == 0
    # Their minutes since are empty, not unknown.
    found = read(Scope(project.pk), NOON - 10 * MINUTE, NOON + 41 * MINUTE)
    assert found is not None
    assert found.sums.calls == 1


def test_projects_that_no_rule_watches_lose_their_minutes() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + MINUTE)
    minutes.roll_all({}, now=NOON + 2 * MINUTE)
    assert not MinuteSum.objects.filter(project_id=project.pk).exists()
    assert not MinuteRoll.objects.filter(project_id=project.pk).exists()


def test_minutes_older_than_eight_days_go() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + MINUTE)
    MinuteSum.objects.filter(project_id=project.pk).update(minute=NOON - 9 * 24 * HOUR)
    rolled(project, now=NOON + 61 * MINUTE)
    assert MinuteSum.objects.filter(project_id=project.pk, minute__lt=NOON - MINUTE).count() == 0


def test_arrivals_count_by_the_minute_they_were_stored_in() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON - MINUTE)], NOON - MINUTE)
    rolled(project, now=NOON)
    send(project, [call(2, NOON - 10 * MINUTE), call(3, NOON)], NOON + dt.timedelta(seconds=30))
    rolled(project, now=NOON + MINUTE)
    scope = Scope(project.pk)
    (found,) = summed([arrivals(scope, NOON, NOON + MINUTE)])
    assert (found.sums.calls, found.lag_seconds) == (2, 630 + 30)


def test_a_person_taken_out_leaves_no_minutes() -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON, user_id="ann")], NOON)
    rolled(project, now=NOON + MINUTE)
    with connection.cursor() as cursor:
        minutes.forget_user(cursor, project_id=project.pk, user_id="ann")
    assert not MinuteSum.objects.filter(project_id=project.pk, value="ann").exists()
    assert MinuteSum.objects.filter(project_id=project.pk, dimension="all").exists()


def test_deleting_takes_a_project_and_nothing_of_another() -> None:
    gone, other = ProjectFactory(), ProjectFactory()
    for project in (gone, other):
        send(project, [call(1, NOON)], NOON)
    minutes.roll_all({gone.pk: NEED, other.pk: NEED}, now=NOON + MINUTE)
    assert minutes.count_rows(gone.pk) > 0
    while minutes.delete_batch(gone.pk, 2):
        pass
    assert minutes.count_rows(gone.pk) == 0
    assert minutes.count_rows(other.pk) > 0


def test_any_number_of_windows_is_one_query(django_assert_num_queries: Any) -> None:
    project = ProjectFactory()
    send(project, [call(1, NOON)], NOON)
    rolled(project, now=NOON + MINUTE)
    scopes = [(n, Scope(project.pk, agent=f"agent-{n}")) for n in range(1, 51)]
    end = NOON + MINUTE
    since = coverage([project.pk], end=end)[project.pk].since
    wanted = [segments(scope, end - n * MINUTE, end, since) for n, scope in scopes]
    with django_assert_num_queries(1):
        found = summed([one[0] for one in wanted if one])
    assert len(found) == 50
