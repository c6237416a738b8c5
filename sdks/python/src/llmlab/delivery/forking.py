"""What a fork must not interrupt.

A child that is forked while one of our threads imports a module finds that module half made and
locked for ever, by a thread it does not have. So our threads import what they need at once and under
a lock that a fork waits for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib import import_module

_MODULES = (
    "email.utils",
    "encodings.idna",
    "gzip",
    "http.client",
    "urllib.parse",
    "urllib.request",
)
_importing = threading.Lock()
_is_loaded = False


def load_http(is_tls: bool) -> None:
    """Import everything the sender will use, safe from forks; some 25 ms, in its own thread."""
    global _is_loaded
    if _is_loaded:
        return
    with _importing:
        for name in (*_MODULES, "ssl") if is_tls else _MODULES:
            import_module(name)
    _is_loaded = True


def _before() -> None:
    _importing.acquire()


def _after() -> None:
    _importing.release()


def watch_forks(rebuild: Callable[[], None]) -> None:
    """Call `rebuild` in every forked child, and never fork in the middle of an import of ours."""

    def in_child() -> None:
        _after()
        rebuild()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=in_child)
