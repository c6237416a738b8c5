"""Order, fairness, bounds and what becomes of calls whose worker dies: all on a real Redis."""

import asyncio

import pytest
from redis import Redis

from gateway.queues import line
from gateway.queues.line import Bounds, Full, Placed
from gateway.queues.link import Link, LinkLostError
from gateway.structs import Call
from tests.gateway.queues.conftest import NOW, make_call

pytestmark = pytest.mark.asyncio


async def put(link: Link, *calls: Call, at: float = NOW, limit: int = 1000) -> None:
    for call in calls:
        assert isinstance(await line.push(link, call, limit=limit, now=NOW, at=at), Placed)


async def taken(link: Link, count: int = 100, *, at: float = NOW, worker: str = "w1") -> list[str]:
    return [call.id for call in await line.claim(link, worker, count, at=at)]


async def test_priorities_are_strict_and_a_project_is_served_in_order(link: Link) -> None:
    await put(
        link,
        make_call(id="low", priority=2),
        make_call(id="n1"),
        make_call(id="high", priority=0),
        make_call(id="n2"),
    )
    assert await taken(link) == ["high", "n1", "n2", "low"]
    assert await taken(link) == []


async def test_old_calls_of_lower_priority_go_first_every_other_turn(link: Link) -> None:
    await put(link, make_call(id="l1", priority=2), make_call(id="l2", priority=2))
    await put(link, *(make_call(id=f"h{n}", priority=0) for n in range(3)), at=NOW + 9)
    assert await taken(link, 1, at=NOW + 9.9) == ["h0"]
    assert await taken(link, at=NOW + 10) == ["l1", "h1", "l2", "h2"]


async def test_the_turn_of_the_old_is_remembered_between_claims(link: Link) -> None:
    await put(link, *(make_call(id=f"l{n}", priority=2) for n in range(2)))
    await put(link, *(make_call(id=f"h{n}", priority=0) for n in range(2)), at=NOW + 9)
    order = [(await taken(link, 1, at=NOW + 11))[0] for _ in range(4)]
    assert order == ["l0", "h0", "l1", "h1"]


async def test_projects_take_turns_whoever_came_first(link: Link) -> None:
    await put(link, *(make_call(id=f"a{n}", project="a") for n in range(50)))
    await put(link, *(make_call(id=f"b{n}", project="b") for n in range(2)))
    assert await taken(link, 5) == ["a0", "b0", "a1", "b1", "a2"]
    # One that comes now is next in the round after this one, and one that always has one waiting gains nothing.
    order = []
    for n in range(2, 5):
        await put(link, make_call(id=f"b{n}", project="b"))
        order += await taken(link, 2)
    assert sorted(order[:2]) == ["a3", "b2"]
    assert sum(one.startswith("a") for one in order) == 3


async def test_a_project_that_comes_back_at_once_is_not_always_first(link: Link) -> None:
    await put(link, *(make_call(id=f"b{n}", project="b") for n in range(9)))
    await taken(link, 1)
    order = []
    for n in range(6):
        if not order or order[-1] == "a":
            await put(link, make_call(id=f"a{n}", project="a"))
        order += [one[0] for one in await taken(link, 1)]
    assert order.count("a") == order.count("b") == 3


async def test_a_project_has_a_bound_and_is_told_how_long_its_first_call_waits(link: Link) -> None:
    await put(link, make_call(id="first"), make_call(priority=2), limit=2)
    refused = await line.push(link, make_call(), limit=2, now=NOW, at=NOW + 7.2)
    assert refused == Full(bound="project", waiting=2, retry_after_s=8)
    await put(link, make_call(project="other"), limit=2)


async def test_all_calls_together_and_their_bodies_have_a_bound(link: Link) -> None:
    await put(link, make_call(project="a"), make_call(project="b"))
    calls = await line.push(link, make_call(), limit=9, now=NOW, at=NOW, bounds=Bounds(calls=2))
    assert calls == Full(bound="calls", waiting=2, retry_after_s=1)
    size = Bounds(bytes=100)
    body = await line.push(link, make_call(), limit=9, now=NOW, at=NOW, bounds=size)
    assert isinstance(body, Full)
    assert body.bound == "bytes"
    # What left the line is not counted any more.
    await taken(link)
    big = Bounds(calls=1, bytes=1_000)
    placed = await line.push(link, make_call(), limit=9, now=NOW, at=NOW, bounds=big)
    assert placed == Placed(ahead=0)


async def test_a_call_past_its_deadline_is_not_handed_out_and_said_to_be_late(link: Link) -> None:
    await put(link, make_call(id="late", seconds=5), make_call(id="good", seconds=9))
    assert await taken(link, at=NOW + 6) == ["good"]
    _, (late, good) = await line.places(link, "none", ["late", "good"])
    assert (late.state, good.state, good.worker) == ("expired", "claimed", "w1")


async def test_a_waiting_call_is_cancelled_and_its_place_given_away(link: Link) -> None:
    await put(link, make_call(id="a"), make_call(id="b"))
    assert await line.cancel(link, "a") == "waiting"
    assert await line.cancel(link, "a") == "unknown"
    assert await taken(link) == ["b"]


async def test_the_worker_of_a_running_call_hears_of_a_cancel(link: Link, redis: Redis) -> None:
    await put(link, make_call(id="a"))
    await taken(link)
    with redis.pubsub() as listener:
        listener.subscribe("gw:w:w1")
        assert listener.get_message(timeout=2)
        assert await line.cancel(link, "a") == "claimed"
        message = listener.get_message(timeout=2)
    assert message is not None
    assert message["data"] == b"gone:a"
    # Nobody waits: it does not go back into the line, and may not begin.
    assert not await line.begin(link, "w1", "a")
    assert await line.put_back(link, "w1", ["a"]) == 0


async def test_the_same_call_twice_waits_once(link: Link) -> None:
    call = make_call(id="a")
    await put(link, call, call)
    assert await taken(link) == ["a"]


async def test_calls_of_a_dead_worker_wait_again_unless_they_had_begun(link: Link) -> None:
    await put(link, make_call(id="begun"), make_call(id="claimed"), make_call(id="next"))
    assert await taken(link, 2) == ["begun", "claimed"]
    assert await line.begin(link, "w1", "begun")
    assert await line.bury(link, "w1") == (1, 1)
    assert await line.bury(link, "w1") == (0, 0)
    _, (begun, claimed) = await line.places(link, "none", ["begun", "claimed"])
    assert (begun.state, claimed.state) == ("worker_died", "waiting")
    assert await taken(link, worker="w2") == ["claimed", "next"]
    # The worker was not dead but slow: it may no longer begin what another one has now.
    assert not await line.begin(link, "w1", "claimed")
    assert await line.begin(link, "w2", "claimed")


async def test_a_worker_that_stops_puts_back_what_it_has_not_begun(link: Link) -> None:
    await put(link, make_call(id="a"), make_call(id="b"))
    await taken(link)
    await line.begin(link, "w1", "a")
    assert await line.put_back(link, "w1", ["a", "b"]) == 1
    assert await taken(link, worker="w2") == ["b"]


async def test_nothing_is_left_behind(link: Link, redis: Redis) -> None:
    await put(link, *(make_call(id=str(n), priority=n % 3, project=f"p{n % 2}") for n in range(9)))
    calls = await taken(link)
    for call in calls:
        await line.begin(link, "w1", call)
    await line.finish(link, "w1", calls)
    assert redis.keys("{gw}:*") == [b"{gw}:bell"]


async def test_the_bell_rings_once_and_again_while_calls_wait(link: Link, redis: Redis) -> None:
    await put(link, make_call(), make_call(), make_call())
    assert redis.llen("{gw}:bell") == 1
    redis.delete("{gw}:bell")
    await taken(link, 1)
    assert redis.llen("{gw}:bell") == 1  # two are left for somebody else
    redis.delete("{gw}:bell")
    await taken(link, 2)
    assert redis.llen("{gw}:bell") == 0


async def test_depths_of_all_and_of_one_project(link: Link, redis: Redis) -> None:
    await put(link, make_call(project="a"), make_call(project="b", priority=0))
    await put(link, make_call(project="a"), at=NOW + 1)
    of_all = await line.depths(link, at=NOW + 3)
    of_one = await line.depths(link, "a", at=NOW + 4)
    assert (of_all["high"].waiting, of_all["normal"].waiting, of_all["low"].waiting) == (1, 2, 0)
    assert (of_one["high"].waiting, of_one["normal"].waiting) == (0, 2)
    assert (of_all["normal"].oldest_s, of_one["normal"].oldest_s) == (3.0, 4.0)
    assert line.depths_of(redis, "a")["normal"].waiting == 2


async def test_a_silent_worker_is_named_to_the_others(link: Link) -> None:
    assert await line.beat(link, "w1", at=NOW) == []
    assert await line.beat(link, "w2", at=NOW + 14) == []
    assert await line.beat(link, "w2", at=NOW + 15) == ["w1"]


async def test_pages_see_how_busy_each_worker_is(link: Link, redis: Redis) -> None:
    await line.beat(link, "w1", running=3, most=10)
    (load,) = line.loads_of(redis)
    assert (load.worker, load.running, load.most) == ("w1", 3, 10)
    assert load.silent_s < 5
    await line.bury(link, "w1")
    assert line.loads_of(redis) == []
    assert redis.hlen("{gw}:loads") == 0


async def test_a_flush_of_everything_leaves_a_line_that_works(link: Link, redis: Redis) -> None:
    await put(link, make_call(id="a"))
    redis.flushdb()
    redis.script_flush()
    assert await taken(link) == []
    await put(link, make_call(id="b"))
    assert await taken(link) == ["b"]


async def test_a_lost_connection_is_an_error_at_once_and_the_next_call_connects_again(
    link: Link, redis: Redis
) -> None:
    await put(link, make_call(id="a"))
    number = await link.send("CLIENT", "ID")
    asked = link.send("BLPOP", "never", "5")  # an answer that is still out
    await asyncio.sleep(0.02)
    redis.client_kill_filter(_id=number)
    with pytest.raises(LinkLostError):
        await asked
    assert await taken(link) == ["a"]


async def test_what_is_asked_in_one_turn_leaves_together_and_is_answered_in_order(
    link: Link,
) -> None:
    answers = await asyncio.gather(*(link.send("ECHO", str(n)) for n in range(500)))
    assert [int(answer) for answer in answers] == list(range(500))
    with pytest.raises(Exception, match="unknown command"):
        await link.send("NOPE")
    assert await link.send("ECHO", "x") == b"x"
