"""The engine lives and dies with a real Celery worker of the `llm.*` queues."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from redis import Redis

from gateway.queues.frames import FrameReader, Waiting
from tests.gateway.queues.conftest import make_call

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def worker(redis: Redis) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker as the Procfile starts it, ready to take calls."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker"]
    command += ["--pool", "threads", "--concurrency", "1", "--hostname", "llm-test@%h"]
    command += ["--queues", "llm.high,llm.normal,llm.low", "--without-gossip", "--without-mingle"]
    environment = {**os.environ, "CELERY_SKIP_CHECKS": "1", "REDIS_URL": settings.REDIS_URL}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while not redis.zcard("{gw}:workers") and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait(10)


def test_a_worker_takes_calls_and_leaves_in_order_when_it_is_told_to(
    worker: "subprocess.Popen[bytes]", redis: Redis
) -> None:
    async def ask() -> int:
        reader = FrameReader(settings.REDIS_URL)
        call = make_call()
        waiting = await reader.ask(call, limit=10, now=call.accepted_at)
        assert isinstance(waiting, Waiting)
        async with asyncio.timeout(10):
            frame = await waiting.__anext__()
        await reader.close()
        return frame.status

    # Its route has no target, which is an answer.
    assert asyncio.run(ask()) == 503
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert redis.zcard("{gw}:workers") == 0
