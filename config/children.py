"""Child processes that do not outlive their parent, also when the parent is killed with SIGKILL (Linux)."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `signum` to the child when the thread that started it ends.

    It does nothing but one system call, so it is safe after a fork in a program with threads.
    """
    parent = os.getpid()

    def apply() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    return apply


def die_with_parent_now(signum: int = signal.SIGTERM) -> None:
    """Tie this very process to its parent."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists and is not merely waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return not Path("/proc/self/stat").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


def command_line(pid: int) -> list[str]:
    """The arguments of a running process; empty when there is none or the system has no /proc."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0") if part]


def wait_gone(pid: int, timeout: float) -> bool:
    """Wait until the process is gone; False when it still lives after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(pid: int, *, signum: int = signal.SIGTERM, timeout: float = 10) -> None:
    """Ask a process that is not our child to end, and kill it when it does not."""
    try:
        os.kill(pid, signum)
        if not wait_gone(pid, timeout):
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid, 5)
    except ProcessLookupError:
        return
