"""The recorder: batches, bounded memory, PostgreSQL away and back, and processes that die."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from gateway.recording.journal import Journal
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
