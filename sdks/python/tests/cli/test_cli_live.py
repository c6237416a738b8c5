"""The live stream: connections that break are made again, refused keys are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from llmlab.cli.api import Api
from llmlab.cli.errors import CliError
from llmlab.cli.live import hints, stream_address


class Stream:
    """A websocket server whose connections each do what the next of `scripts` says."""

    def __init__(self, scripts: list[Any]) -> None:
        self.scripts = scripts
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.server = serve(self._handle, "127.0.0.1", 0)
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def _handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.keys.append(socket.request.headers.get("Authorization"))
        script = self.scripts.pop(0)
        if script == "refuse":
            socket.close(4404)
        else:
            for message in script:
                socket.send(message)
            socket.close()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream([["a", "b"], ["c"], "refuse"])
    yield made
    made.close()


def test_a_lost_connection_is_made_again_until_the_key_is_refused(stream: Stream) -> None:
    api = Api(f"http://127.0.0.1:{stream.port}", "llmlab_sk_x", "shop")
    told: list[str] = []
    seen: list[bool] = []
    with pytest.raises(CliError, match="refused the key"):
        seen.extend(hint.is_first for hint in _kept(hints(api, "t 1", tell=told.append), seen))
    assert seen[:5] == [True, False, False, True, False]
    assert stream.paths == ["/ws/v1/projects/shop/stream?trace=t%201"] * 3
    assert stream.keys == ["Bearer llmlab_sk_x"] * 3
    assert told[:2] == ["the connection was closed; connecting again", "connected again"]


def _kept(found: Iterator[Any], seen: list[bool]) -> Iterator[Any]:
    for hint in found:
        seen.append(hint.is_first)
        if len(seen) > 50:
            return
    yield from ()


def test_the_address_of_the_stream() -> None:
    assert (
        stream_address(Api("https://x.example/base", "k", "a b"))
        == "wss://x.example/base/ws/v1/projects/a%20b/stream"
    )
