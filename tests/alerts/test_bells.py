"""Bells that are rung while a look at budgets takes its time."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from types import SimpleNamespace

import pytest

from alerts import checking, tasks


@pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")
def test_a_slow_look_holds_two_threads_however_often_it_is_rung_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking, done = threading.Semaphore(0), threading.Semaphore(0)
    looks = []

    def slow(now: dt.datetime) -> list[object]:
        looks.append(now)
        looking.release()
        assert done.acquire(timeout=10)
        return [now]

    monkeypatch.setattr(checking, "check_budgets", slow)
    bell = tasks.check_budgets.run
    with ThreadPoolExecutor(8) as worker:
        rung = [worker.submit(bell)]
        assert looking.acquire(timeout=10)
        rung += [worker.submit(bell) for _ in range(7)]
        answered = list(islice(as_completed(rung, timeout=10), 6))
        assert sum(not one.done() for one in rung) == 2
        done.release(2)
    assert [one.result() for one in answered] == [0] * 6
    # The second began after the last bell.
    assert len(looks) == 2
    assert sorted(one.result() for one in rung) == [0] * 6 + [1] * 2


def test_a_worker_that_begins_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[dt.datetime] = []

    def look(now: dt.datetime) -> list[object]:
        looks.append(now)
        return []

    monkeypatch.setattr(checking, "check_budgets", look)
    for queues in (["notify"], ["ingest", "analysis"]):
        taken = SimpleNamespace(consume_from=dict.fromkeys(queues))
        app = SimpleNamespace(amqp=SimpleNamespace(queues=taken))
        tasks.look_at_once(sender=SimpleNamespace(app=app))
    tasks._lasting.submit(lambda: None).result(timeout=10)
    assert len(looks) == 1
    assert tasks._next.acquire(blocking=False)
    tasks._next.release()
