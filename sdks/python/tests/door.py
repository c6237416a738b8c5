"""A small LLMLab for the tests: a real HTTP server on a free port that stores what it is sent."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOST = -1


class Reply:
    """What to answer one request with instead of storing it; LOST: store it and hang up."""

    def __init__(
        self, status: int, headers: dict[str, str] | None = None, body: Any = None, delay: float = 0
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.body = {"detail": f"HTTP {status}", "code": "x"} if body is None else body
        self.delay = delay


class Door:
    """Requests as they came, and what was stored of them."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self.replies: list[Reply] = []
        # Asked for every request once the replies are used up; None: store.
        self.rule: Callable[[dict[str, Any]], Reply | None] = lambda request: None
        self.cost: Callable[[dict[str, Any]], str | None] = lambda item: None
        self.known: set[str] = set()
        # What reading requests are answered: (status, headers, JSON); and what they asked.
        self.reading: Callable[[str, dict[str, str]], tuple[int, dict[str, str], Any]] = (
            lambda path, headers: (404, {}, {"detail": "not here", "code": "not_found"})
        )
        self.reads: list[tuple[str, dict[str, str]]] = []
        # Close every connection after its first answer, without saying so.
        self.hangs_up = False
        self.lock = threading.Lock()
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = door.answer(self.path, dict(self.headers), raw)
                if status == LOST:
                    self.close_connection = True
                    return
                body = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = door.hangs_up

            def do_GET(self) -> None:
                asked = {name.lower(): value for name, value in self.headers.items()}
                door.reads.append((self.path, asked))
                status, headers, answer = door.reading(self.path, asked)
                body = b"" if status == 304 else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # clients that go away are part of the tests

        self.server = Server(("127.0.0.1", port), Handler)
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer(
        self, path: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, dict[str, str], Any]:
        document = json.loads(gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw)
        request = {
            "path": path,
            "headers": {name.lower(): value for name, value in headers.items()},
            "body": document,
            "at": time.monotonic(),
            "bytes": len(json.dumps(document)),
        }
        with self.lock:
            self.requests.append(request)
            reply = self.replies.pop(0) if self.replies else self.rule(request)
        if reply is not None:
            time.sleep(reply.delay)
            if reply.status > 0:
                return reply.status, reply.headers, reply.body
        status = LOST if reply is not None and reply.status == LOST else 207
        with self.lock:
            if path.endswith("/scores"):
                return status, {}, {"results": self._store_scores(document["scores"])}
            return status, {}, {"results": self._store_items(document["traces"])}

    def _store_scores(self, scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.scores += scores
        return [
            {"index": index, "id": one["id"], "status": 201, "result": "stored"}
            for index, one in enumerate(scores)
        ]

    def _store_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.items += items
        return [self._stored(index, item) for index, item in enumerate(items)]

    def _stored(self, index: int, item: dict[str, Any]) -> dict[str, Any]:
        """As LLMLab answers: what was stored before is charged no second time."""
        new = [step for step in item["steps"] if step["id"] not in self.known]
        self.known.update(step["id"] for step in new if step["status"] != "running")
        calls = [step for step in new if step["type"] == "llm" and step["status"] != "running"]
        cost = self.cost({**item, "steps": calls})
        return {
            "index": index,
            "trace_id": item["trace_id"],
            "status": 201,
            "result": "stored",
            "steps": {"stored": len(new), "updated": 0, "duplicate": len(item["steps"]) - len(new)},
            "rejected": [],
            "calls": len(calls),
            "unpriced_calls": 0 if cost is not None else len(calls),
            "cost_usd": cost,
        }

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Ended steps in the order they were stored."""
        with self.lock:
            return [
                {"trace_id": item["trace_id"], **step}
                for item in self.items
                for step in item["steps"]
                if step["status"] != "running"
            ]

    @property
    def running(self) -> list[dict[str, Any]]:
        """Announcements in the order they came."""
        with self.lock:
            return [s for item in self.items for s in item["steps"] if s["status"] == "running"]

    def step(self, name: str) -> dict[str, Any]:
        (found,) = [step for step in self.steps if step["name"] == name]
        return found

    def wait(self, steps: int, timeout: float = 10.0) -> None:
        """Until so many ended steps are stored."""
        until = time.monotonic() + timeout
        while len(self.steps) < steps:
            assert time.monotonic() < until, f"{len(self.steps)} of {steps} steps after {timeout} s"
            time.sleep(0.02)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
