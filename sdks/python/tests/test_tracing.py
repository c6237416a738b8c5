"""Parents are right everywhere, and what is decorated stays what it is."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from llmlab import (
    LLMLab,
    current_step,
    current_trace_id,
    extract,
    generation,
    inject,
    propagate,
    retrieval,
    span,
    tool,
    trace,
    update_current,
)
from llmlab.testing import TestExporter, captured


@pytest.fixture
def record() -> Iterator[TestExporter]:
    with captured(sample_rate=1) as exporter:
        yield exporter


def parents(record: TestExporter) -> dict[str, str | None]:
    """Name of each step → name of its parent."""
    names = {step["id"]: step["name"] for step in record.steps}
    return {step["name"]: names.get(step.get("parent_id", "")) for step in record.steps}


def one_trace(record: TestExporter) -> bool:
    return len({step["trace_id"] for step in record.steps}) == 1


def test_functions_nest(record: TestExporter) -> None:
    @tool
    def inner(a: int, *rest: int, key: str = "k") -> int:
        return a + sum(rest)

    @trace(name="outer", tags=["t"], user="u", session="s", metadata={"m": 1})
    def outer(x: int) -> int:
        return inner(x, 2, 3, key="z")

    assert outer(1) == 6
    assert parents(record) == {"inner": "outer", "outer": None}
    assert record.step("inner")["input"] == {"a": 1, "args": [2, 3], "key": "z"}
    assert record.step("inner")["output"] == 6
    assert record.step("inner")["type"] == "tool"
    assert record.step("outer")["type"] == "agent"
    (item,) = record.traces.values()
    assert (item["name"], item["user"], item["session"], item["tags"]) == ("outer", "u", "s", ["t"])
    assert item["metadata"] == {"m": 1}
    assert current_step() is None


def test_context_managers_nest_and_keep_what_is_said(record: TestExporter) -> None:
    with trace("a") as a:
        assert current_trace_id() == a.trace_id
        with generation("b", model="m", provider="openai", input=["hi"]) as b:
            assert current_step() is b
            update_current(output="ho", usage={"prompt_tokens": 1}, user="u2", name="b2")
        assert current_step() is a
        with retrieval("c"):
            pass
    assert current_trace_id() is None
    assert parents(record) == {"b2": "a", "c": "a", "a": None}
    step = record.step("b2")
    assert (step["type"], step["model"], step["input"], step["output"]) == (
        "llm",
        "m",
        ["hi"],
        "ho",
    )
    assert step["usage"] == {"prompt_tokens": 1}
    (item,) = record.traces.values()
    assert (item["name"], item["user"]) == ("a", "u2")


def test_errors_are_recorded_and_raised(record: TestExporter) -> None:
    @span
    def fails() -> None:
        raise ValueError("no such order")

    with pytest.raises(ValueError, match="no such order"), trace("root"):
        fails()
    error = {"type": "ValueError", "message": "no such order"}
    assert [(s["name"], s["status"], s["error"]) for s in record.steps] == [
        ("fails", "error", error),
        ("root", "error", error),
    ]
    assert current_step() is None


def test_methods_leave_their_object_out(record: TestExporter) -> None:
    class Agent:
        @trace
        def ask(self, q: str) -> str:
            return q

        @classmethod
        @span
        def build(cls, x: int) -> int:
            return x

        @span
        @classmethod
        def other(cls, z: int) -> int:
            return z

        @span
        @staticmethod
        def add(a: int) -> int:
            return a

    assert (Agent().ask("hi"), Agent.build(1), Agent.add(2), Agent.other(3)) == ("hi", 1, 2, 3)
    assert record.step("other")["input"] == {"z": 3}
    assert record.step("ask")["input"] == {"q": "hi"}
    assert record.step("build")["input"] == {"x": 1}
    assert record.step("add")["input"] == {"a": 2}


def test_classes_are_left_alone(record: TestExporter, caplog: pytest.LogCaptureFixture) -> None:
    @trace
    class Thing:
        pass

    assert isinstance(Thing(), Thing)
    assert "classes are not recorded" in caplog.text


def test_coroutines_and_tasks(record: TestExporter) -> None:
    @span
    async def work(name: str) -> str:
        with span(f"inside {name}"):
            await asyncio.sleep(0.01)
        return name

    @trace
    async def root() -> list[str]:
        task = asyncio.create_task(work("t"))
        found = await asyncio.gather(work("a"), work("b"))
        async with span("block"):
            await asyncio.to_thread(span("threaded")(lambda: None))
        return [*found, await task]

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(root()) == ["a", "b", "t"]
    assert one_trace(record)
    names = {step["id"]: step for step in record.steps}
    for letter in "abt":
        inside = record.step(f"inside {letter}")
        above = names[inside["parent_id"]]
        assert (above["name"], above["output"]) == ("work", letter)
    assert parents(record)["work"] == "root"
    assert parents(record)["block"] == "root"
    assert parents(record)["threaded"] == "block"


def test_a_cancelled_task_ends_its_step(record: TestExporter) -> None:
    @span
    async def slow() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert record.step("slow")["error"]["type"] == "CancelledError"


def test_generators_end_when_they_do(record: TestExporter) -> None:
    @span
    def words(n: int) -> Iterator[str]:
        for index in range(n):
            with span(f"word {index}"):
                yield str(index)
                with span(f"after {index}"):
                    pass

    assert inspect.isgeneratorfunction(words)
    with trace("reader"):
        seen = []
        for word in words(3):
            seen.append(word)
            with span(f"reading {word}"):
                assert "words" not in [step["name"] for step in record.steps]
    assert seen == ["0", "1", "2"]
    assert record.step("words")["output"] == "012"
    found = parents(record)
    assert {name: found[name] for name in ("words", "word 1", "after 1", "reading 1")} == {
        "words": "reader",
        "word 1": "words",
        "after 1": "word 1",
        "reading 1": "reader",
    }


def test_generators_take_send_throw_and_return(record: TestExporter) -> None:
    @span
    def talk() -> Any:
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"
        return "end"

    gen = talk()
    assert next(gen) == 1
    assert gen.send("x") == "x"
    assert gen.throw(KeyError("k")) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(gen)
    assert stop.value.value == "end"
    assert record.step("talk")["output"] == [1, "x", "caught"]


def test_a_reader_that_leaves_ends_the_generator(record: TestExporter) -> None:
    closed = []

    @span
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(current_step())

    for _ in endless():
        break
    assert record.step("endless")["status"] == "ok"
    assert [step.name for step in closed if step] == ["endless"]
    assert current_step() is None


def test_a_generator_that_fails(record: TestExporter) -> None:
    @span
    def bad() -> Iterator[int]:
        yield 1
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        list(bad())
    step = record.step("bad")
    assert (step["output"], step["error"]["message"]) == ([1], "halfway")


def test_async_generators(record: TestExporter) -> None:
    @span
    async def stream() -> AsyncIterator[str]:
        for part in ("a", "b", "c"):
            await asyncio.sleep(0)
            with span(f"part {part}"):
                yield part
                with span(f"after {part}"):
                    pass

    @trace
    async def read_all() -> str:
        text = ""
        async for part in stream():
            text += part
            with span(f"got {part}"):
                pass
        return text

    @trace
    async def read_one() -> None:
        gen = stream()
        async for _ in gen:
            break
        await gen.aclose()  # type: ignore[attr-defined]

    assert inspect.isasyncgenfunction(stream)
    assert asyncio.run(read_all()) == "abc"
    assert record.step("stream")["output"] == "abc"
    found = parents(record)
    assert (found["stream"], found["part b"], found["got b"]) == ("read_all", "stream", "read_all")
    assert found["after b"] == "part b"
    record.clear()
    asyncio.run(read_one())
    assert record.step("stream")["output"] == "a"
    assert record.step("stream")["status"] == "ok"


def test_functions_that_hand_out_generators(record: TestExporter) -> None:
    @span
    def make(n: int) -> Iterator[int]:
        return (x for x in range(n))

    with trace("root"):
        gen = make(3)
    assert [step["name"] for step in record.steps] == ["root"]
    assert list(gen) == [0, 1, 2]
    assert record.step("make")["output"] == [0, 1, 2]
    assert parents(record)["make"] == "root"


def test_decorated_generators_work_as_context_managers(record: TestExporter) -> None:
    @contextmanager
    @span
    def resource() -> Iterator[int]:
        yield 7

    with resource() as value:
        assert value == 7
    assert record.step("resource")["output"] == [7]


def test_threads_follow_when_propagated(record: TestExporter) -> None:
    @span
    def work(n: int) -> int:
        return n

    with trace("root"):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(propagate(work), range(20))) == list(range(20))
        thread = threading.Thread(target=propagate(work), args=(99,))
        thread.start()
        thread.join()
        alone = threading.Thread(target=work, args=(100,))
        alone.start()
        alone.join()
    root = record.step("root")
    under = [s["output"] for s in record.steps if s.get("parent_id") == root["id"]]
    assert sorted(under) == [*range(20), 99] or sorted(under) == [
        *range(20),
        99,
        100,
    ]  # 3.14 inherits


def test_pools_that_carry_the_context(record: TestExporter) -> None:
    from llmlab.threads import ContextThreadPoolExecutor

    with ContextThreadPoolExecutor(2) as pool, trace("root"):
        future = pool.submit(span("work")(lambda: current_trace_id()))
        assert future.result() == current_trace_id()
    assert parents(record) == {"work": "root", "root": None}


def test_one_recorder_entered_by_many_threads(record: TestExporter) -> None:
    shared = span("shared")
    gate = threading.Barrier(4)

    def work(number: int) -> None:
        with trace(f"root {number}"), shared:
            gate.wait()
            with span(f"leaf {number}"):
                gate.wait()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_id = {step["id"]: step for step in record.steps}
    for number in range(4):
        leaf = record.step(f"leaf {number}")
        shared_step = by_id[leaf["parent_id"]]
        assert by_id[shared_step["parent_id"]]["name"] == f"root {number}"


def test_traceparent_goes_out_and_comes_in(record: TestExporter) -> None:
    with trace("caller") as caller:
        headers = inject({"X": "1"})
    assert headers == {"X": "1", "traceparent": f"00-{caller.trace_id}-{caller.id}-01"}
    with extract(headers), trace("called") as called:
        assert called.trace_id == caller.trace_id
        with span("inner"):
            pass
    assert record.step("called")["parent_id"] == caller.id
    item = next(i for i in record.items if i["root_id"] == called.id)
    assert item["parent_id"] == caller.id
    assert item["trace_id"] == caller.trace_id
    assert inject({}) == {}


@pytest.mark.parametrize("headers", [
    {}, {"traceparent": "x"}, {"traceparent": "00-" + "0" * 32 + "-" + "1" * 16 + "-01"}, None, 7,
    {"traceparent": "ff-" + "1" * 32 + "-" + "1" * 16 + "-01"}, [("a",)], {"traceparent": None},
])  # fmt: skip
def test_headers_without_a_parent_change_nothing(headers: Any, record: TestExporter) -> None:
    with extract(headers), trace("alone"):
        pass
    assert "parent_id" not in record.step("alone")


def test_headers_of_many_kinds(record: TestExporter) -> None:
    value = f"00-{'a' * 32}-{'b' * 16}-01"
    for headers in (
        {"Traceparent": value},
        [(b"traceparent", value.encode())],
        {"HTTP_TRACEPARENT": value},
        value,
    ):
        with extract(headers), trace("t") as step:
            assert step.trace_id == "a" * 32


def test_capture_off_hides_this_step_and_all_below(record: TestExporter) -> None:
    @trace(capture=False)
    def secret(x: str) -> str:
        with span("below", input="hidden too", model="m"):
            pass
        return x

    secret("hidden")
    assert record.step("below")["model"] == "m"
    assert "hidden" not in str(record.items)


def test_capture_content_off_keeps_facts(make: Callable[..., LLMLab]) -> None:
    with captured(capture_content=False) as record:

        @trace
        def ask(q: str) -> str:
            with generation("g", input="secret", output="secret", tools=["secret"], model="m"):
                raise ValueError("secret")

        with pytest.raises(ValueError, match="secret"):
            ask("secret")
        assert "secret" not in str(record.items)
        assert record.step("g")["model"] == "m"
        assert record.step("g")["error"] == {"type": "ValueError"}


def test_off_means_the_function_alone(
    caplog: pytest.LogCaptureFixture, make: Callable[..., LLMLab]
) -> None:
    client = make("http://127.0.0.1:9", enabled=False)

    @trace
    def f(x: int) -> int:
        assert current_step() is None
        return x

    assert f(3) == 3
    assert client.flush() is True
    assert not client.is_on
    assert caplog.text == ""


def test_without_a_key_it_says_so_once_and_runs(caplog: pytest.LogCaptureFixture) -> None:
    @trace
    def f() -> int:
        with span("x"):
            return 1

    assert [f(), f()] == [1, 1]
    assert caplog.text.count("LLMLAB_API_KEY and LLMLAB_PROJECT missing") == 1
