"""PostgreSQL away under load, and processes killed in the middle of a batch: every end is recorded exactly once."""

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from costs.models import CostRecord
from gateway.models import LLMRequest
from gateway.recording import replay
from gateway.recording.journal import Journal
from gateway.recording.recorder import Recorder
from gateway.recording.writer import record
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.gateway.recording import calls
from traces.models import Span, Trace

KILLS = 20


@pytest.fixture
def project(transactional_db: None) -> Project:
    return ProjectFactory()


@contextlib.contextmanager
def postgres_away() -> Iterator[None]:
    """Sessions are ended, and new ones find nobody at the port."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    real = connection.settings_dict["PORT"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        connection.settings_dict["PORT"] = probe.getsockname()[1]
        yield
    connection.settings_dict["PORT"] = real


def check(project: Project, ids: set[str], *, lost: int = 0) -> None:
    """Each call has one row, one step and one charge, and the sums say the same."""
    rows = dict(LLMRequest.objects.filter(project=project).values_list("id", "state"))
    assert {one.hex for one, state in rows.items() if state == "done"} >= ids
    assert LLMRequest.objects.filter(project=project).count() == len(rows)
    spans = list(Span.objects.filter(project=project).values_list("trace_id", flat=True))
    charged = list(CostRecord.objects.filter(project=project).values_list("trace_id", flat=True))
    assert len(spans) == len(set(spans)) == len(rows)
    assert len(charged) == len(set(charged)) == len(rows)
    assert set(spans) == set(charged) == {one.hex for one in rows}
    assert sum(Trace.objects.filter(project=project).values_list("call_count", flat=True)) == (
        len(rows)
    )


def test_calls_that_end_while_postgresql_is_away_are_recorded_once_it_is_back(
    project: Project, tmp_path: Path
) -> None:
    recorder = Recorder(Journal(tmp_path), most_waiting=50)
    recorder.start()
    ids: set[str] = set()

    def end(number: int) -> None:
        for _ in range(number):
            one = calls.finished(project)
            recorder.begin(one.call)
            recorder.finish(one)
            ids.add(one.call.id)

    end(40)
    time.sleep(0.1)
    with postgres_away():
        end(200)
        time.sleep(0.4)
        end(10)
    end(40)
    assert recorder.drain(15)
    assert recorder.journal.size == 0
    recorder.close()
    assert len(ids) == 290
    check(project, ids)
    assert list(tmp_path.iterdir()) == []


def work_and_die(project: Project, directory: Path, told: int) -> None:
    """In a child: end calls until killed, telling each id once it is promised."""
    connection.connection = None  # the parent's session
    recorder = Recorder(Journal(directory))
    recorder.start()
    while True:
        one = calls.finished(project)
        recorder.begin(one.call)
        recorder.finish(one)
        os.write(told, one.call.id.encode())
        time.sleep(0.002)


def test_a_killed_process_loses_and_repeats_nothing(project: Project, tmp_path: Path) -> None:
    ids: set[str] = set()
    draw = random.Random(7)
    connection.close()
    for _ in range(KILLS):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            try:
                work_and_die(project, tmp_path, tell)
            finally:
                os._exit(1)
        os.close(tell)
        first = os.read(told, 32)
        time.sleep(draw.uniform(0.02, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(told, "rb") as rest:
            text = (first + rest.read()).decode()
        ids |= {text[at : at + 32] for at in range(0, len(text) - 31, 32)}
    replay.replay(directory=tmp_path, write=record, clock=timezone.now)
    assert len(ids) > 5 * KILLS
    check(project, ids)
    assert list(tmp_path.iterdir()) == []
