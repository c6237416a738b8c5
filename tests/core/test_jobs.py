"""Long jobs: step by step, exactly once each, resumed, cancelled between steps, failed with a reason."""

import datetime as dt
from collections.abc import Iterator
from uuid import UUID

import pytest

from core import jobs, outbox
from core.errors import ConflictError
from core.ids import uuid7
from core.models import Job, OutboxItem

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
ORGANIZATION = uuid7()


class Counter:
    """Counts to `total` two by two, and writes down what it saw."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.ended: list[str] = []
        self.fails_at: int | None = None

    def __call__(self, job: Job, *, now: dt.datetime) -> jobs.Step:
        at = int(job.cursor.get("at", 0))
        if at == self.fails_at:
            raise ValueError("no disk")
        self.seen.append(at)
        if at + 2 >= job.total:
            return jobs.Step(job.total - at, None, "Counted.", result={"last": at})
        return jobs.Step(2, {"at": at + 2}, f"At {at + 2}")

    def end(self, job: Job) -> None:
        self.ended.append(job.state)


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter()
    jobs.register("test.count", made, ended=made.end)
    yield made
    del jobs._KINDS["test.count"]


def start(total: int = 5) -> Job:
    return jobs.start(
        kind="test.count", title="Count", organization_id=ORGANIZATION, now=NOW, total=total
    )


def one_step(after: float = 60) -> None:
    """Far enough in the future that the next step, due 'now', is due."""
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=after)
    item = outbox.claim(now=at)
    assert item is not None
    outbox.run(item.pk, now=at)


def fresh(job_id: UUID) -> Job:
    return Job.objects.get(pk=job_id)


def test_a_job_runs_step_by_step_to_its_end(counter: Counter) -> None:
    job = start()
    one_step()
    half = fresh(job.pk)
    assert (half.state, half.done, half.cursor, half.message) == ("running", 2, {"at": 2}, "At 2")
    one_step()
    one_step()
    done = fresh(job.pk)
    assert (done.state, done.done, done.percent) == ("done", 5, 100)
    assert (done.message, done.result) == ("Counted.", {"last": 4})
    assert counter.seen == [0, 2, 4]
    assert counter.ended == ["done"]
    assert done.ended_at is not None
    assert not OutboxItem.objects.filter(done_at=None).exists()


def test_a_cancelled_job_ends_before_its_next_step(counter: Counter) -> None:
    job = start()
    one_step()
    jobs.request_cancel(job.pk, now=NOW)
    one_step()
    ended = fresh(job.pk)
    assert (ended.state, ended.done) == ("cancelled", 2)
    assert counter.seen == [0]
    assert counter.ended == ["cancelled"]
    with pytest.raises(ConflictError, match="ended already"):
        jobs.request_cancel(job.pk, now=NOW)


def test_cancelling_while_a_step_runs_is_not_lost(counter: Counter) -> None:
    job = start()
    run = jobs._KINDS["test.count"].run

    def cancelled_meanwhile(job: Job, *, now: dt.datetime) -> jobs.Step:
        jobs.request_cancel(job.pk, now=now)
        return run(job, now=now)

    jobs.register("test.count", cancelled_meanwhile, ended=counter.end)
    one_step()
    one_step()
    assert fresh(job.pk).state == "cancelled"


def test_a_step_that_fails_three_times_fails_the_job_with_the_reason(counter: Counter) -> None:
    job = start()
    counter.fails_at = 2
    one_step()
    for after in (1_000, 10_000, 100_000):
        one_step(after)
    failed = fresh(job.pk)
    assert failed.state == "failed"
    assert failed.message == "It failed three times: ValueError: no disk"
    assert (failed.done, counter.seen, counter.ended) == (2, [0], ["failed"])


def test_a_step_done_twice_counts_once(counter: Counter) -> None:
    """The row of a step that was done is done: running it again changes nothing."""
    job = start()
    first = OutboxItem.objects.get()
    one_step()
    assert outbox.run(first.pk, now=NOW) is False
    assert fresh(job.pk).done == 2


def test_an_unknown_kind_is_refused_at_the_start() -> None:
    with pytest.raises(LookupError, match=r"'test\.none'"):
        jobs.start(kind="test.none", title="?", organization_id=ORGANIZATION, now=NOW)
    assert not Job.objects.exists()
