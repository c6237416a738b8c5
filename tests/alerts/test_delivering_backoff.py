"""When what failed is tried again, by the clock."""

import datetime as dt

import pytest

from core.backoff import next_try, wait_s

AT = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("outage", "wait"),
    [
        (dt.timedelta(0), 5),
        (dt.timedelta(seconds=10), 5),
        (dt.timedelta(seconds=30), 15),
        (dt.timedelta(seconds=90), 45),
        (dt.timedelta(hours=1), 45),
        (dt.timedelta(hours=2) - dt.timedelta(microseconds=1), 45),
        (dt.timedelta(hours=2), 45),
        (dt.timedelta(hours=3), 90),
        (dt.timedelta(hours=4), 180),
        (dt.timedelta(hours=5), 360),
        (dt.timedelta(hours=6), 600),
        (dt.timedelta(hours=24), 600),
    ],
)
def test_waits_grow_with_the_outage(outage: dt.timedelta, wait: float) -> None:
    assert wait_s(outage, 0) == wait
    assert wait_s(outage, 1) == pytest.approx(wait * 0.8)


def again(outage_s: float, took_s: float, retry_after_s: float | None = None) -> float:
    """Seconds from the start of a try to the next one."""
    ended = AT + dt.timedelta(seconds=took_s)
    since = ended - dt.timedelta(seconds=outage_s)
    found = next_try(since=since, started=AT, ended=ended, retry_after_s=retry_after_s, chance=0)
    return (found - AT).total_seconds()


def test_a_try_that_hangs_is_part_of_the_wait() -> None:
    assert again(3600, 15) == 45
    assert again(0, 15) == 20  # but a hanging receiver has a rest, too
    assert again(3600, 0.2) == 45


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 5), (-5, 5), (3, 5), (30, 30), (3_600, 3_600), (86_400, 3_600)],
)
def test_retry_after_counts_when_it_is_longer(asked: float | None, wait: float) -> None:
    assert again(0, 0, asked) == wait
