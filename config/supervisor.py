"""Runs a set of programs in stages on honcho's Manager: ordered start, restart with back-off, one clean end.

honcho itself ends everything when one program ends and forks a copy of the parent per program. Here a thread reads each
program's lines, a program that dies is started again, and the stages are stopped in reverse order.
"""

import datetime as dt
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

from config import children

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
HEALTHY_AFTER = 10.0


@dataclass
class Program:
    """What to run, and how to know that it works."""

    name: str
    command: list[str]
    environment: dict[str, str]
    # Called before every start, for example to clear what a crash left behind.
    prepare: Callable[[], None] = lambda: None
    # Polled until true before the next stage starts; None means started is enough.
    is_ready: Callable[[], bool] | None = None
    # A step runs once and must succeed before the next stage; a job runs once and may fail.
    kind: str = "service"
    stop_signal: int = signal.SIGTERM
    popen: dict[str, Any] = field(default_factory=dict)


class Child(Process):
    """honcho's process, with output optionally going to a file instead of our lines."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Start, pass lines on, report the end. Runs in its own thread, which lives as long as the program."""
        self._events = events
        try:
            self._child = self._child_ctor(self.cmd, env=self.env, cwd=self.cwd)
        except OSError as error:
            self._send_message(f"cannot start: {error}\n".encode())
            self._send_message({"returncode": 127}, type="stop")
            return
        self._send_message({"pid": self._child.pid}, type="start")
        if self._child.stdout is not None:
            for line in iter(self._child.stdout.readline, b""):
                self._send_message(line)
            self._child.stdout.close()
        self._send_message({"returncode": self._child.wait()}, type="stop")


class StartError(RuntimeError):
    """The set cannot start; the message is for the person who started it."""


class Supervisor(Manager):
    """One set of programs in stages."""

    def __init__(
        self, stages: list[list[Program]], *, stop_seconds: float, start_seconds: float
    ) -> None:
        super().__init__(Printer(sys.stdout))
        self.events: queue.Queue[Message] = queue.Queue()
        self.stages = stages
        self.stop_seconds = stop_seconds
        self.start_seconds = start_seconds
        self.programs = {program.name: program for stage in stages for program in stage}
        self.running: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self._born: dict[str, float] = {}
        self._pause: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._stopping = False
        for program in self.programs.values():
            self.add_process(program.name, program.command, env=program.environment)

    # --- starting

    def run(self, on_ready: Callable[[], None], wait_for: int) -> int:
        """Start the stages, call `on_ready` after the first `wait_for` of them, supervise until told to end."""
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, self._on_signal)
        code = 0
        try:
            for number, stage in enumerate(self.stages, start=1):
                self._start_stage(stage)
                if self._stopping:
                    break
                if number == wait_for:
                    on_ready()
            while not self._stopping:
                self._pump()
        except StartError as error:
            self.say(str(error))
            code = 1
        self._stop_all()
        return code

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _start_stage(self, stage: list[Program]) -> None:
        for program in stage:
            self._spawn(program)
        deadline = time.monotonic() + self.start_seconds
        waiting = [program for program in stage if program.is_ready or program.kind == "step"]
        while waiting and not self._stopping:
            self._pump()
            waiting = [program for program in waiting if not self._is_up(program)]
            if waiting and time.monotonic() > deadline:
                names = ", ".join(program.name for program in waiting)
                raise StartError(
                    f"{names} did not get ready within {self.start_seconds:.0f} s; see the lines above."
                )

    def _is_up(self, program: Program) -> bool:
        if program.kind == "step":
            code = self.ended.get(program.name)
            if code:
                raise StartError(
                    f"{program.name} failed (exit code {code}); its lines above say why."
                )
            return code == 0
        return program.name in self.running and (program.is_ready is None or program.is_ready())

    def _spawn(self, program: Program) -> None:
        program.prepare()
        child = self._child(program)
        self._born[program.name] = time.monotonic()
        self.ended.pop(program.name, None)
        # The thread that starts a program must outlive it: the kernel ties the parent-death signal to the thread.
        threading.Thread(
            target=child.run, args=(self.events,), name=program.name, daemon=True
        ).start()

    def _child(self, program: Program) -> Child:
        colour = self._processes[program.name]["obj"].colour
        child = Child(program.command, name=program.name, colour=colour, env=program.environment)
        options: dict[str, Any] = {
            "shell": False,
            "stdin": subprocess.DEVNULL,
            "preexec_fn": children.die_with_parent(program.stop_signal),
        }
        child._child_ctor = partial(_popen, options | program.popen)
        return child

    # --- supervising

    def _pump(self) -> None:
        """Handle what happened, then start what is due."""
        with suppress(queue.Empty):
            message = self.events.get(timeout=0.1)
            while True:
                self._handle(message)
                message = self.events.get_nowait()
        now = time.monotonic()
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            if not self._stopping:
                self._spawn(self.programs[name])

    def _handle(self, message: Message) -> None:
        if message.type == "line":
            self._printer.write(message)
        elif message.type == "start":
            self.running[message.name] = message.data["pid"]
        elif message.type == "stop":
            self._on_end(self.programs[message.name], message.data["returncode"])

    def _on_end(self, program: Program, code: int) -> None:
        self.running.pop(program.name, None)
        self.ended[program.name] = code
        if self._stopping:
            return
        if program.kind != "service":
            if code and program.kind == "job":
                self.say(f"{program.name} failed (exit code {code}); everything else runs on")
            return
        if time.monotonic() - self._born[program.name] > HEALTHY_AFTER:
            pause = FIRST_PAUSE
        else:
            pause = min(LONGEST_PAUSE, self._pause.get(program.name, FIRST_PAUSE / 2) * 2)
        self._pause[program.name] = pause
        self._due[program.name] = time.monotonic() + pause
        self.say(f"{program.name} ended (exit code {code}); starting it again in {pause:.1f} s")

    # --- stopping

    def _stop_all(self) -> None:
        """Everything that uses the services first, all at once; then the services, last started first."""
        self._stopping = True
        self.say("stopping")
        services, *rest = self.stages
        self._stop([program for stage in rest for program in stage], self.stop_seconds)
        for program in reversed(services):
            self._stop([program], self.stop_seconds)

    def _stop(self, programs: Iterable[Program], seconds: float) -> None:
        names = [program.name for program in programs]
        # A program whose thread has not reported its number yet will do so in a moment.
        settle = time.monotonic() + 1
        while time.monotonic() < settle and any(self._is_starting(name) for name in names):
            self._pump()
        for name in names:
            self._signal(name, self.programs[name].stop_signal)
        deadline = time.monotonic() + seconds
        while any(name in self.running for name in names) and time.monotonic() < deadline:
            self._pump()
        for name in [name for name in names if name in self.running]:
            self.say(f"{name} did not end within {seconds:.0f} s and is killed")
            self._signal(name, signal.SIGKILL)
        while any(name in self.running for name in names):
            self._pump()

    def _is_starting(self, name: str) -> bool:
        return name in self._born and name not in self.running and name not in self.ended

    def _signal(self, name: str, signum: int) -> None:
        pid = self.running.get(name)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            # honcho gives every program its own session, so a kill reaches what it started, too.
            os.killpg(pid, signum) if signum == signal.SIGKILL else os.kill(pid, signum)

    def say(self, text: str) -> None:
        """A line of our own."""
        now = dt.datetime.now(dt.UTC).astimezone()
        self._printer.write(
            Message(type="line", data=text + "\n", time=now, name="system", colour=None)
        )


def _popen(
    options: dict[str, Any], command: list[str], env: dict[str, str], cwd: str | None
) -> Popen:
    return Popen(command, **({"env": env, "cwd": cwd} | options))
