"""What the alert benchmarks share: receivers that can be away, the workers as `make run` starts them, one upload."""

import datetime as dt
import http.client
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from benchmarks.stack import QUEUES, Stack

QUIET = ["-m", "celery", "-A", "config"]
WORKER = [*QUIET, "worker", "--pool", "threads", "-l", "WARNING", "--without-gossip", "--without-mingle"]  # fmt: skip
NOTIFY = [*WORKER, "-c", "12", "-Q", "notify", "-n", "notify@%h"]
OTHERS = [*WORKER, "-c", "8", "-Q", QUEUES.removesuffix(",notify")]
BEAT = [*QUIET, "beat", "-l", "WARNING", "--pidfile="]


@dataclass(frozen=True)
class Got:
    """One message as it arrived."""

    at: float
    channel: str
    message_id: str
    type: str
    dedup_key: str
    limit: str
    rule: str


@dataclass
class Receiver:
    """A webhook server. `mode`: up, 503, hang (never answers), later (429), closed (nobody is there)."""

    slow_s: float = 0.0
    mode: str = "up"
    got: list[Got] = field(default_factory=list)
    asked: int = 0
    port: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def go(self, mode: str) -> None:
        """Go away in one way, or come back."""
        if self.mode == "closed" and mode != "closed":
            self.start()
        if mode == "closed" and self.mode != "closed":
            self.server.shutdown()
            self.server.server_close()
        self.mode = mode

    def _answer(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        self.asked += 1
        mode = self.mode
        if mode == "hang":
            time.sleep(40)
            return
        time.sleep(self.chance.random() * self.slow_s)
        if mode == "up":
            told = json.loads(body)
            data = told["data"]
            self.got.append(
                Got(
                    time.monotonic(),
                    request.path,
                    request.headers["webhook-id"],
                    told["type"],
                    data["dedup_key"],
                    data["limit"] or "",
                    data["rule_id"],
                )
            )
        request.send_response({"up": 200, "later": 429}.get(mode, 503))
        if mode == "later":
            request.send_header("retry-after", "30")
        request.send_header("content-length", "0")
        request.end_headers()


def start_workers(stack: Stack) -> None:
    stack._spawn("worker", OTHERS)
    stack._spawn("notify", NOTIFY)
    stack._spawn("beat", BEAT)


class Uploader:
    """One client on one connection; `spend` is one committed batch."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.connect()

    def connect(self) -> None:
        """A fresh connection: the server closes one that has been idle."""
        address = urlsplit(self.stack.url)
        assert address.hostname
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)

    def spend(self, user: str, usd: str) -> float:
        """Seconds it took."""
        cost = {
            "id": uuid.uuid4().hex,
            "occurred_at": dt.datetime.now(dt.UTC).isoformat(),
            "provider": "acme",
            "model": "no-listed-price",
            "cost_usd": usd,
            "user": user,
        }
        body = json.dumps({"costs": [cost]})
        started = time.monotonic()
        self.connection.request(
            "POST",
            f"/api/v1/projects/{self.stack.slug}/costs",
            body,
            {"Authorization": f"Bearer {self.stack.key}", "Content-Type": "application/json"},
        )
        answer = self.connection.getresponse()
        told = json.loads(answer.read())
        took = time.monotonic() - started
        if answer.status != 207 or told["results"][0]["status"] not in (200, 201):
            raise RuntimeError(f"{answer.status} {told}")
        return took


def counts(database: Any) -> dict[str, int]:
    """Deliveries by state."""
    rows = database.execute("SELECT state, count(*) FROM alerts_delivery GROUP BY 1").fetchall()
    return {state: int(number) for state, number in rows}


def is_open(database: Any) -> int:
    found = counts(database)
    return found.get("waiting", 0) + found.get("sending", 0)
