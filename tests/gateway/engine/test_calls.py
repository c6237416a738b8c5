"""Calls through a worker: answered whole and streamed, tried again, elsewhere, and recorded however they end."""

import asyncio
import datetime as dt
import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from msgspec import structs

from core.crypto import data_cipher, seal
from gateway.cache.kept import Hit
from gateway.cache.semantic import Found
from gateway.connections.secrets import context
from gateway.engine.bounding import bounded
from gateway.engine.loop import Engine
from gateway.queues.frames import CallLostError
from gateway.queues.link import Link
from gateway.routing.health import HEALTHY, Health, HealthView
from gateway.snapshot import KeyView, Snapshot
from gateway.structs import CachePlan, CacheRule, Call, Dialect, Frame, FrameKind, RetryRule
from tests.gateway.engine.conftest import World
from tests.gateway.engine.provider import (
    USAGE,
    Exchange,
    chunk,
    completion,
    cutting,
    failing,
    silent,
    stalling,
)

pytestmark = pytest.mark.asyncio


def body(frames: list[Frame]) -> bytes:
    return b"".join(frame.data for frame in frames)


def error_of(frame: Frame) -> dict[str, str]:
    found: dict[str, str] = json.loads(frame.data)["error"]
    return found


async def test_a_whole_answer_arrives_as_it_was_and_is_recorded(world: World) -> None:
    await world.start()
    call = world.call("m")
    frame = await world.whole(call)
    assert (frame.status, json.loads(frame.data)) == (200, completion())
    assert frame.headers["x-llmlab-provider-request-id"] == "req-1"
    assert frame.summary is not None
    assert frame.summary.state == "done"
    finished = await world.end_of(call)
    assert world.begun == [call.id]
    assert finished.usage is not None
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (7, 3)
    assert finished.raw_usage == USAGE
    assert (finished.response_model, finished.finish_reason) == ("m-2026", "stop")
    (attempt,) = finished.attempts
    assert (attempt.status, attempt.error, attempt.key_hint) == (200, "", "sk-…st")
    assert finished.call.queued_at <= finished.call.claimed_at


async def test_a_stream_arrives_in_order_without_the_usage_nobody_asked_for(world: World) -> None:
    await world.start()
    call = world.call("m", stream=True, wants_usage=False)
    frames = await world.frames(call)
    assert (frames[0].kind, frames[0].status) == (FrameKind.HEAD, 200)
    assert frames[-1].kind is FrameKind.END
    words = b"".join(chunk(word) for word in "abcd") + chunk("e", finish="stop")
    assert body(frames) == words + b"data: [DONE]\n\n"
    finished = await world.end_of(call)
    assert finished.raw_usage == USAGE
    assert json.loads(finished.answer)["choices"][0]["message"]["content"] == "abcde"
    assert call.accepted_at < finished.first_token_at <= finished.ended_at


async def test_an_error_is_tried_again_and_retry_after_is_waited_for(world: World) -> None:
    await world.start()
    world.provider.behaviours["m"] = failing(500, times=1, retry_after_ms="60")
    call = world.call("m")
    began = time.time()
    assert (await world.whole(call)).status == 200
    assert time.time() - began > 0.06
    first, second = (await world.end_of(call)).attempts
    assert (first.status, first.error, first.retry_after_s) == (500, "error", 0.06)
    assert (second.status, second.error) == (200, "")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_answer_that_means_the_same_spares_the_provider(
    world: World, stream: bool
) -> None:
    async def kept(call: Call, snapshot: object) -> Found:
        answer = json.dumps(completion("kept")).encode()
        at = time.time() - 60
        return Found(
            Hit(id="c1", kind="semantic", answer=answer, created_at=at, similarity=0.99), 0.97
        )

    world.parts = replace(world.parts, kept=kept)
    await world.start()
    rule = CacheRule(semantic=True)
    call = world.call(
        "m", stream=stream, cache=CachePlan(key="k", scope="s", rule=rule, question="Hi")
    )
    frames = await world.frames(call)
    assert (frames[0].status, frames[0].headers["x-llmlab-cache"]) == (200, "semantic")
    assert b"kept" in body(frames)
    assert world.provider.asked == []
    finished = await world.end_of(call)
    assert (finished.state, finished.cache, finished.cached_id) == ("cached", "semantic", "c1")


async def test_an_empty_account_is_asked_once_and_the_next_target_answers(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = failing(429, "No money left", code="insufficient_quota")
    call = world.call("a", "b")
    frame = await world.whole(call)
    assert (frame.status, frame.headers["x-llmlab-model"]) == (200, "b")
    assert world.provider.asked == ["a", "b"]
    first, _ = (await world.end_of(call)).attempts
    assert (first.error, first.code) == ("rate_limit", "insufficient_quota")


async def test_what_fails_on_our_own_side_says_nothing_of_the_provider(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    world.parts = replace(world.parts, report=lambda call, attempt: told.append(attempt.code))
    await world.start()
    good = world.snapshot
    assert good is not None
    view = good.connections["c1"]
    unreadable = structs.replace(view.keys[0], sealed=b"nonsense")
    broken = structs.replace(view, keys=(unreadable,))
    codes = []
    for connections in ({}, {"c1": broken}):
        world.snapshot = structs.replace(good, connections=connections)
        call = world.call("m")
        await world.frames(call)
        codes += [one.code for one in (await world.end_of(call)).attempts]

    world.snapshot = good
    with monkeypatch.context() as patch:
        patch.setattr(settings, "LLMLAB_OUTBOUND_ALLOW", [])
        call = world.call("m")
        assert error_of(await world.whole(call))["code"] == "address_refused"
        codes += [one.code for one in (await world.end_of(call)).attempts]

    async def away(*_of: str) -> Snapshot:
        raise OperationalError("no")

    engine = world.engines[0][0]
    engine._parts = replace(world.parts, snapshot=away)
    call = world.call("m")
    assert (await world.whole(call)).status == 502
    codes += [one.code for one in (await world.end_of(call)).attempts]
    assert set(codes) == {
        "connection_gone", "key_unreadable", "connections_unknown", "address_refused",
    }  # fmt: skip
    assert told == []


async def test_under_a_hard_limit_the_provider_is_told_how_long_its_answer_may_be(
    world: World,
) -> None:
    asked: list[int | None] = []

    async def strict(exchange: Exchange) -> None:
        most = exchange.document.get("max_tokens")
        asked.append(most)
        if most is not None and most > 9_000:
            error = {"message": "max_tokens is too large: 32768", "code": None}
            await exchange.answer({"error": error}, 400)
        else:
            await exchange.answer(completion())

    await world.start()
    world.provider.behaviours["m"] = strict
    for said, sent in (
        (b"", [32_768, None]),
        (b',"max_tokens":50', [50]),
        (b',"max_tokens":-1', [32_768, -1]),
    ):
        call = world.call("m", is_bounded=True)
        call.body = call.body[:-1] + said + b"}"
        assert (await world.whole(call)).status == 200
        assert asked == sent
        assert len((await world.end_of(call)).attempts) == 1
        asked.clear()
    assert (await world.whole(world.call("m"))).status == 200
    assert asked == [None]


@pytest.mark.parametrize(
    ("dialect", "kind", "model", "request_", "most"),
    [
        (Dialect.CHAT, "openai", "gpt-4o", {}, {"max_completion_tokens": 16_384}),
        (Dialect.CHAT, "compatible", "llama", {}, {"max_tokens": 32_768}),
        (Dialect.RESPONSES, "openai", "gpt-5", {}, {"max_output_tokens": 128_000}),
        (Dialect.COMPLETIONS, "openai", "davinci", {}, {}),
        (Dialect.EMBEDDINGS, "openai", "embed", {}, {}),
        # As made of a chat request whose client stated 1,000, with room to think on top.
        (Dialect.MESSAGES, "anthropic", "claude-x", {"max_tokens": 1_500}, {"max_tokens": 1_000}),
    ],
)
async def test_the_bound_is_the_one_that_was_set_aside(
    world: World, dialect: Dialect, kind: str, model: str, request_: Any, most: dict[str, int]
) -> None:
    call = world.call(model)
    document: dict[str, Any] = {"max_completion_tokens": 1_000} if request_ else {}
    call.dialect = Dialect.CHAT if dialect is Dialect.MESSAGES else dialect
    made, is_ours = bounded(call, document, request_, dialect=dialect, model=model, kind=kind)
    assert (made, is_ours) == (most, bool(most) and not request_)


async def test_the_next_target_answers_when_the_first_cannot(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = failing(429, retry_after="600")
    frame = await world.whole(world.call("a", "b"))
    assert (frame.status, frame.headers["x-llmlab-model"]) == (200, "b")
    assert world.provider.asked == ["a", "b"]


async def test_a_limited_target_rests_until_its_provider_said(world: World) -> None:
    link = Link(settings.REDIS_URL)
    health, other = Health(link), Health(link)
    await health.start()
    world.parts = replace(world.parts, health=lambda: health.view, report=health.report)
    await world.start()
    world.provider.behaviours["a"] = failing(429, retry_after="30")
    for _ in range(3):
        assert (await world.whole(world.call("a", "b"))).headers["x-llmlab-model"] == "b"
    assert world.provider.asked == ["a", "b", "b", "b"]
    # Nobody else is left: it is asked all the same.
    assert (await world.whole(world.call("a"))).status == 429
    await health.stop()
    await other.refresh()
    assert 28 < other.view.rests_for("c1", "a", time.time()) <= 30
    assert other.view.rests_for("c1", "b", time.time()) == 0
    await link.close()


async def test_a_limited_target_with_another_key_does_not_rest(world: World) -> None:
    rests: list[float] = []
    world.parts = replace(world.parts, report=lambda call, attempt: rests.append(attempt.rest_s))
    assert world.snapshot is not None
    view = world.snapshot.connections["c1"]
    other_id = uuid.uuid4()
    sealed = seal(data_cipher(world.snapshot.data_key), b"sk-other", context(other_id))
    other = structs.replace(view.keys[0], id=other_id.hex, sealed=sealed)
    two = structs.replace(view, keys=(view.keys[0], other))
    world.snapshot = structs.replace(world.snapshot, connections={"c1": two})
    await world.start()
    world.provider.behaviours["a"] = failing(429, retry_after_ms="5")
    await world.whole(world.call("a"))
    assert rests == [0.0, 0.005]


async def test_a_bad_request_goes_nowhere_else_and_reads_as_the_provider_said(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = failing(400, "messages: too few")
    call = world.call("a", "b")
    frame = await world.whole(call)
    assert (frame.status, error_of(frame)["message"]) == (400, "messages: too few")
    assert world.provider.asked == ["a"]
    finished = await world.end_of(call)
    assert (finished.state, finished.status, finished.usage) == ("failed", 400, None)


async def test_what_the_other_wire_cannot_say_is_the_requests_fault(world: World) -> None:
    await world.start()
    good = world.snapshot
    assert good is not None
    view = structs.replace(good.connections["c1"], kind="anthropic")
    world.snapshot = structs.replace(good, connections={"c1": view})
    call = world.call("m")
    call.body = json.dumps(json.loads(call.body) | {"n": 2}).encode()
    frame = await world.whole(call)
    assert (frame.status, error_of(frame)["code"]) == (400, "cannot_translate")
    assert error_of(frame)["message"].startswith("n: ")
    assert world.provider.asked == []
    assert [one.error for one in (await world.end_of(call)).attempts] == ["bad_request"]


async def test_refused_credentials_are_not_the_clients(world: World) -> None:
    await world.start()
    world.provider.behaviours["m"] = failing(401, "Incorrect API key: sk-test")
    frame = await world.whole(world.call("m"))
    assert frame.status == 502
    assert b"sk-test" not in frame.data
    assert world.provider.asked == ["m"]


async def test_a_replaced_key_stands_in_when_the_new_one_is_refused(world: World) -> None:
    """Until it retires; a key that is limited or a fault of the provider is no reason."""
    await world.start()
    assert world.snapshot is not None
    view, wrapped = world.snapshot.connections["c1"], world.snapshot.data_key
    old, new_id = view.keys[0], uuid.uuid4()
    sealed = seal(data_cipher(wrapped), b"sk-new", context(new_id))
    new = KeyView(id=new_id.hex, sealed=sealed, hint="sk-…ew", weight=1, retires_at=None)

    async def answer(exchange: Exchange) -> None:
        if exchange.headers["authorization"] == "bearer sk-new":
            await exchange.answer({"error": {"message": "Incorrect API key"}}, 401)
        else:
            await exchange.answer(completion())

    world.provider.behaviours["m"] = answer
    for hours, status, hint in ((1, 200, "sk-…st"), (-1, 502, "sk-…ew")):
        until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
        keys = (structs.replace(old, retires_at=until), new)
        connection = structs.replace(view, keys=keys)
        world.snapshot = structs.replace(world.snapshot, connections={"c1": connection})
        world.provider.asked.clear()
        call = world.call("m")
        assert (await world.whole(call)).status == status
        assert len(world.provider.asked) == (2 if hours > 0 else 1)
        (attempt,) = (await world.end_of(call)).attempts
        assert attempt.key_hint == hint


async def test_nobody_there_is_a_502_that_says_so(world: World) -> None:
    await world.start()
    await world.provider.close()
    call = world.call("m")
    frame = await world.whole(call)
    assert (frame.status, error_of(frame)["code"]) == (502, "provider_unreachable")
    finished = await world.end_of(call)
    assert ([one.error for one in finished.attempts], finished.usage) == (["error"] * 2, None)


async def test_silence_is_a_504_and_its_usage_is_estimated(world: World) -> None:
    await world.start()
    world.provider.behaviours["m"] = silent
    call = world.call("m", rules={"timeout_s": 0.05})
    frame = await world.whole(call)
    assert (frame.status, error_of(frame)["code"]) == (504, "provider_timeout")
    usage = (await world.end_of(call)).usage
    assert usage is not None
    assert usage.is_estimated


async def test_a_stream_that_does_not_begin_falls_back(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = stalling(0)
    rules = {"first_token_s": 0.05, "fallback_on": ("timeout",)}
    frames = await world.frames(world.call("a", "b", stream=True, rules=rules))
    assert frames[0].headers["x-llmlab-model"] == "b"
    assert world.provider.asked == ["a", "a", "b"]


@pytest.mark.parametrize("after", [1, 3])
async def test_a_stream_that_breaks_ends_with_an_error_and_is_recorded(
    world: World, after: int
) -> None:
    await world.start()
    world.provider.behaviours["a"] = cutting(after)
    call = world.call("a", "b", stream=True)
    frames = await world.frames(call)
    *chunks, last = body(frames).split(b"\n\n")[:-1]
    assert len(chunks) == after
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "provider_unreachable"
    assert world.provider.asked == ["a"]
    finished = await world.end_of(call)
    assert finished.state == "failed"
    assert finished.usage is not None
    assert finished.usage.is_estimated
    assert finished.usage.output_tokens
    assert b"word0" in finished.answer


async def test_a_stream_broken_before_its_first_token_is_tried_again(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = cutting(0)
    frames = await world.frames(world.call("a", "b", stream=True))
    assert frames[0].headers["x-llmlab-model"] == "b"
    assert world.provider.asked == ["a", "a", "b"]


async def test_an_error_event_instead_of_an_answer_falls_back(world: World) -> None:
    async def overloaded(exchange: object) -> None:
        await exchange.begin_stream()  # type: ignore[attr-defined]
        error = {"error": {"type": "overloaded_error", "message": "busy"}}
        data = b"data: %b\n\n" % json.dumps(error).encode()
        await exchange.chunk(data)  # type: ignore[attr-defined]
        await exchange.end_stream()  # type: ignore[attr-defined]

    await world.start()
    world.provider.behaviours["a"] = overloaded
    frames = await world.frames(world.call("a", "b", stream=True))
    assert frames[0].headers["x-llmlab-model"] == "b"


async def test_a_client_that_leaves_is_drained_for_the_record(world: World) -> None:
    engine = await world.start()
    go = asyncio.Event()

    async def slow(exchange: object) -> None:
        await go.wait()
        await exchange.answer(completion())  # type: ignore[attr-defined]

    world.provider.behaviours["m"] = slow
    call = world.call("m", on_client_gone="drain")
    waiting = await world.ask(call)
    await until_asked(world, "m")
    await waiting.aclose()
    while not engine.runs[call.id].left_at:
        await asyncio.sleep(0.005)
    go.set()
    finished = await world.end_of(call)
    assert (finished.state, finished.raw_usage) == ("done", USAGE)
    assert finished.client_left_at


async def test_a_client_that_leaves_takes_its_call_along_when_the_project_says_so(
    world: World,
) -> None:
    await world.start()
    world.provider.behaviours["m-slow"] = stalling(2)
    call = world.call("m-slow", stream=True, on_client_gone="cancel")
    waiting = await world.ask(call)
    assert (await waiting.__anext__()).kind is FrameKind.HEAD
    assert b"word0" in (await waiting.__anext__()).data
    await waiting.aclose()
    finished = await world.end_of(call)
    assert (finished.state, finished.error) == ("cancelled", "client_left")
    assert finished.usage is not None
    assert finished.usage.is_estimated
    while world.provider.open:
        await asyncio.sleep(0.005)


async def test_the_deadline_ends_a_call_wherever_it_is(world: World) -> None:
    await world.start()
    world.provider.behaviours["m"] = silent
    world.provider.behaviours["s"] = stalling(1)
    call = world.call("m", deadline_at=time.time() + 0.15)
    streamed = world.call("s", stream=True, deadline_at=time.time() + 0.15)
    frame, frames = await asyncio.gather(world.whole(call), world.frames(streamed))
    assert (frame.status, error_of(frame)["code"]) == (504, "deadline_exceeded")
    assert b"deadline_exceeded" in body(frames)
    for one in (call, streamed):
        assert (await world.end_of(one)).state == "expired"


async def test_a_hedge_answers_when_the_first_is_slow(world: World) -> None:
    await world.start()
    world.provider.behaviours["a"] = silent
    call = world.call("a", "b", rules={"hedge_after_s": 0.03})
    assert (await world.whole(call)).headers["x-llmlab-model"] == "b"
    first, second = (await world.end_of(call)).attempts
    assert (first.error, first.is_hedge) == ("cancelled", False)
    assert (second.error, second.is_hedge) == ("", True)
    # The provider may charge for both: the loser counts for itself, the winner with the call.
    assert first.usage is not None
    assert first.usage.is_estimated
    assert first.usage.input_tokens
    assert second.usage is None


async def test_what_was_given_up_counts_and_what_was_refused_does_not(world: World) -> None:
    await world.start()
    world.provider.behaviours |= {"late": silent, "down": failing(500), "cut": cutting(0)}
    rules = {"timeout_s": 0.05, "retry": RetryRule(tries=1)}
    call = world.call("late", "down", "cut", "m", stream=True, rules=rules)
    assert (await world.frames(call))[0].headers["x-llmlab-model"] == "m"
    finished = await world.end_of(call)
    used = [one.usage is not None and one.usage.is_estimated for one in finished.attempts]
    assert used == [True, False, True, False]
    assert finished.raw_usage == USAGE


@pytest.mark.parametrize("has_more", [False, True])
async def test_under_a_hard_limit_only_what_was_set_aside_is_tried(
    world: World, has_more: bool
) -> None:
    asked_for: list[str] = []

    async def more(call: Call) -> bool:
        asked_for.append(call.id)
        return has_more

    world.parts = replace(world.parts, more=more)
    await world.start()
    world.provider.behaviours |= {"late": silent, "down": failing(500)}
    rules = {"timeout_s": 0.03, "retry": RetryRule(tries=1)}
    # What failed with a status costs nothing: the next one needs no more.
    call = world.call("down", "late", "m", rules=rules, is_bounded=True)
    frame = await world.whole(call)
    assert asked_for == [call.id]
    finished = await world.end_of(call)
    if has_more:
        assert frame.headers["x-llmlab-model"] == "m"
        assert finished.flags == ()
    else:
        assert (frame.status, error_of(frame)["code"]) == (504, "provider_timeout")
        assert "a hard limit leaves nothing" in error_of(frame)["message"]
        assert finished.flags == ("usage_estimated", "limit:not_asked_again")
    assert world.provider.asked == ["down", "late", *(["m"] if has_more else [])]


async def test_a_hedge_set_aside_pays_for_a_try_after_it_and_no_third(world: World) -> None:
    await world.start()
    world.provider.behaviours |= {"a": silent, "b": silent, "c": silent}
    rules = {"timeout_s": 0.04, "hedge_after_s": 0.02, "retry": RetryRule(tries=1)}
    call = world.call("a", "b", "c", rules=rules, is_bounded=True)
    assert (await world.whole(call)).status == 504
    assert world.provider.asked == ["a", "b"]
    # The first timed out before its hedge began: what is left pays for one, without another hedge.
    rules = {"timeout_s": 0.02, "hedge_after_s": 0.5, "retry": RetryRule(tries=1)}
    call = world.call("a", "b", "c", rules=rules, is_bounded=True)
    assert (await world.whole(call)).status == 504
    assert world.provider.asked == ["a", "b", "a", "b"]


async def test_a_worker_that_stops_finishes_what_runs_and_takes_nothing_new(world: World) -> None:
    engine = await world.start()
    go = asyncio.Event()

    async def slow(exchange: object) -> None:
        await go.wait()
        await exchange.answer(completion())  # type: ignore[attr-defined]

    world.provider.behaviours["m"] = slow
    runs = await world.ask(world.call("m"))
    await until_asked(world, "m")
    engine.stop()
    await asyncio.sleep(0.02)
    waits = await world.ask(world.call("n"))
    go.set()
    assert (await runs.__anext__()).status == 200
    await world.engines[0][1]
    await world.start()
    assert (await waits.__anext__()).status == 200


async def test_what_does_not_end_in_time_when_a_worker_stops_is_a_503(world: World) -> None:
    engine = await world.start(drain_s=0.05)
    world.provider.behaviours["m"] = silent
    call = world.call("m")
    waiting = await world.ask(call)
    await until_asked(world, "m")
    engine.stop()
    frame = await waiting.__anext__()
    assert (frame.status, error_of(frame)["code"]) == (503, "worker_stopped")
    assert (await world.end_of(call)).state == "lost"
    await world.engines[0][1]


async def test_a_worker_runs_no_more_calls_at_once_than_it_may(world: World) -> None:
    await world.start(calls=3)
    most = 0

    async def slow(exchange: object) -> None:
        nonlocal most
        most = max(most, world.provider.open)
        await asyncio.sleep(0.01)
        await exchange.answer(completion())  # type: ignore[attr-defined]

    world.provider.behaviours["m"] = slow
    answers = await asyncio.gather(*(world.whole(world.call("m")) for _ in range(12)))
    assert [frame.status for frame in answers] == [200] * 12
    assert most == 3


async def test_all_calls_taken_together_are_in_the_journal_before_one_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes next may hold up the loop, and the worker be killed meanwhile."""
    begun: list[int] = []

    async def ours(*_: object) -> bool:
        return True

    def health() -> HealthView:
        begun.append(len(world.begun))
        return HEALTHY

    monkeypatch.setattr(Engine, "_is_ours", ours)
    world.parts = replace(world.parts, health=health)
    waiting = [await world.ask(world.call("m")) for _ in range(5)]
    await world.start()
    for one in waiting:
        assert (await anext(aiter(one))).status == 200
        await one.aclose()
    assert begun == [5] * 5


async def test_a_run_stopped_in_its_last_moment_is_recorded_and_answered(world: World) -> None:
    def stop(call: Call, attempt: object) -> None:
        engine.runs[call.id].stop("cancelled")

    world.parts = replace(world.parts, report=stop)
    engine = await world.start()
    call = world.call("m")
    assert (await world.whole(call)).status == 200
    assert (await world.end_of(call)).state == "done"
    streamed = world.call("m", stream=True)
    assert (await world.frames(streamed))[-1].kind is FrameKind.END
    assert (await world.end_of(streamed)).state == "done"
    world.provider.behaviours["m"] = cutting(2)
    broken = world.call("m", stream=True)
    assert body(await world.frames(broken)).count(b'"error"') == 1
    assert (await world.end_of(broken)).state == "failed"


async def test_a_dead_web_process_leaves_its_calls_to_the_policy(world: World) -> None:
    await world.start()
    world.provider.behaviours["m"] = silent
    call = world.call("m", on_client_gone="cancel")
    waiting = await world.ask(call)
    await until_asked(world, "m")
    await world.reader.close()
    assert (await world.end_of(call)).state == "cancelled"
    with pytest.raises(CallLostError):
        await waiting.__anext__()


async def until_asked(world: World, model: str) -> None:
    async with asyncio.timeout(5):
        while model not in world.provider.asked:
            await asyncio.sleep(0.005)
