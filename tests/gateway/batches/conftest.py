"""The door in this process, with official clients in front of it and the simulator behind."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import pytest
from django.test import override_settings

from gateway import snapshot
from gateway.batches import looking
from gateway.connections.clients import close_clients
from gateway.door.app import Door
from gateway.models import Batch
from gateway.recording import recorder
from tests.gateway.door.conftest import db as db
from tests.gateway.door.conftest import make_key
from tests.gateway.door.conftest import simulator as simulator

URL = "http://gateway.test"


@pytest.fixture(scope="module", autouse=True)
def _may_call(simulator: str, db: None) -> Iterator[None]:
    with override_settings(LLMLAB_OUTBOUND_ALLOW=[urlsplit(simulator).netloc]):
        yield
    recorder.close()


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batches that workers were told to look at; nobody does, unless the test."""
    heard: list[Any] = []
    monkeypatch.setattr(looking, "ring", lambda project, batch, **more: heard.append(batch) or True)
    return heard


@pytest.fixture
def key(db: None, simulator: str) -> Any:
    snapshot.forget()
    return make_key(simulator)


class Clients:
    """Of one key, on one event loop."""

    def __init__(self, app: Any, raw: str, **headers: str) -> None:
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url=URL,
            headers={"authorization": f"Bearer {raw}", **headers},
        )
        common: dict[str, Any] = {"api_key": raw, "http_client": self.http, "max_retries": 0}
        self.gpt = openai.AsyncOpenAI(base_url=f"{URL}/v1", **common)
        self.claude = anthropic.AsyncAnthropic(base_url=URL, **common)


@asynccontextmanager
async def clients(*keys: Any, **headers: str) -> Any:
    """Official clients of each key, at one door."""
    door = Door()
    made = [Clients(door, one.raw, **headers) for one in keys]
    try:
        yield made if len(made) > 1 else made[0]
    finally:
        for one in made:
            await one.http.aclose()
        await close_clients()
        if door._calls is not None:
            await door._calls.quotas.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def look(row: Batch) -> str:
    """What a worker does."""
    from django.utils import timezone

    return looking.look_at(project_id=row.project_id, batch_id=row.id, now=timezone.now())
