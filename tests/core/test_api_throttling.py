"""The rate limiter: exact under concurrency, and ingestion goes on when Redis is away."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as django_settings
from redis import Redis

from core.api import throttling
from core.api.throttling import take


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_open_until", 0.0)
    with Redis.from_url(django_settings.REDIS_URL) as client:
        client.flushdb()


def test_allowance_is_spent_and_the_wait_is_told() -> None:
    assert [take("a", cost=30, per_minute=60) for _ in range(2)] == [None, None]
    wait = take("a", cost=30, per_minute=60)
    assert wait is not None
    assert 29 < wait <= 30  # half a minute's allowance comes back in half a minute
    assert take("b", cost=30, per_minute=60) is None  # another key has its own


def test_refusal_spends_nothing() -> None:
    take("a", cost=60, per_minute=60)
    first = take("a", cost=60, per_minute=60)
    again = take("a", cost=60, per_minute=60)
    assert first is not None
    assert again is not None
    assert again <= first


def test_allowance_comes_back() -> None:
    assert take("a", cost=6000, per_minute=6000) is None  # 100 a second
    wait = take("a", cost=10, per_minute=6000)
    assert wait is not None
    time.sleep(wait + 0.02)
    assert take("a", cost=10, per_minute=6000) is None


def test_cost_above_the_allowance_passes_when_nothing_was_spent() -> None:
    assert take("a", cost=1000, per_minute=60) is None
    assert take("a", cost=1, per_minute=60) is not None


def test_parallel_requests_do_not_overspend() -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: take("a", cost=1, per_minute=20), range(80)))
    assert answers.count(None) == 20


def test_forgotten_limits_of_a_flushed_redis_start_anew() -> None:
    take("a", cost=60, per_minute=60)
    with Redis.from_url(django_settings.REDIS_URL) as client:
        client.flushdb()
        client.script_flush()
    assert take("a", cost=60, per_minute=60) is None


def test_without_redis_everything_passes_at_once(settings: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{free.getsockname()[1]}/0"
    started = time.perf_counter()
    assert [take("a", cost=1, per_minute=1) for _ in range(50)] == [None] * 50
    assert time.perf_counter() - started < 0.5


@pytest.fixture
def silent_server() -> Iterator[tuple[int, list[float]]]:
    """Accepts connections and never answers; notes when they came."""
    seen: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                seen.append(time.monotonic())

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()
    thread.join(2)


def test_hanging_redis_costs_one_short_wait_in_two_seconds(
    settings: Any, silent_server: tuple[int, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = silent_server
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    started = time.perf_counter()
    assert [take("a", cost=1, per_minute=1) for _ in range(50)] == [None] * 50
    assert time.perf_counter() - started < 0.6
    assert len(seen) == 1
    assert throttling._open_until - time.monotonic() > 1
    monkeypatch.setattr(throttling, "_open_until", time.monotonic())  # two seconds later
    take("a", cost=1, per_minute=1)
    assert len(seen) == 2
