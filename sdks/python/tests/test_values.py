"""Whatever a program hands over, it runs on, and what is sent is JSON the server can read."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
import uuid
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from door import Door

from llmlab import LLMLab, score, span, trace, update_current
from llmlab.snapshot import snapshot
from llmlab.testing import TestExporter, captured
from llmlab.values import dumps, finished


@pytest.fixture
def record() -> Iterator[TestExporter]:
    with captured(sample_rate=1) as exporter:
        yield exporter


def sent(value: Any) -> Any:
    """The value as the server reads it."""
    return json.loads(dumps(finished(snapshot(value)[0], None)))


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: Any


class Model:
    """Like pydantic's."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        return {"mode": mode, **self.values}


class Dictable:
    def to_dict(self) -> dict[str, Any]:
        return {"kind": "dictable"}


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


class Unpicklable:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle")

    def __repr__(self) -> str:
        return "<Unpicklable>"


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("0.10"), "0.10"),
        (b"12345", "[bytes: 5]"),
        (bytearray(3), "[bytes: 3]"),
        (memoryview(b"ab"), "[bytes: 2]"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (dt.datetime(2026, 11, 21, 9, tzinfo=dt.timezone.utc), "2026-11-21T09:00:00+00:00"),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (dt.timedelta(seconds=90), "0:01:30"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Path("/a/b"), "/a/b"),
        (Colour.RED, "red"),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (Model(a=1), {"mode": "json", "a": 1}),
        (Dictable(), {"kind": "dictable"}),
        (Pair(1, 2), {"a": 1, "b": 2}),
        ({1}, [1]),
        (deque([1, 2]), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
        (Unpicklable(), "<Unpicklable>"),
        (Fraction(1, 3), "Fraction(1, 3)"),
        (ValueError("bad"), "ValueError: bad"),
        (int, "builtins.int"),
        ("a\ud800b", "a?b"),
        (range(2), "range(0, 2)"),
    ],
    ids=repr,
)
def test_values_become_json(value: Any, expected: Any) -> None:
    assert sent(value) == expected


def test_objects_that_refuse_to_be_read() -> None:
    found = sent({"rude": Rude(), "ok": 1})
    assert found["ok"] == 1
    assert found["rude"].startswith("[unreadable: Rude")


def test_circles_and_depth() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert sent(circle) == ["[circular]"]
    point = Point(1, None)
    point.y = point
    assert sent(point) == {"x": 1, "y": "[circular]"}
    shared = {"a": 1}
    assert sent([shared, shared]) == [{"a": 1}, {"a": 1}]
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    assert json.dumps(sent(deep)).count("[") == 21  # 20 lists and the word "[deep]"


def test_a_chain_of_objects_that_never_ends() -> None:
    class Chain:
        def to_dict(self) -> dict[str, Any]:
            return {"next": Chain()}

    assert "[deep]" in json.dumps(sent(Chain()))


def test_large_values_are_bounded() -> None:
    assert sent(list(range(20_000)))[-1] == "[cut: 10000 items]"
    assert len(sent(dict.fromkeys(map(str, range(20_000)), 1))) == 10_001
    assert sent("x" * 1_048_579) == "x" * 1_048_576 + "…[cut: 3 characters]"
    assert len(sent(type("R", (), {"__repr__": lambda self: "r" * 5_000})())) == 1_000
    wide = [[{"a": 1} for _ in range(1_000)] for _ in range(1_000)]
    begin = time.perf_counter()
    snapshot(wide)
    assert time.perf_counter() - begin < 2
    assert sent(10**5_000).startswith("0x")


def test_what_changes_after_the_call_was_recorded_before(record: TestExporter) -> None:
    messages = [{"role": "user", "content": "first"}]
    metadata = {"n": 1}
    model = Point(1, ["before"])
    with span("a", input=messages) as step:
        step.update(output=model, metadata=metadata)
        messages[0]["content"] = "changed"
        messages.append({"role": "assistant", "content": "late"})
        metadata["n"] = 2
        model.y.append("after")
    step_sent = record.step("a")
    assert step_sent["input"] == [{"role": "user", "content": "first"}]
    assert step_sent["output"] == {"x": 1, "y": ["before"]}
    assert step_sent["metadata"] == {"n": 1}


def test_hostile_values_everywhere_reach_the_server(door: Door, llm: LLMLab) -> None:
    circle: dict[str, Any] = {}
    circle["me"] = circle
    hostile = {"c": circle, "b": b"x", "n": float("nan"), "d": Decimal(1), "h": 10**50, "r": Rude()}

    @trace(metadata=hostile, tags=[Rude(), "t"], user=Rude(), session=7)  # type: ignore[list-item, arg-type]
    def work(**anything: Any) -> Any:
        update_current(metadata=hostile, output=hostile, usage=hostile, tags=Rude())  # type: ignore[arg-type]
        score("s", float("nan"), metadata=hostile, reason=Rude())
        return hostile

    assert work(**hostile) is hostile
    with span(Rude(), type=Rude(), model=Rude()):  # type: ignore[call-overload]
        pass
    llm.end_step(llm.start_step("e"), error=Rude())  # type: ignore[arg-type]
    assert llm.flush()
    assert door.step("work")["input"]["h"] == str(10**50)
    assert door.step("work")["output"]["c"] == {"me": "[circular]"}
    assert len(door.scores) == 1
    assert len(door.steps) == 3


def test_a_prompt_of_4_mb(door: Door, llm: LLMLab) -> None:
    text = "ä" * 4_000_000
    lengths = []
    for name in ("warm", "big", "other"):
        begin = time.perf_counter()
        llm.end_step(llm.start_step(name, "llm", fields={"input": [{"content": text}]}))
        lengths.append(time.perf_counter() - begin)
    assert min(lengths) < 0.001
    assert llm.flush()
    assert door.step("big")["input"][0]["content"].endswith("…[cut: 2951424 characters]")


def test_a_clock_off_by_a_day(record: TestExporter) -> None:
    from llmlab.client import clients

    client = clients[-1]
    tomorrow = time.time_ns() + 86_400 * 10**9
    step = client.start_step("a", started_ns=tomorrow)
    client.end_step(step)
    late = client.start_step("b", started_ns=tomorrow)
    client.end_step(late, ended_ns=tomorrow - 5)
    weird = client.start_step("c", started_ns=10**30)
    client.end_step(weird, ended_ns=-1)
    for name in "abc":
        found = record.step(name)
        assert found["started_at"] <= found["ended_at"]
        assert len(found["started_at"]) == 27


def test_late_parts_that_fail_cost_only_themselves(
    record: TestExporter, caplog: pytest.LogCaptureFixture
) -> None:
    from llmlab.client import clients

    client = clients[-1]
    for late in (lambda: 1 / 0, lambda: None, lambda: "text", lambda: {1: 2}, lambda: {"error": 5}):
        client.end_step(client.start_step("a", "llm"), late=late)  # type: ignore[arg-type]
    good = client.start_step("b", "llm", early=lambda: {"model": "early"})
    client.end_step(
        good,
        fields={"model": "mine"},
        late=lambda: {
            "model": "late",
            "error": {"type": "T", "message": "m"},
            "attributes": {"x": 1},
        },
    )
    assert len(record.steps) == 6
    found = record.step("b")
    assert (found["model"], found["status"], found["attributes"]) == ("late", "error", {"x": 1})
    assert found["error"] == {"type": "T", "message": "m"}


def test_sending_in_the_middle_of_an_event_loop(door: Door, llm: LLMLab) -> None:
    async def main() -> bool:
        async with trace("a"):
            pass
        return await llm.aflush()

    assert asyncio.run(main())
    assert door.step("a")["status"] == "ok"


def test_snapshot_is_cheap() -> None:
    vector = [0.5] * 1_536
    begin = time.perf_counter()
    for _ in range(100):
        snapshot({"embedding": vector})
    assert (time.perf_counter() - begin) / 100 < 0.002


Make = Callable[..., LLMLab]


def test_nothing_raises_whatever_is_misused(make: Make) -> None:
    client = make("http://127.0.0.1:9", timeout=0.1)
    step = client.start_step(None)  # type: ignore[arg-type]
    client.end_step(step)
    client.end_step(step)
    client.score(None, object())  # type: ignore[arg-type]
    client.update_trace(step, metadata=7, tags=9)  # type: ignore[arg-type]
    client.start_step("x", fields={"attributes": 7, 5: 6})  # type: ignore[dict-item]
    client.start_step("x", fields=7)  # type: ignore[arg-type]
    update_current(nonsense=Rude())
    assert isinstance(client.stats(), dict)
