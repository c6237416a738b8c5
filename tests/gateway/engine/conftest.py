"""An engine on a real Redis, a provider on a real socket, and the process that waits, all in one loop."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings as django_settings
from redis import Redis

from core.crypto import data_cipher, new_data_key, seal
from gateway.connections.secrets import context
from gateway.engine.loop import Engine
from gateway.engine.parts import Parts
from gateway.queues.frames import FrameReader, Waiting
from gateway.snapshot import ConnectionView, KeyView, Snapshot
from gateway.structs import (
    Call,
    Caller,
    Decision,
    Dialect,
    Finished,
    Frame,
    FrameKind,
    ProjectRules,
    RetryRule,
    RouteRules,
    Target,
)
from tests.gateway.engine.provider import Provider

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]%b}'


class World:
    """One worker, one web process, one provider."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.finished: list[Finished] = []
        self.begun: list[str] = []
        self.snapshot: Snapshot | None = None
        self.parts = Parts(
            snapshot=self._snapshot,
            begin=lambda call: self.begun.append(call.id),
            finish=self.finished.append,
        )
        self.reader = FrameReader(django_settings.REDIS_URL)
        self.engines: list[tuple[Engine, asyncio.Task[None]]] = []

    async def _snapshot(self, *_of: str) -> Snapshot:
        assert self.snapshot is not None
        return self.snapshot

    async def start(self, **options: Any) -> Engine:
        """A worker."""
        engine = Engine(django_settings.REDIS_URL, self.parts, **options)
        task = asyncio.ensure_future(engine.run())
        self.engines.append((engine, task))
        await engine.is_ready.wait()
        return engine

    async def close(self) -> None:
        await self.reader.close()
        for engine, task in self.engines:
            for run in list(engine.runs.values()):
                run.stop("lost")
            engine.stop()
            await task
        await self.provider.close()

    def call(
        self, *models: str, stream: bool = False, rules: dict[str, Any] | None = None, **more: Any
    ) -> Call:
        """A call whose targets are these models, in order."""
        now = time.time()
        body = BODY % (b',"stream":true' if stream else b"")
        more.setdefault("deadline_at", now + 30)
        names = models or ("m",)
        return Call(
            id=uuid.uuid4().hex,
            dialect=Dialect.CHAT,
            body=body,
            model="m",
            caller=Caller(organization_id="o1", project_id="p1", key_id="k1"),
            decision=Decision(
                targets=tuple(
                    Target(connection="c1", kind="compatible", model=name, provider="x", step=place)
                    for place, name in enumerate(names)
                )
            ),
            rules=RouteRules(
                **{"retry": RetryRule(tries=2, first_wait_s=0.01), "timeout_s": 5.0} | (rules or {})
            ),
            is_stream=stream,
            accepted_at=now,
            **more,
        )

    async def ask(self, call: Call) -> Waiting:
        waiting = await self.reader.ask(call, limit=1000, now=time.time())
        assert isinstance(waiting, Waiting)
        return waiting

    async def frames(self, call: Call) -> list[Frame]:
        """Everything that comes for the call."""
        waiting = await self.ask(call)
        async with asyncio.timeout(10):
            frames = [frame async for frame in waiting]
        await waiting.aclose()
        return frames

    async def whole(self, call: Call) -> Frame:
        (frame,) = await self.frames(call)
        assert frame.kind is FrameKind.ALL
        return frame

    async def end_of(self, call: Call) -> Finished:
        """How the call ended, once it has."""
        async with asyncio.timeout(5):
            while True:
                for finished in self.finished:
                    if finished.call.id == call.id:
                        return finished
                await asyncio.sleep(0.005)


def snapshot_for(url: str) -> Snapshot:
    """A project with one connection to an OpenAI-compatible server."""
    wrapped, key_id = new_data_key(), uuid.uuid4()
    sealed = seal(data_cipher(wrapped), b"sk-test", context(key_id))
    key = KeyView(id=key_id.hex, sealed=sealed, hint="sk-…st", weight=1, retires_at=None)
    view = ConnectionView(
        id="c1", name="Server", kind="compatible", base_url=url, settings={}, model_names=(),
        keys=(key,),
    )  # fmt: skip
    return Snapshot(
        organization_id="o1", project_id="p1", version=(1,), rules=ProjectRules(),
        connections={"c1": view}, routes={}, limits=(), data_key=wrapped,
    )  # fmt: skip


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(django_settings.REDIS_URL) as client:
        client.flushdb()
        yield client


@pytest_asyncio.fixture
async def world(redis: Redis, settings: Any) -> AsyncIterator[World]:
    """With a provider that may be called; the test starts its workers."""
    world = World()
    await world.provider.start()
    settings.LLMLAB_OUTBOUND_ALLOW = ["127.0.0.1"]
    world.snapshot = snapshot_for(world.provider.url)
    yield world
    await world.close()
