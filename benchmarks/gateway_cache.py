"""The gateway's caches: who is wrongly served, who is rightly, and what a hit costs.

    .venv/bin/python -m benchmarks.gateway_cache

Starts PostgreSQL and Redis of its own and goes through the real paths: keys, storing, lookups. The pairs are in
gateway_cache_pairs.py. "Blind vectors" stand for an embeddings endpoint that sees no difference between any two
questions, so that what is measured there is the anchors alone: real vectors can only refuse more.
"""

import asyncio
import os
import platform
import statistics
import sys
import time
from collections import Counter
from typing import Any

import django
import msgspec
from django.conf import settings
from django.core.management import call_command
from django.test.utils import override_settings

from benchmarks import gateway_cache_pairs as data
from config.embedded import testing
from core.ids import uuid7

RUNS = 3_000


def main() -> int:
    """Print the figures; 1 when a bar is missed."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    services = testing.start_reserved()
    try:
        call_command("migrate", verbosity=0)
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        is_good = judge()
        asyncio.run(measure())
        return 0 if is_good else 1
    finally:
        testing.stop(services)


def judge() -> bool:
    """Every pair through the store and the lookup."""
    from gateway.cache.meaning import Vector
    from gateway.cache.semantic import SemanticCache

    class Blind(SemanticCache):
        """All questions have the same vector."""

        def _vector(self, *_: Any) -> Vector:
            return Vector("blind", [1.0] * 8)

    crossed, tried = cross_scopes(SemanticCache())
    print(
        f"other tenant, system prompt, model, tools, parameters, namespace, user: {crossed} of {tried} served"
    )
    print(f"{'':<34}{'offline default':>18}{'blind vectors':>18}")
    is_good = not crossed
    with override_settings(LLMLAB_EMBEDDINGS_BASE_URL="http://127.0.0.1:1"):
        blind = {
            name: served(Blind(), name)
            for name in ("ADVERSARIAL", "HELD_OUT", "DUPLICATES", "PARAPHRASES")
        }
    for name, words in (
        ("ADVERSARIAL", "adversarial, wrong hits"), ("HELD_OUT", "held out, wrong hits"),
        ("DUPLICATES", "near duplicates, hits"), ("PARAPHRASES", "paraphrases, hits"),
    ):  # fmt: skip
        offline = served(SemanticCache(), name)
        print(f"{words:<34}{shown(offline):>18}{shown(blind[name]):>18}")
        for kind, one, other in (*offline[1], *blind[name][1]) if "wrong" in words else ():
            print(f"    {kind}: {one} / {other}")
        if name == "ADVERSARIAL":
            is_good &= (
                len(offline[1]) <= 0.01 * offline[0]
                and len(blind[name][1]) <= 0.01 * blind[name][0]
            )
    return is_good


def shown(result: tuple[int, list[Any]]) -> str:
    count, hits = result
    return f"{len(hits)}/{count} = {100 * len(hits) / count:.1f} %"


def served(cache: Any, name: str) -> tuple[int, list[tuple[str, ...]]]:
    """How many pairs, and those whose second question got the first one's answer."""
    from gateway.cache.meaning import VECTORS
    from gateway.cache.storing import store
    from tests.factories.projects import ProjectFactory
    from tests.gateway.cache.conftest import NOW, answer_of, ask, ended, snapshot_now

    found: list[tuple[str, ...]] = []
    pairs = data.pairs(getattr(data, name))
    project = ProjectFactory()
    snapshot = snapshot_now(project)
    for number, pair in enumerate(pairs):
        kind, one, other = pair if len(pair) == 3 else ("", *pair)
        system = f"Pair {number}."  # each alone in its scope
        call = ask(project, one, system=system)
        cache.find(call, snapshot, NOW)
        store([ended(call, answer=answer_of(f"answer {number}"))], costs={}, vectors=VECTORS)
        if cache.find(ask(project, other, system=system), snapshot, NOW + 2):
            found.append((kind, one, other))
    return len(pairs), found


def cross_scopes(cache: Any) -> tuple[int, int]:
    """The very same questions, elsewhere: how many were served, of how many."""
    from gateway.cache.meaning import VECTORS
    from gateway.cache.storing import store
    from tests.factories.projects import ProjectFactory
    from tests.gateway.cache.conftest import BOTH, NOW, ask, ended, snapshot_now

    project, stranger = ProjectFactory(), ProjectFactory()
    mine, theirs = snapshot_now(project), snapshot_now(stranger)
    elsewhere: list[dict[str, Any]] = [
        {"system": "Answer like a pirate."}, {"model": "gpt-5-mini"}, {"temperature": 0.1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"rule": msgspec.structs.replace(BOTH, namespace="other")},
        {"rule": msgspec.structs.replace(BOTH, per_user=True), "user": "ann"},
    ]  # fmt: skip
    crossed = tried = 0
    for _, one, _ in data.pairs(data.DUPLICATES):
        call = ask(project, one)
        cache.find(call, mine, NOW)
        store([ended(call)], costs={}, vectors=VECTORS)
        if not cache.find(ask(project, one), mine, NOW + 2):
            raise RuntimeError(f"not served to itself: {one}")
        crossed += sum(
            cache.find(ask(project, one, **more), mine, NOW + 2) is not None for more in elsewhere
        )
        crossed += cache.find(ask(stranger, one), theirs, NOW + 2) is not None
        tried += len(elsewhere) + 1
    return crossed, tried


async def measure() -> None:
    """What a lookup costs: time one by one and 64 at once, and CPU of this process."""
    from asgiref.sync import sync_to_async

    from gateway.cache.exact import ExactCache
    from gateway.cache.keys import plan
    from gateway.cache.semantic import SemanticCache
    from gateway.cache.storing import store
    from gateway.dialects.facts import facts_of
    from gateway.queues.link import Link
    from gateway.structs import CacheRule, Caller, Dialect
    from tests.factories.projects import ProjectFactory
    from tests.gateway.cache.conftest import BOTH, NOW, answer_of, ask, ended, snapshot_now

    project = await sync_to_async(ProjectFactory)()
    snapshot = await sync_to_async(snapshot_now)(project)
    calls = [ask(project, f"{'Tell me of number. ' * 60} {number}") for number in range(500)]
    began = time.perf_counter()
    for start in range(0, len(calls), 50):
        batch = [ended(call, answer=answer_of("word " * 300)) for call in calls[start : start + 50]]
        await sync_to_async(store)(batch, costs={}, vectors=None)
    print(
        f"store: {1000 * (time.perf_counter() - began) / len(calls):.2f} ms per answer, 50 in a batch"
    )

    caller = Caller(organization_id="o", project_id=project.pk.hex, key_id="k")
    facts = facts_of(Dialect.CHAT, calls[0].body)
    for words, rule in (("exact", CacheRule(exact=True)), ("exact and by meaning", BOTH)):
        began = time.process_time()
        for _ in range(RUNS):
            plan(Dialect.CHAT, facts, caller, rule)
        each = 1e6 * (time.process_time() - began) / RUNS
        print(f"key of a request of {len(calls[0].body)} bytes, {words}: {each:.0f} us CPU")

    link = Link(settings.REDIS_URL)
    cache = ExactCache(link)
    plans = [call.cache for call in calls if call.cache]

    async def run(words: str, which: list[Any], at_once: int) -> None:
        took: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()
        queue = iter(which)

        async def one_by_one() -> None:
            for wanted in queue:
                start = time.perf_counter()
                hit = await cache.lookup(wanted, snapshot, now=NOW + 2)
                took.append(time.perf_counter() - start)
                counted["hit" if hit else "miss"] += 1

        counted: Counter[str] = Counter()
        await asyncio.gather(*(one_by_one() for _ in range(at_once)))
        cpu = time.process_time() - cpu
        took.sort()
        print(
            f"{words}, {at_once} at once: p50 {1000 * statistics.median(took):.2f} ms,"
            f" p95 {1000 * took[int(0.95 * len(took))]:.2f} ms, {1000 * cpu / len(took):.3f} ms CPU each,"
            f" {len(took) / (time.perf_counter() - began):.0f}/s, {dict(counted)}"
        )

    await run("exact hit, first time (PostgreSQL)", plans[:250], 64)
    await run("exact hit, first time (PostgreSQL)", plans[250:], 1)
    await run("exact hit (Redis)", plans * 4, 1)
    await run("exact hit (Redis)", plans * 8, 64)
    missing = [msgspec.structs.replace(one, key=uuid7().hex * 2) for one in plans * 2]
    await run("exact miss", missing, 1)
    await run("exact miss", missing, 64)
    await cache.close()
    await link.close()

    meaning = SemanticCache()
    question = ask(project, "What is the capital of France?")
    await meaning.lookup(question, snapshot, now=NOW)
    took = []
    for number in range(300):
        call = ask(project, f"What is the capital of country {number}?")
        start = time.perf_counter()
        await meaning.lookup(call, snapshot, now=NOW)
        took.append(time.perf_counter() - start)
    print(f"lookup by meaning, offline default: p50 {1000 * statistics.median(took):.2f} ms")
    await meaning.close()


if __name__ == "__main__":
    sys.exit(main())
