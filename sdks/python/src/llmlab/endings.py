"""The program's end: what waits is sent at exit and on SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Union

Handler = Union[Callable[[int, "FrameType | None"], Any], int, None]
_installed: list[bool] = []
_PATIENCE = 5.0
# What has to be handed over before the last sending: streams that nobody reads to their end.
before: list[Callable[[], None]] = []


def watch(shut_down_all: Callable[[float], None], flush_all: Callable[[float], None]) -> None:
    """Have everything sent when the program ends. Only the first call does something."""
    if _installed:
        return
    _installed.append(True)
    atexit.register(_at_exit, shut_down_all)
    _watch_sigterm(flush_all)


def _at_exit(shut_down_all: Callable[[float], None]) -> None:
    _hand_over()
    shut_down_all(_PATIENCE)


def _hand_over() -> None:
    for call in before:
        try:
            call()
        except Exception:
            pass


def _watch_sigterm(flush_all: Callable[[float], None]) -> None:
    """Put ourselves before the default handler or a Python one; never touch an ignored signal."""
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        earlier: Handler = signal.getsignal(signal.SIGTERM)
        if earlier is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _then_die(flush_all))
        elif callable(earlier):
            signal.signal(signal.SIGTERM, _after(earlier, flush_all))
    except (ValueError, OSError, AttributeError):
        pass  # a subinterpreter, or a platform without it: atexit has to do


def _then_die(flush_all: Callable[[float], None]) -> Callable[[int, FrameType | None], None]:
    """Instead of the default: send, then end as the signal would have ended it."""

    def handle(number: int, frame: FrameType | None) -> None:
        # A second SIGTERM ends the program at once.
        signal.signal(number, signal.SIG_DFL)
        _hand_over()
        flush_all(_PATIENCE)
        os.kill(os.getpid(), number)

    return handle


def _after(
    earlier: Callable[[int, FrameType | None], Any], flush_all: Callable[[float], None]
) -> Callable[[int, FrameType | None], Any]:
    """The program's own handler first: it may stop accepting work. Then send, also if it raises."""

    def handle(number: int, frame: FrameType | None) -> Any:
        try:
            return earlier(number, frame)
        finally:
            flush_all(_PATIENCE)

    return handle
