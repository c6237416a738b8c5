"""Workers say that they live; who is silent for a minute does not count."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from redis import Redis

from core import heartbeats, vitals
from core.doctor.processes import QUEUES

NOW = dt.datetime(2026, 11, 21, 14, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _empty(settings: Any) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()


def test_queues_nobody_serves_are_named(settings: Any) -> None:
    heartbeats.beat("w1", ["ingest", "sync"], now=NOW - dt.timedelta(seconds=59))
    heartbeats.beat("w2", ["ingest"], now=NOW)
    heartbeats.beat("w3", list(QUEUES), now=NOW - dt.timedelta(seconds=60))
    with Redis.from_url(settings.REDIS_URL) as client:
        client.hset(heartbeats.KEY, "odd", "{")
    found = vitals.broker(NOW)
    assert [one.name for one in found.workers] == ["w1", "w2"]
    assert (found.workers_of("ingest"), found.workers_of("sync")) == (2, 1)
    assert found.unserved == [name for name in QUEUES if name not in ("ingest", "sync")]


def test_workers_of_long_ago_are_forgotten(settings: Any) -> None:
    heartbeats.beat("ended", ["ingest"], now=NOW - dt.timedelta(hours=1))
    heartbeats.beat("silent", ["ingest"], now=NOW - dt.timedelta(minutes=59))
    with Redis.from_url(settings.REDIS_URL) as client:
        client.hset(heartbeats.KEY, "odd", "{")
        heartbeats.beat("fresh", ["ingest"], now=NOW)
        assert set(client.hkeys(heartbeats.KEY)) == {b"silent", b"fresh"}
        assert 3590 < client.ttl(heartbeats.KEY) <= 3600


def test_every_priority_of_a_queue_counts(settings: Any) -> None:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.rpush("ingest", "a", "b")
        client.rpush("ingest\x06\x169", "c")
        client.rpush("notify", "d")
    found = vitals.broker(NOW)
    assert found.waiting == dict.fromkeys(QUEUES, 0) | {"ingest": 3, "notify": 1}


def test_celerys_heartbeat_is_passed_on_every_ten_seconds(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "_last", -100.0)
    sender = SimpleNamespace(eventer=SimpleNamespace(hostname="notify@here"))
    heartbeats._on_heartbeat(sender=sender)
    [one] = vitals.broker(timezone.now()).workers
    assert one.name.startswith("notify@here/")
    with Redis.from_url(settings.REDIS_URL) as client:
        client.delete(heartbeats.KEY)
    heartbeats._on_heartbeat(sender=sender)
    assert vitals.broker(timezone.now()).workers == ()


def test_a_heartbeat_without_redis_is_only_lost(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(heartbeats, "_last", -100.0)
    heartbeats._on_heartbeat(sender=SimpleNamespace(eventer=None))
    found = vitals.broker(NOW)
    assert (found.is_up, found.error, found.waiting) == (False, "ConnectionError", {})
