"""The launcher as its own program, on a scratch application: limits, crashes, drain."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from google.rpc.status_pb2 import Status
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from config import children
from config.embedded import free_port

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 256 * 1024


class Server:
    """One running launcher."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "config.server", "tests.fakes.slow_asgi:application"]
        settings = {"PORT": str(self.port), "LLMLAB_INGEST_MAX_BODY": str(LIMIT)}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | settings | environment,
            preexec_fn=children.die_with_parent(),  # also when a test fails half-way
        )
        self.wait_until_serving()

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.get()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the launcher did not start")

    def get(self, query: str = "", timeout: float = 10) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/{query}", timeout=timeout
        ) as answer:
            return answer.read().decode()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """Everything the server answers to these bytes, until it ends the connection."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=timeout)) as client:
            client.sendall(data)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
            return answer

    def stop(self, signum: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


class SlowClients:
    """Two clients that send a byte every half second, to a server with the real limits: 15 s, 20 s for a body."""

    def __init__(self) -> None:
        self.server = Server(LLMLAB_WEB_PROCESSES="1")
        self.answers: dict[str, tuple[int, float]] = {}
        beginnings = {"header": b"GET / HTTP/1.1\r\na: ", "body": head(10_000)}
        self.threads = [
            threading.Thread(target=self._trickle, args=each) for each in beginnings.items()
        ]
        for thread in self.threads:
            thread.start()

    def _trickle(self, name: str, start: bytes) -> None:
        begun = time.monotonic()
        # The server is stopped before they are cut off when only other tests of the file run.
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", self.server.port), timeout=0.5) as client,
        ):
            client.sendall(start)
            while time.monotonic() - begun < 40:
                try:
                    if answer := client.recv(4096):
                        self.answers[name] = (int(answer.split()[1]), time.monotonic() - begun)
                    return
                except TimeoutError:
                    client.sendall(b"x")

    def end(self) -> None:
        children = self.server.children()
        self.server.stop(signal.SIGKILL)
        for child in children:  # it would give its clients time to finish
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="module")
def slow_clients() -> Iterator[SlowClients]:
    """Asked for by the first test too: their twenty seconds pass while the others run."""
    running = SlowClients()
    yield running
    running.end()


def head(size: int | None = None, kind: str = "application/json") -> bytes:
    length = f"Content-Length: {size}" if size is not None else "Transfer-Encoding: chunked"
    return f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode()


def body_of(answer: bytes) -> tuple[int, bytes]:
    headers, _, body = answer.partition(b"\r\n\r\n")
    return int(headers.split()[1]), body


def read_everything(live: ClientConnection) -> None:
    while True:
        live.recv(timeout=5)


def connections_of(process: psutil.Process, port: int) -> list[object]:
    found = process.net_connections(kind="tcp4")
    return [one for one in found if one.laddr.port == port and one.status != psutil.CONN_LISTEN]


def connect_when_there(port: int) -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def connect_for_two_seconds(port: int) -> None:
    for _ in range(20):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        time.sleep(0.1)


def test_body_of_exactly_the_limit_is_taken(server: Server, slow_clients: SlowClients) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/", data=b"x" * LIMIT)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.read().split()[1] == str(LIMIT).encode()


def test_declared_length_above_the_limit_is_refused_before_the_body(server: Server) -> None:
    status, body = body_of(server.raw(head(LIMIT + 1)))
    assert status == 413
    assert json.loads(body) == {
        "detail": f"The request body exceeds the limit of {LIMIT} bytes. Send less at once.",
        "code": "body_too_large",
        "fields": [],
    }


def test_chunked_body_above_the_limit_is_refused_while_it_arrives(server: Server) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    status, body = body_of(server.raw(head() + chunk * 6))
    assert status == 413
    assert json.loads(body)["code"] == "body_too_large"


def test_otlp_client_gets_the_refusal_as_protobuf_status(server: Server) -> None:
    status, body = body_of(server.raw(head(LIMIT + 1, "application/x-protobuf")))
    assert status == 413
    assert "exceeds the limit" in Status.FromString(body).message


def test_large_upload_leaves_memory_flat(server: Server) -> None:
    before = sum(child.memory_info().rss for child in server.children())
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/", data=b"x" * 100_000_000)
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request, timeout=20)
    grown = sum(child.memory_info().rss for child in server.children()) - before
    assert grown < 20 * 1024 * 1024


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 600 + b"\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_request_is_a_400(server: Server, data: bytes) -> None:
    status, body = body_of(server.raw(data))
    assert status == 400
    assert json.loads(body)["code"] == "bad_request"


def test_endless_header_is_refused(server: Server) -> None:
    status, body = body_of(server.raw(b"GET / HTTP/1.1\r\na: " + b"b" * 20_000 + b"\r\n\r\n"))
    assert status == 431
    assert json.loads(body)["code"] == "headers_too_large"


def test_two_requests_on_one_connection_are_both_answered(server: Server) -> None:
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert server.raw(one + last).count(b"HTTP/1.1 200 OK") == 2


def test_server_does_not_name_its_software(server: Server) -> None:
    answer = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"\r\nserver:" not in answer.lower()


def test_websocket_echoes_and_refuses_a_message_above_its_limit(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/") as live:
        live.send("hello")
        assert live.recv(timeout=5) == "hello"
        live.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            live.recv(timeout=5)


def test_reader_that_does_not_read_is_dropped(server: Server) -> None:
    before = sum(child.memory_info().rss for child in server.children())
    with connect(f"ws://127.0.0.1:{server.port}/", max_queue=1) as live:
        live.send("flood")
        time.sleep(2)
        grown = sum(child.memory_info().rss for child in server.children()) - before
        assert grown < 24 * 1024 * 1024
        with pytest.raises(ConnectionClosed):
            read_everything(live)


def test_download_waits_for_its_client_instead_of_in_memory(server: Server) -> None:
    before = sum(child.memory_info().rss for child in server.children())
    with urllib.request.urlopen(
        f"http://127.0.0.1:{server.port}/?flood=2048", timeout=20
    ) as answer:
        time.sleep(2)
        grown = sum(child.memory_info().rss for child in server.children()) - before
        for number in range(2048):
            assert answer.read(65_536) == number.to_bytes(4) * 16_384
        assert answer.read() == b""
    assert grown < 16 * 1024 * 1024  # of 128 MiB


def test_client_that_leaves_a_download_is_forgotten(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /?flood=2048 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    deadline = time.monotonic() + 10
    while sum(len(connections_of(child, server.port)) for child in server.children()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.get().split()[1] == "0"


def test_client_that_takes_nothing_is_dropped() -> None:
    port = free_port()
    program = (
        "import socket; from config.server.child import serve; from config.server.limits import Limits;"
        " from tests.fakes.slow_asgi import application;"
        f" serve(application, socket.create_server(('127.0.0.1', {port})),"
        " Limits(body_seconds=0.5, body_bytes_per_second=2**30))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, preexec_fn=children.die_with_parent()
    )
    try:
        with connect_when_there(port) as client:
            client.sendall(b"GET /?flood=2048 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
            deadline = time.monotonic() + 20
            while connections_of(psutil.Process(process.pid), port):
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)


def test_killed_child_is_replaced_and_the_other_serves_on(server: Server) -> None:
    killed, kept = server.children()
    killed.kill()
    assert [server.get().split()[0] for _ in range(20)] == [str(kept.pid)] * 20
    deadline = time.monotonic() + 10
    while len(server.children()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {child.pid for child in server.children()} > {kept.pid}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_answers_what_has_begun_and_closes_live_pages(signum: int) -> None:
    running = Server()
    result: list[str] = []
    waiting = threading.Thread(target=lambda: result.append(running.get("?wait=2", timeout=15)))
    waiting.start()
    with connect(f"ws://127.0.0.1:{running.port}/") as live:
        time.sleep(0.5)
        running.process.send_signal(signum)
        with pytest.raises(ConnectionClosed) as closed:
            live.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    with pytest.raises(OSError, match=r"refused|reset"):  # reset: it was in the queue
        connect_for_two_seconds(running.port)
    waiting.join()
    assert result[0].endswith(" 0")
    assert running.process.wait(30) == 0  # by itself: no second signal is needed


def test_children_end_when_the_launcher_is_killed() -> None:
    running = Server()
    children = running.children()
    running.stop(signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert (len(gone), alive) == (2, [])


def test_taken_port_is_a_clear_message(server: Server) -> None:
    command = [sys.executable, "-m", "config.server", "tests.fakes.slow_asgi:application"]
    environment = os.environ | {"PORT": str(server.port)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Port {server.port} is taken by another program. Choose another one: PORT={server.port + 1}"
    )


@pytest.mark.slow
def test_slow_header_and_slow_body_are_cut_off(slow_clients: SlowClients) -> None:
    for thread in slow_clients.threads:
        thread.join()
    answers = slow_clients.answers
    assert {name: status for name, (status, _) in answers.items()} == {"header": 408, "body": 408}
    assert max(seconds for _, seconds in answers.values()) < 30
