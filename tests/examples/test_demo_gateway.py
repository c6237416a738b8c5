"""The demo's calls through the gateway: their wires, and what a refused one tells."""

import json
import random
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest

from examples.demo.gateway import KINDS, ROUTES, Gateway, GatewayRun, asks_of
from examples.simulator.faults import is_too_much


class Notes:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def send_items(self, items: list[dict[str, Any]]) -> None:
        self.items += items

    def send_otlp(self, stories: Any) -> None:
        raise AssertionError("a run with calls of the gateway is told as it happens")


class Door(BaseHTTPRequestHandler):
    """LLMLab's door: it refuses batch work, all else is the simulator's to answer."""

    seen: list[dict[str, Any]]
    behind: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        if self.headers.get("x-llmlab-tags") == "batch":
            told = json.dumps({"error": {"code": "rate_limit_exceeded", "message": "Full."}})
            return self._say(429, told.encode(), "application/json")
        headers = {"authorization": "Bearer sk-demo", "x-api-key": "demo"}
        answer = httpx2.post(f"{self.behind}{self.path}", content=body, headers=headers)
        self._say(answer.status_code, answer.content, answer.headers["content-type"])

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def door(simulator_url: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    seen: list[dict[str, Any]] = []
    handler = type("Handler", (Door,), {"seen": seen, "behind": simulator_url})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_is_told_with_its_calls_in_its_trace(
    kind: str, door: tuple[str, list[dict[str, Any]]]
) -> None:
    url, seen = door
    notes, asks = Notes(), asks_of(kind, random.Random(7))
    with Gateway(url, "llmlab_sk_demo") as gateway:
        GatewayRun(notes, gateway, random.Random(7), kind=kind).run()
    last = notes.items[-1]
    assert (last["name"], last["status"]) == ("concierge", "ok")
    assert last["output"] == ("Later, please: Full." if kind == "limit" else last["output"])
    assert len(last["output"]) > 15
    assert {ask.route for ask in asks} <= ROUTES
    assert kind != "fallback" or is_too_much(asks[-1].body)
    steps = {step["id"]: step for item in notes.items for step in item["steps"]}
    calls = [step for step in steps.values() if step["type"] == "chain"]
    traced = [f"00-{last['trace_id']}-{step['id']}-01" for step in calls]
    assert [headers["traceparent"] for headers in seen] == traced
    assert len(calls) == len(asks)
    assert all(step["status"] == ("error" if kind == "limit" else "ok") for step in calls)


def test_without_an_answer_there_is_nothing_to_call() -> None:
    with Gateway("http://127.0.0.1:9", "x") as gateway:
        assert gateway.routes() == set()


def test_an_unsteady_provider_is_overloaded_for_some_prompts(simulator_url: str) -> None:
    states = set()
    for number in range(8):
        messages = [{"role": "user", "content": f"Question {number}"}]
        body = {"model": "gpt-4o-mini", "messages": messages}
        answer = httpx2.post(
            f"{simulator_url}/unsteady/v1/chat/completions", json=body,
            headers={"authorization": "Bearer sk-demo"},
        )  # fmt: skip
        assert answer.status_code == (503 if is_too_much(body) else 200)
        states.add(answer.status_code)
    assert states == {200, 503}
    headers = {"authorization": "Bearer sk-demo"}
    assert httpx2.get(f"{simulator_url}/unsteady/v1/models", headers=headers).is_success
