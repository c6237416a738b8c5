"""A real Redis, its own link, and calls to put in line."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from django.conf import settings
from redis import Redis

from gateway.queues.link import Link
from gateway.structs import Call, Caller, Decision, Dialect, RouteRules

NOW = 1_795_000_000.0


@pytest.fixture
def redis() -> Iterator[Redis]:
    """An ordinary client of the emptied test database."""
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client


@pytest_asyncio.fixture
async def link(redis: Redis) -> AsyncIterator[Link]:
    link = Link(settings.REDIS_URL)
    yield link
    await link.close()


def make_call(
    *, project: str = "p1", priority: int = 1, id: str = "", seconds: float = 60.0, reply: str = ""
) -> Call:
    return Call(
        id=id or uuid.uuid4().hex,
        dialect=Dialect.CHAT,
        body=b'{"model":"m"}',
        model="m",
        caller=Caller(organization_id="o1", project_id=project, key_id="k1"),
        decision=Decision(targets=()),
        rules=RouteRules(),
        priority=priority,
        accepted_at=NOW,
        deadline_at=NOW + seconds,
        reply_to=reply,
    )


async def until(is_so: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what other tasks do."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.005)
