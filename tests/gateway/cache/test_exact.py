"""The same request gets the kept answer, from Redis or PostgreSQL, as long as it is good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from redis import Redis

from gateway.cache.exact import ExactCache
from gateway.cache.meaning import VECTORS
from gateway.cache.semantic import SemanticCache
from gateway.cache.storing import store
from gateway.models import CachedResponse
from gateway.queues.link import Link
from gateway.structs import CacheRule, CacheWishes, Call
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.gateway.cache.conftest import BOTH, COST, NOW, answer_of, ask, ended, snapshot_now

AFTER = NOW + 2


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Without a transaction around each test: the cache's threads see what was stored."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest_asyncio.fixture
async def cache() -> AsyncIterator[ExactCache]:
    link = Link(settings.REDIS_URL)
    cache = ExactCache(link)
    yield cache
    await cache.close()
    await link.close()


def keep(call: Call, **changes: Any) -> int:
    return store([ended(call, **changes)], costs={call.id: COST}, vectors=None)


async def find(cache: ExactCache, project: Project, call: Call, at: float = AFTER) -> bytes | None:
    snapshot = await sync_to_async(snapshot_now)(project)
    assert call.cache is not None
    hit = await cache.lookup(call.cache, snapshot, now=at)
    return hit.answer if hit else None


@pytest.mark.asyncio
async def test_a_kept_answer_comes_back_with_what_it_saves(
    cache: ExactCache, project: Project
) -> None:
    await sync_to_async(keep)(ask(project))
    snapshot = await sync_to_async(snapshot_now)(project)
    plan = ask(project).cache
    assert plan is not None
    hit = await cache.lookup(plan, snapshot, now=AFTER)
    assert hit is not None
    assert (hit.answer, hit.cost_usd, hit.kind) == (answer_of(), COST, "exact")
    assert (hit.model, hit.input_tokens, hit.finish_reason) == ("gpt-5-2026", 20, "stop")
    assert await find(cache, project, ask(project, "What is the capital of Spain?")) is None


@pytest.mark.asyncio
async def test_the_copy_in_redis_is_sealed_and_enough(cache: ExactCache, project: Project) -> None:
    await sync_to_async(keep)(ask(project))
    assert await find(cache, project, ask(project)) == answer_of()
    await sync_to_async(CachedResponse.objects.filter(project=project.pk).update)(key="gone")
    assert await find(cache, project, ask(project)) == answer_of()
    with Redis.from_url(settings.REDIS_URL) as redis:
        [name] = redis.keys("gwc:*")
        assert b"Paris" not in redis.get(name)
        assert 0 < redis.ttl(name) <= 600


@pytest.mark.asyncio
async def test_an_answer_too_old_for_its_rule_or_the_caller_is_none(
    cache: ExactCache, project: Project
) -> None:
    await sync_to_async(keep)(ask(project))
    assert await find(cache, project, ask(project), at=NOW + 602) is None
    impatient = ask(project, wishes=CacheWishes(ttl_s=10))
    assert await find(cache, project, impatient, at=NOW + 9) == answer_of()
    assert await find(cache, project, impatient, at=NOW + 12) is None


@pytest.mark.asyncio
async def test_who_refreshes_is_not_served_and_replaces(
    cache: ExactCache, project: Project
) -> None:
    await sync_to_async(keep)(ask(project))
    again = ask(project, wishes=CacheWishes(reads=False), at=NOW + 5)
    assert await find(cache, project, again) is None
    await sync_to_async(keep)(again, answer=answer_of("Still Paris."))
    assert await find(cache, project, ask(project), at=NOW + 7) == answer_of("Still Paris.")


@pytest.mark.asyncio
async def test_another_tenant_never_finds_it(cache: ExactCache, project: Project) -> None:
    call = ask(project)
    await sync_to_async(keep)(call)
    other = await sync_to_async(ProjectFactory)()
    assert await find(cache, other, ask(other)) is None
    # Not even with the very same key: rows and seals are the project's.
    assert await find(cache, other, call) is None


@pytest.mark.asyncio
async def test_many_questions_are_one_query(cache: ExactCache, project: Project) -> None:
    calls = [ask(project, f"Question {n}") for n in range(40)]
    await sync_to_async(store)(
        [ended(call, answer=answer_of(str(n))) for n, call in enumerate(calls)],
        costs={},
        vectors=None,
    )
    snapshot = await sync_to_async(snapshot_now)(project)
    plans = [call.cache for call in calls if call.cache]
    started: list[int] = []
    ask_now = cache._answer
    cache._answer = lambda batch: started.append(len(batch)) or ask_now(batch)  # type: ignore[method-assign,func-returns-value]
    hits = await asyncio.gather(*(cache.lookup(one, snapshot, now=AFTER) for one in plans))
    assert [hit and hit.answer for hit in hits] == [answer_of(str(n)) for n in range(40)]
    assert sum(started) == 40
    assert len(started) <= 3


@pytest.mark.asyncio
async def test_a_lost_redis_is_no_lost_call(project: Project) -> None:
    link = Link("redis://127.0.0.1:1/0")
    cache = ExactCache(link)
    await sync_to_async(keep)(ask(project))
    assert await find(cache, project, ask(project)) == answer_of()
    await cache.close()
    await link.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "failed"},
        {"status": 500},
        {"error": "timeout"},
        {"finish_reason": "length"},
        {"finish_reason": "content_filter"},
        {"answer": answer_of(finish="length")},
        {"answer": answer_of(refusal="I can't.")},
        {"answer": b'{"error":{"message":"x"}}'},
        {"answer": b""},
        {"answer": b"not json"},
        {"cache": "exact"},
        {"flags": ("broken_answer",)},
        {"flags": ("omit_output",)},
        {"client_left_at": NOW},
    ],
)
def test_only_whole_good_answers_are_kept(project: Project, changes: dict[str, Any]) -> None:
    assert keep(ask(project), **changes) == 0


def test_tool_calls_are_kept_only_for_the_very_same_request(project: Project) -> None:
    calls = [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    tools = answer_of("", finish="tool_calls", tool_calls=calls)
    changes = {"answer": tools, "finish_reason": "tool_calls"}
    assert keep(ask(project, rule=CacheRule(semantic=True)), **changes) == 0
    assert keep(ask(project, rule=BOTH), **changes) == 1
    assert CachedResponse.objects.get(project=project.pk).scope == ""


def test_hits_are_added_up(project: Project) -> None:
    call = ask(project)
    keep(call)
    row = CachedResponse.objects.get(project=project.pk)
    hit = {"cache": "exact", "cached_id": row.id.hex, "saved_usd": COST, "state": "cached"}
    store([ended(ask(project), **hit), ended(ask(project), **hit)], costs={}, vectors=None)
    row.refresh_from_db()
    assert (row.hits, row.saved_usd) == (2, 2 * COST)
    assert row.last_hit_at is not None


def test_an_older_answer_does_not_replace_a_newer_one(project: Project) -> None:
    keep(ask(project, at=NOW + 50))
    keep(ask(project), answer=answer_of("Old."))
    assert CachedResponse.objects.get(project=project.pk).created_at.timestamp() == NOW + 51


def test_an_unknown_cost_stays_unknown(project: Project) -> None:
    call = ask(project)
    store([ended(call)], costs={call.id: None}, vectors=None)
    row = CachedResponse.objects.get(project=project.pk)
    assert row.cost_usd is None
    assert row.saved_usd == Decimal(0)


def test_contents_are_sealed_in_the_table(project: Project) -> None:
    keep(ask(project))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sealed FROM gateway_cachedresponse WHERE project_id = %s", [project.pk]
        )
        assert b"Paris" not in bytes(cursor.fetchone()[0])
    assert msgspec.json.encode(CachedResponse.objects.get(project=project.pk).facts)


@pytest.mark.asyncio
async def test_a_lookup_by_meaning_leaves_the_loop_alone(project: Project) -> None:
    meanings, snapshot = SemanticCache(), await sync_to_async(snapshot_now)(project)
    call = ask(project)
    assert await meanings.lookup(call, snapshot, now=NOW) is None
    kept = ended(call)
    await sync_to_async(store)([kept], costs={}, vectors=VECTORS)
    calls = [ask(project, "hi, what's the capital of France") for _ in range(5)]
    found = await asyncio.gather(*(meanings.lookup(one, snapshot, now=AFTER) for one in calls))
    assert [one and one.hit.answer for one in found] == [kept.answer] * 5
    await meanings.close()
