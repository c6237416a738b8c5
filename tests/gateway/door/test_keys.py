"""What a web process knows of keys: a second at most, and a quarter of an hour while PostgreSQL is away."""

import asyncio
import time
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from config.embedded.state import free_port
from gateway.door import keys
from gateway.door.keys import Keys, KeysAwayError
from gateway.snapshot import forget
from projects.models import ApiKey
from tests.gateway.door.conftest import make_key


def away(patch: pytest.MonkeyPatch) -> None:
    """New connections to PostgreSQL are refused from now on."""
    patch.setitem(connections.settings["default"], "PORT", str(free_port()))


def revoke(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    connection.close()


def test_known_keys_go_on_while_postgresql_is_away_and_unknown_ones_are_not_let_in(
    db: None,
) -> None:
    key = make_key()
    forget()

    async def use() -> None:
        known = Keys()
        first = await known.open(key.raw)
        assert first is not None
        assert await known.open("llmlab_sk_other") is None
        with pytest.MonkeyPatch.context() as patch:
            away(patch)
            with pytest.raises(KeysAwayError):
                await known.open("llmlab_sk_new")
            await asyncio.sleep(keys.FRESH_S)
            assert (await known.open(key.raw)) == first
            with pytest.raises(KeysAwayError):
                await known.open("llmlab_sk_other")  # nobody can say that it is still unknown
            patch.setattr(keys, "STALE_S", 0.5)
            with pytest.raises(KeysAwayError):
                await known.open(key.raw)
        await asyncio.to_thread(revoke, key)
        await asyncio.sleep(keys.PAUSE_S)
        assert await known.open(key.raw) is None

    asyncio.run(use())


def test_a_crowd_asks_once_and_strangers_displace_nobody(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key()
    asked: list[str] = []
    look = keys._look

    def counted(raw: str) -> Any:
        asked.append(raw)
        time.sleep(0.05)
        return look(raw)

    monkeypatch.setattr(keys, "_look", counted)
    monkeypatch.setattr(keys, "MAX_KEPT", 3)

    async def use() -> None:
        known = Keys()
        found = await asyncio.gather(*(known.open(key.raw) for _ in range(20)))
        assert asked == [key.raw]
        assert all(one is found[0] for one in found)
        for number in range(5):
            assert await known.open(f"llmlab_sk_{number}") is None
        assert await known.open(key.raw) is found[0]
        assert asked.count(key.raw) == 1

    asyncio.run(use())
