"""With a spool nothing recorded is lost with the process."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from door import Door, Reply
from programs import end, line, run, start

from llmlab import LLMLab, span, trace

Make = Callable[..., LLMLab]

DIES = """
import os, signal, time
from llmlab import LLMLab, span, score
llm = LLMLab(flush_interval=60, timeout=1)
for number in range(250):
    with span("dies", input=number) as step: pass
score("s", 1, trace_id=step.trace_id)
while llm.delivery.collector.counts.recorded < 251: time.sleep(0.01)
time.sleep(0.2)
print("ready", flush=True)
time.sleep(60)
"""


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl"))


def test_a_killed_process_leaves_everything_to_the_next(
    door: Door, make: Make, tmp_path: Path
) -> None:
    process = start(DIES, "http://127.0.0.1:9", LLMLAB_SPOOL_DIR=str(tmp_path))
    assert line(process) == "ready"
    process.send_signal(signal.SIGKILL)
    assert end(process)[0] == -signal.SIGKILL
    (left,) = files(tmp_path)
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert left.name.startswith(f"{process.pid}-")
    item = json.loads(left.read_text().splitlines()[0])
    assert item["steps"][0]["name"] == "dies"
    assert item["root_id"] == item["steps"][0]["id"]
    make(door.url, spool_dir=str(tmp_path))
    door.wait(250)
    assert sorted(step["input"] for step in door.steps) == list(range(250))
    until = time.monotonic() + 5
    while (files(tmp_path) or not door.scores) and time.monotonic() < until:
        time.sleep(0.02)
    assert files(tmp_path) == []
    assert [score["name"] for score in door.scores] == ["s"]


def test_a_line_cut_short_by_the_kill_is_passed_over(
    door: Door, make: Make, tmp_path: Path
) -> None:
    good = {"trace_id": "t" * 32, "root_id": "r" * 16, "name": "x", "status": "ok"}
    step = {"id": "r" * 16, "type": "span", "name": "whole", "status": "ok"}
    text = json.dumps({**good, "steps": [step]}) + "\n" + '{"trace_id": "half'
    (tmp_path / "999999-abc.jsonl").write_text("nonsense\n" + text)
    make(door.url, spool_dir=str(tmp_path))
    door.wait(1)
    assert [s["name"] for s in door.steps] == ["whole"]
    until = time.monotonic() + 5
    while files(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    assert files(tmp_path) == []


def test_files_of_the_living_are_left_alone(door: Door, make: Make, tmp_path: Path) -> None:
    process = start(DIES, "http://127.0.0.1:9", LLMLAB_SPOOL_DIR=str(tmp_path))
    assert line(process) == "ready"
    llm = make(door.url, spool_dir=str(tmp_path))
    with span("mine"):
        pass
    assert llm.flush()
    assert [step["name"] for step in door.steps] == ["mine"]
    process.kill()
    end(process)


def test_acknowledged_steps_leave_no_file_behind(door: Door, make: Make, tmp_path: Path) -> None:
    llm = make(door.url, spool_dir=str(tmp_path))
    for _ in range(10):
        with trace("a"), span("b"):
            pass
        assert llm.flush()
    assert sum(file.stat().st_size for file in files(tmp_path)) == 0
    assert len(files(tmp_path)) == 1
    llm.shutdown()
    assert files(tmp_path) == []


def test_what_shutdown_cannot_send_stays(
    door: Door, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = make("http://127.0.0.1:9", spool_dir=str(tmp_path))
    with span("kept"):
        pass
    away.shutdown(0.2)
    assert away.stats()["lost"] == 0
    assert len(files(tmp_path)) == 1
    back = make(door.url, spool_dir=str(tmp_path))
    assert back.flush()
    door.wait(1)
    assert door.step("kept")["status"] == "ok"


def test_what_does_not_fit_in_memory_waits_on_disk(door: Door, make: Make, tmp_path: Path) -> None:
    door.rule = lambda request: Reply(503)
    llm = make(door.url, spool_dir=str(tmp_path), max_queue_bytes=200_000, flush_at=10)
    for number in range(400):
        with span("a", input=f"{number} " + "x" * 2_000):
            pass
        while llm.delivery.collector.waiting:
            time.sleep(0.002)  # the encoder spools it; only then memory may let it go
    assert llm.stats()["waiting_bytes"] <= 200_000
    assert llm.stats()["dropped"] == 0
    door.rule = lambda request: None
    assert llm.flush(30)
    numbers = {int(step["input"].split()[0]) for step in door.steps}
    assert numbers == set(range(400))


def test_the_spool_is_bounded(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    llm = make("http://127.0.0.1:9", spool_dir=str(tmp_path), max_queue_bytes=65_536)
    for _ in range(600):
        with span("a", input="x" * 2_000):
            pass
        while llm.delivery.collector.waiting:
            time.sleep(0.002)
    size = sum(file.stat().st_size for file in files(tmp_path))
    assert 500_000 < size <= 655_360
    assert caplog.text.count("the spool holds") == 1
    assert llm.stats()["dropped"] > 0
    llm.shutdown(0.1)


def test_a_directory_that_cannot_be_used_is_told_once(
    door: Door, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    llm = make(door.url, spool_dir=str(tmp_path / "file" / "below"))
    with span("a"):
        pass
    assert llm.flush()
    assert door.step("a")["status"] == "ok"
    assert caplog.text.count("no spool in") == 1


def test_a_forked_child_has_its_own_file_and_locks_nothing_of_the_parents(
    door: Door, tmp_path: Path
) -> None:
    code, out, err = run(
        """
        import os, time, glob, fcntl
        from llmlab import LLMLab, span
        llm = LLMLab(timeout=1)
        with span("parent"): pass
        time.sleep(0.3)
        (mine,) = glob.glob(os.environ["LLMLAB_SPOOL_DIR"] + "/*.jsonl")
        pid = os.fork()
        if pid == 0:
            with span("child"): pass
            time.sleep(0.3)
            names = glob.glob(os.environ["LLMLAB_SPOOL_DIR"] + f"/{os.getpid()}-*.jsonl")
            os._exit(0 if len(names) == 1 else 1)
        status = os.waitpid(pid, 0)[1]
        fd = os.open(mine, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); print("unlocked")
        except BlockingIOError:
            print("still locked", status)
        os._exit(0)
        """,
        "http://127.0.0.1:9",
        LLMLAB_SPOOL_DIR=str(tmp_path),
    )
    assert (code, out) == (0, "still locked 0\n"), err
    assert len(files(tmp_path)) == 2
    code, _, err = run(
        "from llmlab import LLMLab; print(LLMLab().flush(10))",
        door.url,
        LLMLAB_SPOOL_DIR=str(tmp_path),
    )
    assert sorted(step["name"] for step in door.steps) == ["child", "parent"]
    assert files(tmp_path) == []
    assert os.listdir(tmp_path) == []


def test_a_server_that_comes_and_goes_gets_every_step(tmp_path: Path) -> None:
    """Answers lost after storing, refusals, restarts, and the sender killed in the middle."""
    door = Door()
    port, stored = door.port, {}
    program = """
        import sys, time
        from llmlab import LLMLab, span
        llm = LLMLab(flush_interval=0.05, timeout=1)
        for number in range(1_000):
            with span("a", input=int(sys.stdin.readline())): pass
            time.sleep(0.001)
        while llm.delivery.collector.counts.recorded < 1_000: time.sleep(0.01)
        time.sleep(0.2)
        print("recorded", flush=True)
        sys.stdin.readline()
        """
    programs = [start(program, door.url, LLMLAB_SPOOL_DIR=str(tmp_path)) for _ in range(3)]
    for index, process in enumerate(programs):
        assert process.stdin is not None
        process.stdin.write("".join(f"{index * 1_000 + n}\n" for n in range(1_000)))
        process.stdin.flush()
    chance = random.Random(4)
    for turn in range(6):
        door.rule = lambda request: chance.choice([None, None, Reply(503), Reply(0, delay=1.2)])
        time.sleep(0.4)
        door.close()
        stored.update({step["id"]: step["input"] for step in door.steps})
        time.sleep(0.1)
        door = Door(port)
        if turn == 4:
            assert [line(process) for process in programs] == ["recorded"] * 3
            for process in programs:
                process.kill()
                end(process)
    door.rule = lambda request: None
    code, out, _ = run(
        "from llmlab import LLMLab; print(LLMLab(flush_interval=0.05).flush(30))",
        door.url,
        timeout=60,
        LLMLAB_SPOOL_DIR=str(tmp_path),
    )
    stored.update({step["id"]: step["input"] for step in door.steps})
    door.close()
    assert (code, out) == (0, "True\n")
    assert sorted(stored.values()) == list(range(3_000))


def test_a_living_child_does_not_keep_its_dead_parents_file(door: Door, tmp_path: Path) -> None:
    process = start(
        """
        import os, sys, time
        from llmlab import LLMLab, span
        llm = LLMLab(timeout=1)
        with span("parent"): pass
        while not os.listdir(os.environ["LLMLAB_SPOOL_DIR"]): time.sleep(0.01)
        time.sleep(0.2)
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        print("forked", flush=True)
        time.sleep(60)
        """,
        "http://127.0.0.1:9",
        LLMLAB_SPOOL_DIR=str(tmp_path),
    )
    assert line(process) == "forked"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    code, _, err = run(
        "from llmlab import LLMLab; assert LLMLab().flush(10)",
        door.url,
        LLMLAB_SPOOL_DIR=str(tmp_path),
    )
    assert (code, err) == (0, "")
    assert door.step("parent")["status"] == "ok"
    end(process)  # closes the input, which ends the child
