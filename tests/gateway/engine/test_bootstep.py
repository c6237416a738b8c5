"""The engine's thread: part of every worker of the `llm.*` queues, with the parts of production."""

import asyncio
import time
import uuid
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.conf import settings
from redis import Redis

from gateway.engine.bootstep import EngineStep, EngineThread
from gateway.queues.frames import FrameReader, Waiting
from gateway.structs import Decision, Target
from tests.gateway.queues.conftest import make_call


def worker_of(*queues: str) -> Any:
    """As much of a Celery worker as the step looks at."""
    consumed = SimpleNamespace(consume_from=dict.fromkeys(queues))
    return SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=consumed)))


def test_workers_of_other_queues_have_no_engine() -> None:
    step = EngineStep.__new__(EngineStep)
    assert step.include_if(worker_of("llm.high", "llm.normal", "llm.low"))
    assert not step.include_if(worker_of("ingest", "sync"))


async def _ask() -> int:
    """A call of a project that is gone."""
    reader = FrameReader(settings.REDIS_URL)
    call = make_call()
    ids = {name: uuid.uuid4().hex for name in ("organization_id", "project_id", "key_id")}
    call.caller = msgspec.structs.replace(call.caller, **ids)
    call.decision = Decision(targets=(Target(connection="c", kind="openai", model="m", provider="x"),))  # fmt: skip
    waiting = await reader.ask(call, limit=10, now=call.accepted_at)
    assert isinstance(waiting, Waiting)
    async with asyncio.timeout(10):
        frame = await waiting.__anext__()
    await reader.close()
    return frame.status


@pytest.mark.django_db(transaction=True)
def test_an_engine_takes_calls_and_leaves_in_order_when_it_is_told_to(redis: Redis) -> None:
    thread = EngineThread()
    thread.start()
    end = time.monotonic() + 10
    while not redis.zcard("{gw}:workers") and time.monotonic() < end:
        time.sleep(0.01)
    assert asyncio.run(_ask()) == 502
    thread.drain()
    assert not thread.is_alive()
    assert redis.zcard("{gw}:workers") == 0
