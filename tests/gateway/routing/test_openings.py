"""When circuits were open, from a real Redis into rows."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis

from gateway.models import CircuitOpening, Connection
from gateway.queues.link import Link
from gateway.routing.health import Health
from gateway.routing.openings import keep_openings
from gateway.structs import Attempt
from tests.factories.gateway import ConnectionFactory
from tests.gateway.routing.making import a_call, targets

pytestmark = pytest.mark.django_db


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client


@pytest.fixture
def west(redis: Redis) -> Connection:
    made: Connection = ConnectionFactory.create(name="West")
    return made


def report(connection: str, *outcomes: str) -> None:
    async def tell() -> None:
        link = Link(settings.REDIS_URL)
        health = Health(link)
        for error in outcomes:
            at = time.time()
            target = targets(connection)[0]
            attempt = Attempt(target=target, began_at=at, ended_at=at, error=error, status=500)
            health.report(a_call(connection), attempt)
        await health._tell()
        await link.close()

    asyncio.run(tell())


def openings() -> list[tuple[str, bool]]:
    rows = CircuitOpening.objects.order_by("opened_at")
    return [(row.why, row.closed_at is not None) for row in rows]


def test_openings_and_closings_become_one_row_each(west: Connection, redis: Redis) -> None:
    report(west.pk.hex, *["error"] * 5)
    assert keep_openings() == 1
    assert openings() == [("5 failures in a row, the last: status 500", False)]
    # A failed probe is no new opening; nor is the same telling twice.
    report(west.pk.hex, "error")
    assert keep_openings() == 0
    time.sleep(0.002)
    report(west.pk.hex, "", *["timeout"] * 5, "")
    assert keep_openings() == 3
    assert keep_openings() == 0
    assert [closed for _, closed in openings()] == [True, True]
    assert redis.xlen("{gw}:turns") == 0


def test_what_only_one_side_knows_is_put_right(west: Connection, redis: Redis) -> None:
    report(west.pk.hex, *["error"] * 5)
    redis.delete("{gw}:turns")  # told too much at once
    keep_openings()
    assert [closed for _, closed in openings()] == [False]
    redis.flushdb()  # Redis began anew
    keep_openings()
    assert [closed for _, closed in openings()] == [True]


def test_connections_that_are_gone_have_no_rows(west: Connection, redis: Redis) -> None:
    report(west.pk.hex, *["error"] * 5)
    report("no-id", *["error"] * 5)
    west.delete()
    assert keep_openings() == 2
    assert openings() == []
    assert redis.xlen("{gw}:turns") == 0
