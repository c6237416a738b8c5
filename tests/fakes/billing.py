"""The simulator's billing side in this process: a world of charges, faults and a clock, over real HTTP."""

import asyncio
import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from core.http import OutboundClient
from examples.simulator.app import app, received
from examples.simulator.server import serve


@dataclass
class BillingSimulator:
    """What tests say to it goes over its own doors."""

    url: str

    def _post(self, path: str, document: Any) -> Any:
        with OutboundClient() as client:
            reply = client.request("POST", f"{self.url}/simulator/billing/{path}", json=document)
        assert reply.status == 200, reply.text()
        return reply.json()

    def world(self, *charges: dict[str, Any], extend: bool = False) -> None:
        """Replace (or add to) what is charged; times and numbers may be Python's."""
        document = [{name: _plain(value) for name, value in one.items()} for one in charges]
        self._post("world", {"charges": document, "mode": "extend" if extend else "replace"})

    def faults(self, **state: Any) -> None:
        """Set clock, page_size, slow_s, flags, faults; what is left out is as if nothing had been set."""
        self._post("faults", {name: _plain(value) for name, value in state.items()})

    def totals(self, provider: str, *, without_tier: str = "") -> dict[str, Any]:
        """The exact sums of what is visible."""
        params = [
            ("provider", provider),
            *([("without_tier", without_tier)] if without_tier else []),
        ]
        with OutboundClient() as client:
            reply = client.get(f"{self.url}/simulator/billing/totals", params=params)
        found: dict[str, Any] = reply.json()[provider]
        return found

    def received(self) -> list[dict[str, Any]]:
        """The requests of this test."""
        return list(received)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return list(value) if isinstance(value, set | frozenset) else value


@contextmanager
def serving() -> Iterator[str]:
    """The address of a simulator in a thread of this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(app, "127.0.0.1", 0), loop).result(10)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=5)


@pytest.fixture(scope="session")
def _bills_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def bills(_bills_url: str) -> Iterator[BillingSimulator]:
    """The providers' billing APIs on a port that this LLMLab may call, empty and without faults."""
    with override_settings(LLMLAB_OUTBOUND_ALLOW=[_bills_url.removeprefix("http://")]):
        simulator = BillingSimulator(_bills_url)
        simulator.world()
        simulator.faults()
        received.clear()
        yield simulator
