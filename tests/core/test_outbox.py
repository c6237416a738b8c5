"""The outbox: done once, tried three times, given up where an operator sees it, and nobody pays for a neighbour."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import outbox
from core.models import OutboxItem

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


class Worker:
    """A handler that writes down what it did and fails on demand."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, *, payload: dict[str, Any], now: dt.datetime) -> None:
        if payload["name"] in self.failing:
            raise ValueError("no\x00 way")
        self.done.append(payload["name"])


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    outbox.handler("test")(made)
    yield made
    del outbox._HANDLERS["test"]


def add(name: str, *, at: dt.datetime = NOW) -> OutboxItem:
    outbox.enqueue(topic="test", key=f"test:{name}", payload={"name": name}, now=at)
    return OutboxItem.objects.get(key=f"test:{name}")


def drain(*, after: float = 0) -> int:
    return outbox.drain(now=lambda: NOW + dt.timedelta(seconds=after))


def test_rows_are_done_once_oldest_first(worker: Worker) -> None:
    add("later", at=NOW - dt.timedelta(seconds=1))
    add("first", at=NOW - dt.timedelta(seconds=2))
    add("tomorrow", at=NOW + dt.timedelta(days=1))
    add("first")  # the same key is the same work
    assert drain() == 2
    assert drain() == 0
    assert worker.done == ["first", "later"]


def test_a_key_that_was_there_says_so(worker: Worker) -> None:
    row = {"topic": "test", "key": "test:once", "payload": {"name": "once"}, "now": NOW}
    assert outbox.enqueue(**row) is True
    assert outbox.enqueue(**row) is False
    assert OutboxItem.objects.get(key="test:once").created_at == NOW


def test_a_failing_row_is_tried_three_times_then_dead_and_replayed(worker: Worker) -> None:
    worker.failing = {"a"}
    row, after = add("a"), 0.0
    for attempt in range(1, 4):
        assert drain(after=after) == 0
        row.refresh_from_db()
        assert (row.attempts, row.error) == (attempt, "ValueError: no\ufffd way")
        assert drain(after=after) == 0  # it waits before it is tried again
        after += 5 * 4**attempt
    assert row.dead_at is not None
    assert drain(after=after + 3600) == 0
    worker.failing = set()
    assert outbox.replay([row.pk], now=NOW) == 1
    assert drain() == 1
    assert worker.done == ["a"]


def test_a_row_that_kills_its_worker_costs_its_neighbours_nothing(worker: Worker) -> None:
    poison, after = add("poison", at=NOW - dt.timedelta(seconds=1)), 0
    good = add("good")
    for _ in range(3):  # claimed, and the worker is gone before it could say anything
        claimed = outbox.claim(now=NOW + dt.timedelta(seconds=after))
        assert claimed is not None
        assert claimed.pk == poison.pk
        after += int(outbox.LEASE.total_seconds()) + 1
    assert drain(after=after) == 1
    good.refresh_from_db()
    poison.refresh_from_db()
    assert (good.attempts, worker.done) == (1, ["good"])
    assert poison.dead_at is not None
    assert "died three times" in poison.error


def test_an_unknown_topic_is_a_failure_with_its_name(worker: Worker) -> None:
    OutboxItem.objects.create(topic="gone", key="k", available_at=NOW)
    assert drain() == 0
    assert OutboxItem.objects.get().error == "KeyError: 'gone'"


def test_rows_that_wait_for_others_never_hold_every_thread(worker: Worker) -> None:
    """Twelve slow rows are due before an ingestion's: its lane has none of them, and theirs a few at a time."""
    outbox.handler("slow", is_slow=True)(worker)
    try:
        for number in range(12):
            row = {"topic": "slow", "key": f"slow:{number}", "payload": {"name": f"slow {number}"}}
            outbox.enqueue(**row, now=NOW - dt.timedelta(minutes=1))
        add("ingested")
        claimed = [outbox.claim(now=NOW, is_slow=True) for _ in range(12)]
        under_way = [item for item in claimed if item]
        assert len(under_way) == outbox.SLOW_AT_ONCE
        assert outbox.drain(now=lambda: NOW, is_slow=False) == 1
        assert worker.done == ["ingested"]
        outbox.run(under_way[0].pk, now=NOW)
        assert outbox.claim(now=NOW, is_slow=True) is not None
        assert outbox.claim(now=NOW, is_slow=True) is None
        after_killed_workers = NOW + outbox.LEASE + dt.timedelta(seconds=1)
        assert outbox.drain(now=lambda: after_killed_workers, is_slow=True) == 11
    finally:
        outbox._SLOW.discard("slow")
        del outbox._HANDLERS["slow"]


def test_done_work_is_not_read_to_see_how_much_is_left() -> None:
    """It is asked each minute and at each scrape, and done work is kept for days."""
    OutboxItem.objects.create(topic="t", key="done", available_at=NOW, done_at=NOW)
    OutboxItem.objects.create(topic="t", key="dead", available_at=NOW, dead_at=NOW)
    OutboxItem.objects.create(topic="t", key="open", available_at=NOW)
    with CaptureQueriesContext(connection) as captured:
        assert outbox.depth() == {"open": 1, "dead": 1, "oldest": NOW}
    (asked,) = captured
    assert 'WHERE "core_outboxitem"."done_at" IS NULL' in asked["sql"]
