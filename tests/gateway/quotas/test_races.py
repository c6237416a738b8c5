"""Many at once on the last cent, processes that are killed, PostgreSQL that goes away: never too much, nothing kept."""

import asyncio
import contextlib
import datetime as dt
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone
from redis import Redis

from gateway import snapshot
from gateway.dialects.facts import facts_of
from gateway.models import LimitCounter, Reservation
from gateway.quotas import counters as counters_sql
from gateway.quotas import owners, settling, spending, sweeping
from gateway.quotas.bounds import bounds_of
from gateway.quotas.deciding import Granted, Refused
from gateway.quotas.more import More
from gateway.quotas.reserving import Quotas
from gateway.snapshot import Snapshot
from gateway.structs import Call
from projects.models import Project
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ProjectFactory
from tests.gateway.quotas.calls import bounds, counters, ended, make_call, read

CALLS, FIT = 201, 40


@pytest.fixture
def project(transactional_db: None) -> Project:
    spending.forget()
    snapshot.forget()
    found: Project = ProjectFactory.create()
    LimitFactory.create(
        organization=found.organization, metric="usd", window="month", amount="0.40"
    )
    LimitFactory.create(organization=found.organization, name="Requests", scope="key", amount=9999)
    return found


async def ask_all(
    quotas: Quotas, calls: list[Call], now: Snapshot
) -> list[tuple[Call, Granted | Refused]]:
    outcomes = await asyncio.gather(*(quotas.reserve(one, now, bounds()) for one in calls))
    return list(zip(calls, outcomes, strict=True))


def settle(*calls: Call, cost: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        settling.settle(
            cursor,
            [ended(call) for call in calls],
            timezone.now(),
            costs={call.id: Decimal(cost) for call in calls},
        )


def test_the_last_cents_are_shared_out_exactly(project: Project) -> None:
    now, granted, lock = read(project), list[Call](), threading.Lock()

    def process() -> None:
        async def main() -> None:
            quotas = Quotas()
            found = await ask_all(quotas, [make_call(project) for _ in range(CALLS // 3)], now)
            await quotas.close()
            with lock:
                granted.extend(call for call, one in found if isinstance(one, Granted))

        asyncio.run(main())

    threads = [threading.Thread(target=process) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(granted) == FIT
    assert counters(project)[project.pk.hex] == (0, Decimal("0.4"))
    settle(*granted, cost="0.005")
    assert counters(project)[project.pk.hex] == (Decimal("0.2"), 0)
    assert counters(project)[granted[0].caller.key_id] == (FIT, 0)
    assert not Reservation.objects.exists()


def test_a_further_try_is_set_aside_and_goes_with_its_call(project: Project) -> None:
    now, call = read(project), make_call(project)
    call.body = (
        b'{"model":"gpt-4o-mini","max_tokens":100000,"messages":[{"role":"user","content":"Hi"}]}'
    )
    facts, at = facts_of(call.dialect, call.body), timezone.now()
    most = bounds_of(facts, call.decision, body=call.body, at=at, prices=now.prices)
    assert most.usd
    fit = int(Decimal("0.4") / most.usd)

    async def main() -> None:
        async def snapshot_of(*_: str) -> Snapshot:
            return now

        quotas, more = Quotas(), More(snapshot_of)
        assert not await more.ask(call)  # nothing was set aside for it
        assert isinstance(await quotas.reserve(call, now, most), Granted)
        assert [await more.ask(call) for _ in range(fit)] == [True] * (fit - 1) + [False]
        await more.close()
        await quotas.close()

    asyncio.run(main())
    assert fit > 2
    assert counters(project)[project.pk.hex] == (0, (fit * most.usd).normalize())
    # They are no requests of their own.
    assert counters(project)[call.caller.key_id] == (1, 0)
    settle(call, cost="0.11")
    assert counters(project)[project.pk.hex] == (Decimal("0.11"), 0)
    assert not Reservation.objects.exists()


def test_who_leaves_while_asking_gives_back(project: Project) -> None:
    async def main() -> None:
        quotas, now = Quotas(), read_now
        tasks = [
            asyncio.create_task(quotas.reserve(make_call(project), now, bounds()))
            for _ in range(20)
        ]
        await asyncio.sleep(0.001)
        for one in tasks[::2]:
            one.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(one, Granted) for one in found) == 10
        call = make_call(project)
        assert isinstance(await quotas.reserve(call, now, bounds()), Granted)
        await quotas.release(call)
        await quotas.close()

    read_now = read(project)
    asyncio.run(main())
    assert counters(project)[project.pk.hex] == (0, Decimal("0.1"))
    assert Reservation.objects.count() == 10


def test_a_kept_answer_is_a_request_and_nothing_else(project: Project) -> None:
    now, call = read(project), make_call(project)

    async def main() -> None:
        quotas = Quotas()
        outcome = await quotas.count_hit(call, now)
        assert set(outcome.headers) == {
            f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")
        }
        await quotas.close()

    asyncio.run(main())
    with transaction.atomic(), connection.cursor() as cursor:
        settling.settle(cursor, [ended(call, state="cached", attempts=[])], timezone.now())
    assert counters(project) == {call.caller.key_id: (1, 0)}


def test_who_cannot_lock_is_told_and_nothing_is_granted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.quotas.reserving.MAX_TRIES", 1)
    monkeypatch.setattr(
        "gateway.quotas.counters._LOCK", counters_sql._LOCK.replace("'2s'", "'50ms'")
    )
    now = read(project)
    quotas = Quotas()

    async def ask(call: Call) -> Granted | Refused:
        return await quotas.reserve(call, now, bounds())

    async def main() -> None:
        assert isinstance(await ask(make_call(project)), Granted)
        held, may_end = threading.Event(), threading.Event()
        holder = asyncio.to_thread(hold_counters, held, may_end)
        task = asyncio.create_task(holder)
        await asyncio.to_thread(held.wait)
        outcome = await ask(make_call(project))
        assert isinstance(outcome, Refused)
        assert (outcome.status, outcome.code) == (503, "limits_unavailable")
        may_end.set()
        await task
        assert isinstance(await ask(make_call(project)), Granted)
        await quotas.close()

    asyncio.run(main())
    assert counters(project)[project.pk.hex] == (0, Decimal("0.02"))


def hold_counters(held: threading.Event, may_end: threading.Event) -> None:
    with transaction.atomic():
        list(LimitCounter.objects.select_for_update())
        held.set()
        may_end.wait(5)
    connection.close()


def test_killed_processes_keep_nothing(project: Project) -> None:
    now = read(project)
    connection.close()
    children = []
    for number in range(3):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            reserve_until_killed(project, now, writer, number)
        os.close(writer)
        children.append((child, reader))
    time.sleep(0.3)
    for child, reader in children:
        assert os.read(reader, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
    held = Reservation.objects.count()
    used, reserved = counters(project)[project.pk.hex]
    assert (used, reserved) == (0, Decimal(held) / 100)
    assert 0 < held <= FIT
    later = timezone.now() + dt.timedelta(seconds=25)
    assert sweeping.sweep(later) == 0  # they gave a sign of life a moment ago
    with owners.client() as redis:
        redis.delete(*redis.keys("llmlab:quotas:owner:*"))
    assert sweeping.sweep(later) == held
    assert counters(project)[project.pk.hex] == (0, 0)


def reserve_until_killed(project: Project, now: Snapshot, writer: int, number: int) -> None:
    """In a child process: many calls at once, again and again."""

    async def main() -> None:
        quotas, chance = Quotas(), random.Random(number)
        while True:
            calls = [make_call(project) for _ in range(chance.randint(1, 9))]
            found = await ask_all(quotas, calls, now)
            os.write(writer, b".")
            for call, outcome in found:
                if isinstance(outcome, Granted) and chance.random() < 0.7:
                    await quotas.release(call)

    try:
        asyncio.run(main())
    finally:
        os._exit(1)


def end_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()


@contextlib.contextmanager
def postgres_away() -> Iterator[None]:
    """New sessions find nobody at the port."""
    real = connection.settings_dict["PORT"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        connection.settings_dict["PORT"] = probe.getsockname()[1]
        try:
            yield
        finally:
            connection.settings_dict["PORT"] = real


def test_while_postgresql_is_away_the_last_known_limits_hold(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.quotas.reserving.PAUSE_S", 0.05)
    now, offline = read(project), list[Call]()
    unknown = ProjectFactory.create(organization=project.organization)
    of_unknown = read(unknown)

    async def main() -> None:
        quotas = Quotas()
        first = await ask_all(quotas, [make_call(project) for _ in range(10)], now)
        assert all(isinstance(one, Granted) for _, one in first)
        await asyncio.to_thread(end_sessions)
        with postgres_away():
            found = await ask_all(quotas, [make_call(project) for _ in range(50)], now)
            offline.extend(call for call, one in found if isinstance(one, Granted))
            assert len(offline) == FIT - 10
            assert {one.status for _, one in found if isinstance(one, Refused)} == {402}
            # Nothing is known of that counter: unknown is not zero.
            (lost,) = await ask_all(quotas, [make_call(unknown)], of_unknown)
            assert isinstance(lost[1], Refused)
            assert lost[1].code == "limits_unavailable"
            await quotas.release(offline.pop())
        # One of them ended, and was recorded before this process had written what it granted.
        await asyncio.to_thread(settle_and_close, offline[0])
        await asyncio.sleep(0.1)
        (again,) = await ask_all(quotas, [make_call(project)], now)
        assert isinstance(again[1], Granted)
        await quotas.close()

    def settle_and_close(call: Call) -> None:
        settle(call, cost="0.002")
        record(call)
        connection.close()

    connection.close()
    asyncio.run(main())
    # 10 before, 28 of 29 since (one was charged), one after.
    assert Reservation.objects.count() == 39
    assert counters(project)[project.pk.hex] == (Decimal("0.002"), Decimal("0.39"))
    assert counters(project)[offline[0].caller.key_id] == (40, 0)


def record(call: Call) -> None:
    """The call's row in the request list."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gateway_llmrequest (project_id, id, accepted_at, state, dialect, asked_model, route, because,"
            " provider, model, is_stream, priority, status_code, error, cache, attempts, fallbacks, flags, user_id,"
            " trace_id, span_id) VALUES (%s, %s, %s, 'done', '', '', '', '', '', '', false, 1, 200, '', '', 1, 0,"
            " '{}', '', '', '')",
            [
                call.caller.project_id,
                call.id,
                dt.datetime.fromtimestamp(call.accepted_at, dt.UTC),
            ],
        )


def test_counters_of_long_ago_are_forgotten(project: Project) -> None:
    from tests.gateway.quotas.calls import ask

    ask(make_call(project), read(project))
    assert sweeping.forget_old(timezone.now() + dt.timedelta(days=1)) == 1  # the minute's
    assert LimitCounter.objects.count() == 1  # what is set aside stays


def test_signs_of_life() -> None:
    with owners.client() as redis:
        signs = owners.Signs("a:1:x")
        signs.give()
        signs.end()
        assert owners.silent(redis, ["a:1:x", "b:2:y"]) == {"b:2:y"}
    assert isinstance(redis, Redis)
