"""What holds for every instrumented library, and what only shows in edge cases."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import front as fronts
import kept as keeping
import openai
import pytest
from door import Door, Reply

from llmlab import BudgetExceeded, LLMLab, current_client, propagate
from llmlab import span as llmlab_span
from llmlab.instruments.recording import Recording
from llmlab.testing import captured

HI: Any = [{"role": "user", "content": "Hi"}]
SOURCE = Path(__file__).resolve().parents[1] / "src"
PATCHED = [
    (client, name)
    for module in (openai, anthropic)
    for client, names in (
        (module._base_client.BaseClient, ["_build_request"]),
        (module._base_client.SyncAPIClient, ["request", "_process_response"]),
        (module._base_client.AsyncAPIClient, ["request", "_process_response"]),
    )
    for name in names
]


@pytest.fixture(scope="module")
def front(simulator: str) -> Iterator[str]:
    with fronts.running_front(simulator) as address:
        yield address


@pytest.fixture
def recorded() -> Iterator[tuple[LLMLab, keeping.Kept]]:
    llm, kept = keeping.recording("openai", "anthropic", drain_seconds=1)
    yield llm, kept
    llm.uninstrument()
    llm.shutdown(0)


@pytest.fixture
def chat(simulator: str) -> Iterator[Callable[..., Any]]:
    with openai.OpenAI(api_key="x", base_url=f"{simulator}/v1", max_retries=0) as client:
        create: Any = client.chat.completions.create
        yield lambda **more: create(**{"model": "gpt-4o-mini", "messages": HI, **more})


def test_uninstrument_gives_everything_back() -> None:
    before = [vars(owner)[name] for owner, name in PATCHED]
    llm, _ = keeping.recording("openai", "anthropic")
    assert all(vars(owner)[name] is not own for (owner, name), own in zip(PATCHED, before))
    llm.uninstrument()
    assert [vars(owner)[name] for owner, name in PATCHED] == before
    llm.shutdown(0)


def test_instrumenting_twice_patches_once_for_the_newest_client(chat: Any) -> None:
    first, first_kept = keeping.recording("openai")
    patched = [vars(owner)[name] for owner, name in PATCHED]
    second, second_kept = keeping.recording("openai")
    assert [vars(owner)[name] for owner, name in PATCHED] == patched
    chat()
    assert first_kept.taken(0) == []
    assert len(second_kept.taken(1)) == 1
    second.uninstrument("openai")
    chat()
    assert second_kept.taken(0) == []
    for llm in (first, second):
        llm.shutdown(0)


def test_only_known_and_installed_libraries_are_instrumented(caplog: Any) -> None:
    llm = LLMLab("llmlab_sk_x", "shop", enabled=False)
    assert llm.instrument() == ["openai", "anthropic"]  # LangChain is not installed here
    assert llm.instrument("openai", "cohere", "langchain") == ["openai"]
    assert "'cohere' cannot be instrumented; known: openai, anthropic, langchain" in caplog.text
    llm.uninstrument()


def test_instrument_imports_nothing_and_patches_what_is_imported_later(simulator: str) -> None:
    program = f"""
import sys
from kept import recording
llm, kept = recording()
assert not {{"openai", "anthropic", "httpx", "httpx2"}} & set(sys.modules)
import openai
assert openai.__spec__.loader.__class__.__name__ == "SourceFileLoader"
with openai.OpenAI(api_key="x", base_url="{simulator}/v1") as client:
    client.embeddings.create(model="text-embedding-3-small", input="a")
print([step["type"] for step in kept.taken(1)])
"""
    done = _program(program)
    assert done.stdout == "['embedding']\n", done.stderr


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 15)"], ids=["exit", "SIGTERM"])
def test_a_stream_nobody_closed_is_sent_when_the_program_ends(
    front: str, door: Door, ending: str
) -> None:
    program = f"""
import os
from llmlab import LLMLab
llm = LLMLab("llmlab_sk_x", "shop", base_url="{door.url}")
llm.instrument()
import openai
client = openai.OpenAI(api_key="x", base_url="{front}/slow/v1")
stream = iter(client.chat.completions.create(model="gpt-4o-mini", messages={HI!r}, stream=True))
while not (chunk := next(stream)).choices[0].delta.content:
    pass
{ending}
"""
    done = _program(program)
    assert done.returncode == (-15 if ending else 0), done.stderr
    ended = [step for item in door.items for step in item["steps"] if step["status"] == "ok"]
    assert len(ended) == 1, done.stderr
    assert ended[0]["attributes"]["stopped_reading"] is True
    assert ended[0]["output"]["content"]


def _program(text: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": f"{SOURCE}:{Path(__file__).parent}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", text], env=path, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def test_calls_hang_under_the_step_they_are_made_in(recorded: Any, chat: Any) -> None:
    _, kept = recorded
    with llmlab_span("outer"):
        chat()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(propagate(lambda _: chat()), range(2)))
    chat()
    *inside, alone = kept.taken(5)
    (outer,) = [step for step in inside if step["name"] == "outer"]
    calls = [step for step in inside if step["name"] == "chat"]
    assert [call["parent_id"] for call in calls] == [outer["id"]] * 3
    assert alone["parent_id"] == ""
    assert alone["trace_id"] != outer["trace_id"]


def test_many_at_once_keep_apart(recorded: Any, simulator: str) -> None:
    _, kept = recorded

    async def one(client: Any, number: int) -> str:
        with llmlab_span(f"task {number}"):
            made = await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": f"Question {number}"}]
            )
            return str(made.choices[0].message.content)

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{simulator}/v1") as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    told = asyncio.run(all_of_them())
    steps = kept.taken(40)
    for number, text in enumerate(told):
        (task,) = [step for step in steps if step["name"] == f"task {number}"]
        (call,) = [step for step in steps if step["parent_id"] == task["id"]]
        assert call["output"]["content"] == text
        assert call["input"][0]["content"] == f"Question {number}"


def test_a_running_call_tells_what_was_asked(recorded: Any, front: str) -> None:
    _, kept = recorded
    with openai.OpenAI(api_key="x", base_url=f"{front}/slow/v1") as client:
        stream: Any = client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        (step,) = kept.opened_steps
        early = dict(step.early())
        assert (early["type"], early["request_model"], early["input"]) == ("llm", "gpt-4o-mini", HI)
        assert "status" not in early
        stream.close()


def test_a_stream_left_is_given_up_after_drain_seconds(recorded: Any, front: str) -> None:
    _, kept = recorded
    with openai.OpenAI(api_key="x", base_url=f"{front}/slow/v1") as client:
        stream: Any = client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        next(iter(stream))
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 0.5  # the caller does not wait
        (step,) = kept.taken(1)
        assert 0.9 < time.monotonic() - started < 4
    assert step["status"] == "ok"
    assert step["attributes"]["stopped_reading"] is True
    assert "usage" not in step


def test_without_drain_seconds_a_stream_is_closed_at_once(front: str) -> None:
    llm, kept = keeping.recording("openai", drain_seconds=0)
    with openai.OpenAI(api_key="x", base_url=f"{front}/slow/v1") as client:
        stream: Any = client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        next(iter(stream))
        stream.close()
        (step,) = kept.taken(1, within=0)
    assert step["attributes"]["stopped_reading"] is True
    llm.uninstrument()
    llm.shutdown(0)


def test_a_cancelled_task_is_not_read_on(recorded: Any, front: str) -> None:
    _, kept = recorded

    async def reader(client: Any) -> None:
        stream = await client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        async for _ in stream:
            pass

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{front}/slow/v1") as client:
            task = asyncio.create_task(reader(client))
            await asyncio.sleep(0.4)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    (step,) = kept.taken(1, within=0)
    assert step["status"] == "ok"
    assert step["attributes"]["stopped_reading"] is True


def test_a_call_cancelled_before_its_answer_is_an_error(recorded: Any, simulator: str) -> None:
    _, kept = recorded

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{simulator}/v1") as client:
            call = client.chat.completions.create(model="gpt-4o-mini+slow", messages=HI)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.2)

    asyncio.run(main())
    (step,) = kept.taken(1, within=0)
    assert (step["status"], step["error"]["type"]) == ("error", "CancelledError")


def test_what_is_sent_differs_only_in_the_usage_asked_for(recorded: Any, front: str) -> None:
    options = {"include_obfuscation": False}
    fronts.received(front)
    with openai.OpenAI(api_key="x", base_url=f"{front}/v1") as client:
        create: Any = client.chat.completions.create
        create(model="gpt-4o-mini", messages=HI, seed=7)
        list(create(model="gpt-4o-mini", messages=HI, stream=True, stream_options=options))
    plain, streamed = fronts.received(front)
    assert plain == {"model": "gpt-4o-mini", "messages": HI, "seed": 7}
    assert streamed["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert options == {"include_obfuscation": False}


def test_stream_usage_can_be_switched_off(front: str) -> None:
    llm, kept = keeping.recording("openai", stream_usage=False)
    fronts.received(front)
    with openai.OpenAI(api_key="x", base_url=f"{front}/v1") as client:
        list(client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True))
    (streamed,) = fronts.received(front)
    assert "stream_options" not in streamed
    assert "usage" not in kept.taken(1)[0]
    llm.uninstrument()
    llm.shutdown(0)


def test_batches_are_spans_with_their_count(recorded: Any, front: str) -> None:
    _, kept = recorded
    ask: Any = {"model": "claude-opus-5-5", "max_tokens": 5, "messages": HI}
    client = anthropic.Anthropic(api_key="x", base_url=front, max_retries=0)
    with client:
        requests: Any = [{"custom_id": f"r{n}", "params": ask} for n in range(3)]
        assert client.messages.batches.create(requests=requests).id
    (step,) = kept.taken(1)
    assert (step["type"], step["name"]) == ("span", "messages.batches")
    assert step["attributes"]["requests"] == 3
    assert "input" not in step


def test_a_spent_budget_stops_the_call_before_it_is_sent(recorded: Any, chat: Any) -> None:
    llm, kept = recorded
    with llm.budget(usd="0.01") as budget:
        budget.spent_usd = budget.limit_usd
        with pytest.raises(BudgetExceeded):
            chat()
    assert kept.taken(0) == []


def test_contents_stay_in_the_process_when_told_so(chat: Any) -> None:
    with captured(capture_content=False) as exporter:
        llm = current_client()
        llm.instrument("openai")
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
        (step,) = exporter.steps
        llm.uninstrument()
    assert step["usage"]["total_tokens"] > 0
    assert not {"input", "output", "tools"} & set(step)


def test_a_client_that_is_off_costs_nothing(chat: Any) -> None:
    llm = LLMLab("llmlab_sk_x", "shop", enabled=False)
    llm.instrument("openai")
    assert chat().choices[0].message.content
    assert list(chat(stream=True))
    llm.uninstrument()


def test_a_fault_of_ours_is_not_the_programs(chat: Any) -> None:
    llm, kept = keeping.recording("openai")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    llm.start_step = broken  # type: ignore[method-assign]
    assert chat().choices[0].message.content
    assert kept.taken(0) == []
    llm.uninstrument()
    llm.shutdown(0)


def test_the_bytes_of_a_call_go_with_its_step(chat: Any) -> None:
    with captured() as exporter:
        llm = current_client()
        llm.instrument("openai")
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                chat()
            assert len(exporter.steps) == 20  # encoded, and kept as JSON only
            # The thread that encoded the last one may not have left it yet.
            deadline = time.monotonic() + 10
            while (held := _recordings()) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            gc.enable()
            llm.uninstrument()
    assert held == 0


def _recordings() -> int:
    return sum(isinstance(one, Recording) for one in gc.get_objects())


def test_closing_the_client_ends_the_reading_on(recorded: Any, front: str) -> None:
    _, kept = recorded

    async def main() -> float:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{front}/slow/v1") as client:
            stream: Any = await client.chat.completions.create(
                model="gpt-4o-mini", messages=HI, stream=True
            )
            async for _ in stream:
                break
            await stream.close()
            await asyncio.sleep(0.1)
            assert not kept.steps  # read on in the background
        return time.monotonic()

    closed_at = asyncio.run(main())
    (step,) = kept.taken(1, within=0)
    assert time.monotonic() - closed_at < 0.5
    assert step["attributes"]["stopped_reading"] is True


def test_calls_through_our_own_gateway_say_which_step_they_are_below(
    door: Door, make: Callable[..., LLMLab]
) -> None:
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": []}
    stranger = Door()
    for one in (door, stranger):
        one.rule = lambda request: (
            Reply(200, body=answer) if request["path"].startswith("/v1/") else None
        )
    llm = make(door.url)
    llm.instrument("openai")
    try:
        for url in (door.url, stranger.url):
            with openai.OpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0) as client:
                create: Any = client.chat.completions.create
                create(model="m", messages=HI)
                create(model="m", messages=HI, extra_headers={"traceparent": "theirs"})
        llm.flush(5)
    finally:
        llm.uninstrument()
        stranger.close()
    steps = {
        f"00-{item['trace_id']}-{step['id']}-01" for item in door.items for step in steps_of(item)
    }
    mine, given = [said(one) for one in door.requests if one["path"].startswith("/v1/chat")]
    assert mine in steps
    assert given == "theirs"
    assert [said(one) for one in stranger.requests] == [None, "theirs"]


def said(request: dict[str, Any]) -> str | None:
    return next(
        (value for name, value in request["headers"].items() if name.lower() == "traceparent"), None
    )


def steps_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    return item.get("steps") or [item]
