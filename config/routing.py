"""Websocket URLs of every app that has some, and an answer for the rest."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.urls import re_path

APPS = ("traces", "alerts")


async def no_such_socket(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Refuse the handshake; without this an unknown path would be an exception in the log."""
    await receive()
    await send({"type": "websocket.close"})


def _patterns(name: str) -> list[Any]:
    modules = [import_module(f"{app}.routing") for app in APPS if find_spec(f"{app}.routing")]
    found = [pattern for module in modules for pattern in getattr(module, name, [])]
    return [*found, re_path(r"", no_such_socket)]  # type: ignore[arg-type]


# Pages come with a session, programs with a key (`ws/v1/…`).
websocket_urlpatterns = _patterns("websocket_urlpatterns")
key_urlpatterns = _patterns("key_urlpatterns")
