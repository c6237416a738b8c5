"""The supervisor with small programs: order, restart, steps that fail, one clean end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
HARNESS = """
import sys, os
from pathlib import Path
from config.supervisor import Program, Supervisor
log = Path(sys.argv[1])
def program(name, code, **options):
    text = f"import os, sys, time, signal; log = open({str(log)!r}, 'a', buffering=1)\\n" + code
    return Program(name, [sys.executable, "-c", text], dict(os.environ), **options)
forever = '''
def bye(*_):
    log.write("NAME stopped\\\\n"); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
log.write(f"NAME started {os.getpid()}\\\\n")
while True: time.sleep(0.05)
'''
stages = [
    [program("store", forever.replace("NAME", "store"), is_ready=lambda: "store started" in log.read_text())],
    [program("step", f"time.sleep(0.3); log.write('step done\\\\n'); sys.exit({sys.argv[2]})", kind="step")],
    [program("app", forever.replace("NAME", "app"), is_ready=lambda: "app started" in log.read_text())],
    [program("seed", "log.write('seed done\\\\n'); sys.exit(3)", kind="job"),
     program("traffic", "time.sleep(0.5)\\n" + forever.replace("NAME", "traffic"))],
]
supervisor = Supervisor(stages, stop_seconds=3, start_seconds=20)
sys.exit(supervisor.run(lambda: supervisor.say("READY"), wait_for=3))
"""


class Run:
    def __init__(self, log: Path, step_code: int = 0) -> None:
        self.log = log
        log.touch()
        self.process = subprocess.Popen(
            [sys.executable, "-c", HARNESS, str(log), str(step_code)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, text: str, count: int = 1) -> None:
        deadline = time.monotonic() + 20
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def pid_of(self, name: str) -> int:
        lines = [
            line for line in self.log.read_text().splitlines() if line.startswith(f"{name} started")
        ]
        return int(lines[-1].split()[-1])

    def end(self, signum: int = signal.SIGINT) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(signum)
        output = self.process.communicate(timeout=20)[0]
        return self.process.returncode, output

    def events(self) -> list[str]:
        return [" ".join(line.split()[:2]) for line in self.log.read_text().splitlines()]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stages_start_in_order_and_one_signal_stops_them_in_reverse(
    tmp_path: Path, signum: int
) -> None:
    run = Run(tmp_path / "log")
    run.wait_for("traffic started")
    code, output = run.end(signum)
    assert code == 0
    events = run.events()
    assert events[:5] == [
        "store started",
        "step done",
        "app started",
        "seed done",
        "traffic started",
    ]
    assert sorted(events[5:7]) == ["app stopped", "traffic stopped"]
    assert events[7:] == ["store stopped"]
    assert output.count("READY") == 1
    assert "seed failed (exit code 3); everything else runs on" in output


@pytest.mark.parametrize("name", ["store", "app"])
def test_killed_program_is_started_again(tmp_path: Path, name: str) -> None:
    run = Run(tmp_path / "log")
    run.wait_for("traffic started")
    os.kill(run.pid_of(name), signal.SIGKILL)
    run.wait_for(f"{name} started", count=2)
    code, output = run.end()
    assert code == 0
    assert f"{name} ended (exit code -9); starting it again in 0.2 s" in output


def test_failed_step_stops_everything_and_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path / "log", step_code=7)
    output = run.process.communicate(timeout=20)[0]
    assert run.process.returncode == 1
    assert "step failed (exit code 7); its lines above say why." in output
    assert run.events() == ["store started", "step done", "store stopped"]


def test_no_program_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    run = Run(tmp_path / "log")
    run.wait_for("traffic started")
    programs = [psutil.Process(run.pid_of(name)) for name in ("store", "app", "traffic")]
    run.end(signal.SIGKILL)
    _, alive = psutil.wait_procs(programs, timeout=5)
    assert alive == []
