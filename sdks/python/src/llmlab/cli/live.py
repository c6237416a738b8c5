"""The websocket that says "look again": connect, wait, and connect again with back-off."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from llmlab.cli.api import Api, is_loopback
from llmlab.cli.errors import CliError
from llmlab.version import __version__

REFUSED = 4404
_LONGEST = 30.0
_STEADY = 30.0  # seconds after which a connection counts as a good one


class Hint:
    """Something may have changed. `is_first`: just (re)connected, news may be missed. `is_tick`: only time went by."""

    __slots__ = ("is_first", "is_tick")

    def __init__(self, *, is_first: bool = False, is_tick: bool = False) -> None:
        self.is_first = is_first
        self.is_tick = is_tick


def stream_address(api: Api, trace_id: str = "") -> str:
    """ws://…/ws/v1/projects/{project}/stream[?trace=…]"""
    base = "ws" + api.address[len("http") :]
    path = f"{base}/ws/v1/projects/{quote(api.project, safe='')}/stream"
    return f"{path}?trace={quote(trace_id, safe='')}" if trace_id else path


def connect(api: Api, trace_id: str = "", *, timeout: float = 10) -> Any:
    """One connection. Raises CliError when the key is refused, OSError or websockets' errors when it cannot be made."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect as open_socket

    options: dict[str, Any] = {"proxy": None} if is_loopback(api.address) and _takes_proxy() else {}
    try:
        return open_socket(
            stream_address(api, trace_id),
            additional_headers={"Authorization": f"Bearer {api.key}"},
            user_agent_header=f"llmlab-cli/{__version__}",
            open_timeout=timeout,
            close_timeout=1,
            max_size=1 << 20,
            **options,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise refusal(api) from None
        raise OSError(f"HTTP {status}") from None


def _takes_proxy() -> bool:
    from importlib.metadata import version

    return int(version("websockets").split(".")[0]) >= 15


def refusal(api: Api) -> CliError:
    """Why a websocket is refused."""
    return CliError(
        f"The live stream of {api.project} refused the key: it needs the scope read and must not be revoked. "
        "See: llmlab doctor"
    )


def _next(socket: Any, tick: float | None) -> Hint:
    try:
        socket.recv(timeout=tick)
    except TimeoutError:
        return Hint(is_tick=True)
    return Hint()


def hints(
    api: Api,
    trace_id: str = "",
    *,
    tell: Any = lambda words: None,
    tick: float | None = None,
) -> Iterator[Hint]:
    """One hint for every message, and one after each connection is made. Ends only by CliError or Ctrl-C.

    With `tick` also one for so many seconds in which nothing came. `tell` is told when the line is lost and is back.
    """
    from websockets.exceptions import ConnectionClosed, WebSocketException

    attempt, was_lost = 0, False
    while True:
        began = time.monotonic()
        try:
            with connect(api, trace_id) as socket:
                if was_lost:
                    tell("connected again")
                was_lost = False
                yield Hint(is_first=True)
                while True:
                    yield _next(socket, tick)
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == REFUSED:
                raise refusal(api) from None
            reason = "the connection was closed"
        except (OSError, WebSocketException) as error:
            reason = str(error) or type(error).__name__
        attempt = 0 if time.monotonic() - began > _STEADY else attempt + 1
        pause = random.uniform(0.5, 1.0) * min(0.5 * 2 ** min(attempt, 10), _LONGEST)  # noqa: S311
        if not was_lost:
            tell(f"{reason}; connecting again")
        was_lost = True
        time.sleep(pause)
