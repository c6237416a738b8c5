"""Circuit breakers and medians, shared through a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from django.conf import settings
from redis import Redis

from gateway.queues.link import Link
from gateway.routing import health as health_module
from gateway.routing.health import OPEN_S, Health, outcome_of, read_health
from gateway.structs import Attempt, Target
from tests.gateway.routing.making import a_call, failed, targets

TARGET = targets("a")[0]
CALL = a_call("a")


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client


@pytest_asyncio.fixture
async def two(redis: Redis) -> AsyncIterator[tuple[Health, Health]]:
    """Two processes' views."""
    links = [Link(settings.REDIS_URL), Link(settings.REDIS_URL)]
    yield Health(links[0]), Health(links[1])
    for link in links:
        await link.close()


async def tell(health: Health, error: str = "", *, times: int = 1, **given: object) -> None:
    now = time.time()
    for _ in range(times):
        attempt = Attempt(target=TARGET, began_at=now, ended_at=now + 0.2, error=error, **given)  # type: ignore[arg-type]
        health.report(CALL, attempt)
    await health._tell()


async def standing(health: Health, later: float = 0.0) -> str:
    await health.refresh()
    return health.view.standing("a", "m", time.time() + later)


@pytest.mark.asyncio
async def test_five_failures_in_a_row_open_the_circuit_for_everybody(
    two: tuple[Health, Health],
) -> None:
    one, other = two
    await tell(one, "error", times=4, status=500)
    await tell(one)
    await tell(one, "timeout", times=4)
    assert await standing(other) == "closed"
    await tell(other, "error", status=503)
    assert other.view.standing("a", "m", time.time()) == "open"  # known at once, unread
    assert await standing(one) == "open"
    assert "5 failures in a row, the last: status 503" in one.view.circuits["a", "m"].why
    assert await standing(one, OPEN_S + 1) == "half_open"


@pytest.mark.asyncio
async def test_half_of_twenty_opens_it_and_limits_are_counted_apart(
    two: tuple[Health, Health],
) -> None:
    one, _ = two
    await tell(one, "rate_limit", times=30, status=429)
    for _ in range(9):
        await tell(one)
        await tell(one, "error")
    await tell(one)
    assert await standing(one) == "closed"
    await tell(one, "error")
    assert await standing(one) == "open"
    figures = one.view.figures["a", "m"]
    assert (figures.answered, figures.failed, figures.limited) == (10, 10, 30)


@pytest.mark.asyncio
async def test_one_probe_at_a_time_closes_or_opens_it_again(
    two: tuple[Health, Health], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    await tell(one, "error", times=5)
    assert [await one.claim(TARGET), await other.claim(TARGET)] == [False, False]
    monkeypatch.setattr(health_module, "OPEN_S", 0.0)
    claims = await asyncio.gather(*(health.claim(TARGET) for health in (one, other) * 5))
    assert claims.count(True) == 1
    assert await standing(other) == "open"  # somebody probes
    await tell(one, "error")
    assert await other.claim(TARGET)
    await tell(other, "rate_limit")  # says nothing of its health
    assert await one.claim(TARGET)
    await tell(one)
    assert await standing(other) == "closed"
    await tell(one, "error", times=4)
    assert await standing(other) == "closed"  # the count began anew


@pytest.mark.asyncio
async def test_what_began_before_it_opened_changes_nothing(two: tuple[Health, Health]) -> None:
    one, _ = two
    await tell(one, "error", times=5)
    await one.refresh()
    before = one.view.circuits["a", "m"]
    now = time.time()
    one.report(CALL, Attempt(target=TARGET, began_at=now - 9, ended_at=now))
    one.report(CALL, Attempt(target=TARGET, began_at=now - 9, ended_at=now, error="timeout"))
    await one._tell()
    assert await standing(one) == "open"
    assert abs(one.view.circuits["a", "m"].opened_at - before.opened_at) < 0.1


@pytest.mark.asyncio
async def test_medians_are_kept_apart_for_streams(two: tuple[Health, Health]) -> None:
    one, other = two
    now = time.time()
    for n in range(1, 6):
        whole = Attempt(target=TARGET, began_at=now, ended_at=now + n)
        one.report(CALL, whole)
        stream = Attempt(target=TARGET, began_at=now, first_token_at=now + n / 10, ended_at=now + 9)
        one.report(a_call("a", is_stream=True), stream)
    await one._tell()
    await other.refresh()
    assert other.view.median_ms("a", "m", is_stream=False, now=now) == pytest.approx(3000, abs=1)
    assert other.view.median_ms("a", "m", is_stream=True, now=now) == pytest.approx(300, abs=1)
    assert other.view.median_ms("a", "m", is_stream=True, now=now + 700) is None
    assert read_health(now=now).figures["a", "m"].answered == 10


@pytest.mark.asyncio
async def test_reports_leave_by_themselves_and_failures_do_not_wait(
    two: tuple[Health, Health],
) -> None:
    one, other = two
    now = time.time()
    for _ in range(5):
        one.report(CALL, Attempt(target=TARGET, began_at=now, ended_at=now, error="error"))
    await other.start()
    await asyncio.sleep(0.05)
    assert await standing(other) == "open"
    await other.stop()


@pytest.mark.asyncio
async def test_a_connection_has_room_for_so_many_models(two: tuple[Health, Health]) -> None:
    one, _ = two
    now = time.time()
    for n in range(203):
        target = Target(connection="a", kind="openai", model=f"m{n}", provider="openai")
        one.report(CALL, Attempt(target=target, began_at=now, ended_at=now))
    other = Target(connection="b", kind="openai", model="m", provider="openai")
    one.report(CALL, Attempt(target=other, began_at=now, ended_at=now))
    await one._tell()
    await tell(one)  # one more of the full connection
    await one.refresh()
    kept = [place for place in one.view.figures if place[0] == "a"]
    assert len(kept) == 200
    assert ("b", "m") in one.view.figures


@pytest.mark.asyncio
async def test_without_redis_all_circuits_are_closed() -> None:
    link = Link("redis://127.0.0.1:1/0")
    health = Health(link)
    health.view.circuits["a", "m"] = health_module.Circuit(time.time(), time.time(), 0.0, "x")
    await tell(health, "error", times=9)
    assert await standing(health) == "closed"
    assert await health.claim(TARGET)
    await link.close()


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        (failed("a", "error", status=500), "f"),
        (failed("a", "error"), "f"),
        (failed("a", "error", status=409), "o"),
        (failed("a", "timeout"), "f"),
        (failed("a", "rate_limit", status=429), "l"),
        (failed("a", "bad_request", status=400), "o"),
        (failed("a", "auth", status=401), "o"),
        (failed("a", "cancelled"), ""),
        (failed("a", ""), "o"),
    ],
)
def test_what_counts_against_a_target(attempt: Attempt, kind: str) -> None:
    assert outcome_of(attempt) == kind


def test_a_model_may_have_any_name() -> None:
    assert health_module._place(b"abc|m|x") == ("abc", "m|x")
    assert isinstance(TARGET, Target)
