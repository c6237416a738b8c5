"""The recorder: batches, bounded memory, PostgreSQL away and back, and processes that die."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DataError, InternalError, OperationalError, ProgrammingError

from gateway.recording import replay
from gateway.recording.journal import Journal, remains
from gateway.recording.recorder import Recorder
from gateway.structs import Finished
from tests.gateway.recording import calls


class Store:
    """Where ends go: counts them, and is away, or refuses one, when told to."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.batches: list[int] = []
        self.is_away = False
        self.poison = ""

    def __call__(self, finished: list[Finished], *, now: Any) -> None:
        if self.is_away:
            raise OperationalError("connection refused")
        if any(one.call.id == self.poison for one in finished):
            raise ValueError("a value nobody takes")
        self.ends += [one.call.id for one in finished]
        self.batches.append(len(finished))


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def start(tmp_path: Path, store: Store) -> Any:
    started: list[Recorder] = []

    def make(**options: Any) -> Recorder:
        recorder = Recorder(Journal(tmp_path), write=store, **options)
        recorder.start()
        started.append(recorder)
        return recorder

    yield make
    for one in started:
        one.close(1.0)


def eventually(is_so: Callable[[], bool], within: float = 3.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.01)
    return is_so()


def test_what_ends_together_is_recorded_together(start: Any, store: Store, tmp_path: Path) -> None:
    recorder = start()
    ends = [calls.finished() for _ in range(40)]
    for end in ends:
        recorder.begin(end.call)
        recorder.finish(end)
    assert recorder.drain(3)
    assert store.ends == [end.call.id for end in ends]
    assert len(store.batches) <= 3
    assert recorder.journal.size == 0
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded_and_the_journal_is_read_again(start: Any, store: Store) -> None:
    store.is_away = True
    recorder = start(most_waiting=20)
    ends = [calls.finished() for _ in range(300)]
    for end in ends[:200]:
        recorder.finish(end)
    assert len(recorder._waiting) <= 20
    assert store.ends == []
    store.is_away = False
    for end in ends[200:]:
        recorder.finish(end)
    assert recorder.drain(5)
    assert store.ends == [end.call.id for end in ends]
    assert recorder.journal.size == 0
    recorder.finish(end := calls.finished())  # and from memory again
    assert recorder.drain(3)
    assert store.ends[-1] == end.call.id


def test_one_that_cannot_be_recorded_is_set_aside(start: Any, store: Store, tmp_path: Path) -> None:
    ends = [calls.finished() for _ in range(9)]
    store.poison = ends[4].call.id
    recorder = start()
    for end in ends:
        recorder.finish(end)
    assert recorder.drain(5)
    assert store.ends == [end.call.id for end in ends if end is not ends[4]]
    assert recorder.journal.size == 0
    [aside] = remains(tmp_path / "set-aside")
    assert [one for path in aside.segments for one in aside.ended(path)] == [ends[4]]


def test_what_is_left_at_the_end_of_a_process_is_recorded_by_the_next(
    start: Any, store: Store
) -> None:
    store.is_away = True
    first = start()
    under_way, done = calls.call(), calls.finished()
    first.begin(under_way)
    first.begin(done.call)
    first.finish(done)
    first.close(0.3)
    store.is_away = False
    start()
    assert eventually(lambda: len(store.ends) == 2)
    assert set(store.ends) == {under_way.id, done.call.id}


def test_a_full_disk_does_not_stop_recording(start: Any, store: Store) -> None:
    recorder = start()
    recorder.journal._is_closed = True  # every write fails
    recorder.begin((end := calls.finished()).call)
    recorder.finish(end)
    assert recorder.drain(3)
    assert store.ends == [end.call.id]
    recorder.journal._is_closed = False


@pytest.mark.parametrize(
    ("kind", "cause", "is_passing"),
    [
        (OperationalError, None, True),  # no connection
        (OperationalError, psycopg.errors.DiskFull, True),
        (InternalError, psycopg.errors.ReadOnlySqlTransaction, True),  # a standby
        (ProgrammingError, psycopg.errors.UndefinedColumn, True),  # not migrated yet
        (OperationalError, psycopg.errors.ProgramLimitExceeded, False),
        (DataError, psycopg.errors.NumericValueOutOfRange, False),
        (ValueError, None, False),
    ],
)
def test_what_is_postgresqls_trouble_is_waited_for(
    kind: type[Exception], cause: type[Exception] | None, is_passing: bool
) -> None:
    error = kind("no")
    error.__cause__ = cause("no") if cause else None
    assert replay.is_away(error) is is_passing
