"""Sums of calls: kept with their rows, read for any window, and filled for what was recorded before them."""

import datetime as dt
from decimal import Decimal
from importlib import import_module

import pytest
from django.db import connection
from django.utils import timezone

from costs.histogram import percentile
from gateway.models import CallSum
from gateway.recording.writer import record
from gateway.structs import Decision
from gateway.sums.forgetting import forget_old
from gateway.sums.reading import Calls, Stretch, course, parts_of, totals
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls

HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory()


def everything(project: Project, **more: str) -> Calls:
    end = timezone.now().replace(second=0, microsecond=0) + MINUTE
    return totals([Stretch([project.pk], end - 3 * HOUR, end, **more)])[0]


def a_day_of(project: Project) -> list[calls.Finished]:
    other = calls.call(project, decision=Decision(targets=(), route=""), model="nobody-has-it")
    fell = calls.call(project)
    second = calls.Target(connection="0" * 32, kind="openai", model="n", provider="openai")
    elsewhere = calls.tried(fell, target=second)
    return [
        calls.finished(project),
        calls.finished(of=fell, attempts=[calls.tried(fell, error="error"), elsewhere], cache=""),
        calls.finished(project, state="cached", cache="exact", attempts=[], saved_usd=Decimal("0.5")),
        calls.finished(project, state="cached", cache="semantic", attempts=[]),
        calls.finished(
            project, state="refused", error="rate_limit_exceeded", attempts=[], usage=None, cache="", status=429
        ),
        calls.finished(of=other, state="refused", error="model_not_found", attempts=[], usage=None, cache=""),
        calls.finished(project, state="failed", error="error", cache=""),
    ]  # fmt: skip


def test_calls_are_summed_once_with_their_rows(project: Project) -> None:
    ends = a_day_of(project)
    lost = calls.finished(project, state="lost", error="worker_died", cache="")
    record([*ends, lost], now=timezone.now())
    record(ends, now=timezone.now())
    found = everything(project)
    assert (found.calls, found.failed, found.tried, found.fell_back, found.limited) == (
        7,
        1,
        3,
        1,
        1,
    )
    assert (found.exact, found.semantic, found.missed, found.unpriced_hits) == (1, 1, 1, 1)
    assert (found.exact_usd, found.semantic_usd) == (Decimal("0.5"), 0)
    assert percentile(found.waits, 0.5) == pytest.approx(6, rel=0.1)
    assert everything(project, model="FAST").calls == 6
    assert everything(ProjectFactory()) == Calls()
    # A call that was taken for lost and ended after all counts then.
    record([calls.finished(of=lost.call)], now=timezone.now())
    assert everything(project).calls == 8
    assert set(CallSum.objects.filter(project=project).values_list("model", flat=True)) == {"fast", ""}  # fmt: skip


def test_windows_are_whole_hours_and_the_minutes_at_their_ends() -> None:
    noon = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    assert parts_of(noon, noon + HOUR) == [(60, noon, noon + HOUR)]
    assert parts_of(noon + MINUTE, noon + HOUR) == [(1, noon + MINUTE, noon + HOUR)]
    assert parts_of(noon - MINUTE, noon + HOUR + MINUTE) == [
        (1, noon - MINUTE, noon), (60, noon, noon + HOUR), (1, noon + HOUR, noon + HOUR + MINUTE),
    ]  # fmt: skip
    assert parts_of(noon, noon) == []


def test_many_windows_are_one_query(project: Project, django_assert_num_queries: object) -> None:
    record([calls.finished(project)], now=timezone.now())
    end = timezone.now().replace(second=0, microsecond=0) + MINUTE
    asks = [Stretch([project.pk], end - n * MINUTE, end) for n in range(1, 200)]
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert {one.calls for one in totals(asks)} <= {0, 1}
    assert (
        sum(one.calls for one in course(Stretch([project.pk], end - 2 * HOUR, end)).values()) == 1
    )


def test_what_was_recorded_before_is_filled_in(project: Project) -> None:
    record(a_day_of(project), now=timezone.now())
    before = everything(project)
    CallSum.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("gateway.migrations.0007_sums_and_openings").BACKFILL)
    found = everything(project)
    assert found == Calls(**{**vars(before), "waits": ()})
    assert everything(project, model="fast").calls == 6


def test_old_sums_are_forgotten(project: Project) -> None:
    record([calls.finished(project)], now=timezone.now())
    assert forget_old(timezone.now()) == 0
    assert forget_old(timezone.now() + dt.timedelta(days=17)) == 1
    assert forget_old(timezone.now() + dt.timedelta(days=401)) == 1
