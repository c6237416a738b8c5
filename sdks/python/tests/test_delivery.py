"""Steps reach the server, whatever it answers first."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from door import Door, Reply

from llmlab import LLMLab, score, span, trace, update_current

Make = Callable[..., LLMLab]


def test_a_trace_arrives_as_the_contract_says(door: Door, make: Make) -> None:
    llm = make(door.url, environment="test", release="1.2", flush_interval=60)
    with trace("answer", user="u1", session="s1", tags=["a"], metadata={"k": 1}) as root:
        with span("search", type="retrieval", input={"q": "x"}) as inner:
            inner.update(output=["doc"])
        update_current(tags=["b"], metadata={"m": 2}, output="done")
    assert llm.flush()
    request = door.requests[0]
    assert request["path"] == "/api/v1/projects/shop/traces"
    assert request["headers"]["authorization"] == "Bearer llmlab_sk_test"
    assert request["headers"]["user-agent"] == "llmlab-python/0.2.0"
    assert request["headers"]["content-encoding"] == "gzip"
    (item,) = request["body"]["traces"]
    search, answer = item.pop("steps")
    assert item == {
        "trace_id": root.trace_id,
        "root_id": root.id,
        "name": "answer",
        "status": "ok",
        "started_at": answer["started_at"],
        "ended_at": answer["ended_at"],
        "user": "u1",
        "session": "s1",
        "tags": ["a", "b"],
        "environment": "test",
        "release": "1.2",
        "metadata": {"k": 1, "m": 2},
    }
    assert search == {
        "id": inner.id,
        "parent_id": root.id,
        "type": "retrieval",
        "name": "search",
        "status": "ok",
        "started_at": search["started_at"],
        "ended_at": search["ended_at"],
        "input": {"q": "x"},
        "output": ["doc"],
    }
    assert "parent_id" not in answer
    assert answer["type"] == "agent"
    assert answer["output"] == "done"
    assert answer["started_at"] <= search["started_at"] <= search["ended_at"] <= answer["ended_at"]
    assert len(answer["started_at"]) == len("2026-11-21T12:00:00.000000Z")


def test_nothing_is_sent_before_the_interval_and_all_after_it(door: Door, make: Make) -> None:
    llm = make(door.url, flush_interval=0.4)
    begin = time.monotonic()
    for _ in range(3):
        llm.end_step(llm.start_step("a"))
    door.wait(3)
    assert 0.3 < door.requests[0]["at"] - begin < 2
    assert len(door.requests) == 1


def test_a_full_batch_is_sent_at_once(door: Door, make: Make) -> None:
    llm = make(door.url, flush_at=10, flush_interval=60)
    for _ in range(25):
        llm.end_step(llm.start_step("a"))
    door.wait(20, timeout=3)
    assert llm.flush()
    assert len(door.steps) == 25
    assert all(len(r["body"]["traces"]) <= 10 for r in door.requests)


def test_running_steps_are_announced_once_and_end_later(door: Door, make: Make) -> None:
    llm = make(door.url, live_interval=0.1, flush_interval=30)
    with trace("long", input="q"):
        with span("child"):
            pass
        until = time.monotonic() + 5
        while not door.running and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.4)
        (announced,) = door.running
        assert announced["name"] == "long"
        assert announced["input"] == "q"
        assert "ended_at" not in announced
        assert all(item["status"] == "running" for item in door.items)
        assert [step["name"] for step in door.steps] == ["child"]
    assert llm.flush()
    assert door.step("long")["status"] == "ok"
    assert len(door.running) == 1
    assert llm.stats()["announced"] == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 408])
def test_busy_servers_get_it_again(status: int, door: Door, make: Make) -> None:
    llm = make(door.url)
    door.replies = [Reply(status), Reply(status)]
    llm.end_step(llm.start_step("a"))
    assert llm.flush(10)
    assert [step["name"] for step in door.steps] == ["a"]
    assert len(door.requests) == 3
    assert llm.stats()["retries"] == 2
    assert llm.stats()["sent"] == 1


def test_retry_after_is_honoured_also_by_flush(door: Door, make: Make) -> None:
    llm = make(door.url)
    door.replies = [Reply(429, {"Retry-After": "1"})]
    llm.end_step(llm.start_step("a"))
    door_was_asked = time.monotonic() + 5
    while not door.requests and time.monotonic() < door_was_asked:
        time.sleep(0.01)
    assert not llm.flush(0.2)
    assert llm.flush(5)
    assert door.requests[1]["at"] - door.requests[0]["at"] >= 1


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refused the key"), (403, "refused the key"), (404, "no project")]
)
def test_a_wrong_key_is_told_once_and_kept(
    status: int, words: str, door: Door, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    llm = make(door.url)
    door.rule = lambda request: Reply(status)
    for _ in range(3):
        llm.end_step(llm.start_step("a"))
        llm.flush(0.1)
    assert caplog.text.count(words) == 1
    assert llm.stats()["waiting"] == 3
    door.rule = lambda request: None
    assert llm.flush()
    assert len(door.steps) == 3


def test_a_refused_body_is_dropped_and_told(
    door: Door, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    llm = make(door.url)
    door.replies = [Reply(400, body={"detail": "metadata is wrong", "code": "invalid_body"})]
    llm.end_step(llm.start_step("a"))
    assert llm.flush()
    llm.end_step(llm.start_step("b"))
    assert llm.flush()
    assert [step["name"] for step in door.steps] == ["b"]
    assert "metadata is wrong" in caplog.text
    assert llm.stats()["rejected"] == 1


def test_single_refused_steps_are_told_once_a_code(
    door: Door, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    llm = make(door.url)

    def refuse(request: dict[str, Any]) -> Reply:
        results = [
            {
                "index": index,
                "trace_id": item["trace_id"],
                "status": 207,
                "result": "partial",
                "rejected": [
                    {
                        "index": 0,
                        "id": item["steps"][0]["id"],
                        "code": "invalid_field",
                        "detail": "no",
                    }
                ],
            }
            for index, item in enumerate(request["body"]["traces"])
        ]
        return Reply(207, body={"results": results})

    door.rule = refuse
    for _ in range(4):
        llm.end_step(llm.start_step("a"))
    assert llm.flush()
    assert llm.stats()["rejected"] == 4
    assert llm.stats()["sent"] == 0
    assert caplog.text.count("invalid_field") == 1


def test_too_large_batches_are_halved(door: Door, make: Make) -> None:
    llm = make(door.url, flush_interval=60)
    door.rule = lambda request: Reply(413) if len(request["body"]["traces"]) > 3 else None
    for index in range(16):
        llm.end_step(llm.start_step(str(index)))
    assert llm.flush()
    assert [step["name"] for step in door.steps] == [str(index) for index in range(16)]


def test_a_too_large_step_loses_its_contents(door: Door, make: Make) -> None:
    llm = make(door.url)
    door.rule = lambda request: Reply(413) if request["bytes"] > 5_000 else None
    llm.end_step(llm.start_step("big", "llm", fields={"input": "x" * 10_000, "model": "m"}))
    llm.end_step(llm.start_step("small"))
    assert llm.flush()
    assert door.step("big")["input"] == "[cut: 10002 bytes]"
    assert door.step("big")["model"] == "m"
    assert door.step("small")["status"] == "ok"


def test_a_step_too_large_without_contents_is_dropped(door: Door, make: Make) -> None:
    llm = make(door.url)
    door.rule = lambda request: Reply(413) if request["bytes"] > 5_000 else None
    llm.end_step(llm.start_step("big", fields={"metadata": {"m": "x" * 10_000}}))
    assert llm.flush()
    assert door.steps == []
    assert llm.stats()["rejected"] == 1


def test_a_dead_server_costs_little_and_comes_back(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    llm = make(f"http://127.0.0.1:{port}")
    begin = time.perf_counter()
    for _ in range(200):
        llm.end_step(llm.start_step("a", fields={"input": {"q": "hello"}}))
    assert (time.perf_counter() - begin) / 200 < 0.001
    assert not llm.flush(0.5)
    assert caplog.text.count("cannot be reached") == 1
    door = Door(port)
    try:
        assert llm.flush(20)
        assert len(door.steps) == 200
    finally:
        door.close()


def test_a_slow_server_times_out_and_gets_it_again(door: Door, make: Make) -> None:
    llm = make(door.url, timeout=0.3)
    door.replies = [Reply(0, delay=1.0)]
    begin = time.perf_counter()
    llm.end_step(llm.start_step("a"))
    assert time.perf_counter() - begin < 0.05
    assert llm.flush(10)
    ids = {step["id"] for step in door.steps}
    assert len(ids) == 1
    assert len(door.requests) >= 2


def test_a_server_that_closes_kept_connections_silently(door: Door, llm: LLMLab) -> None:
    door.hangs_up = True
    for name in "abc":
        llm.end_step(llm.start_step(name))
        assert llm.flush()
        time.sleep(0.05)
    assert [step["name"] for step in door.steps] == ["a", "b", "c"]
    assert llm.stats()["retries"] == 0


def test_scores_go_to_their_own_door(door: Door, llm: LLMLab) -> None:
    with trace("a") as step:
        first = score("helpful", 0.8, reason="good", metadata={"by": "test"})
    llm.score("thumbs", True, trace_id="t" * 32, id="mine", comment="why not")
    assert llm.flush()
    assert [r["path"] for r in door.requests if "scores" in r["path"]] == [
        "/api/v1/projects/shop/scores"
    ]
    assert door.scores == [
        {
            "id": first,
            "trace_id": step.trace_id,
            "name": "helpful",
            "value": 0.8,
            "reason": "good",
            "metadata": {"by": "test"},
        },
        {"id": "mine", "trace_id": "t" * 32, "name": "thumbs", "value": True, "reason": "why not"},
    ]


def test_a_root_split_from_its_children_is_not_ended_early(door: Door, make: Make) -> None:
    """An item that says "ok" before the root's own step came would freeze the root without output."""
    llm = make(door.url, flush_interval=60)
    with trace("root") as root:
        for _ in range(6):
            with span("child", output="x" * 1_000_000):
                pass
        root.update(output="x")
    assert llm.flush()
    assert len(door.requests) == 2  # 4 MiB each at most
    for item in door.items:
        has_root = any(step["id"] == root.id for step in item["steps"])
        assert item["status"] == ("ok" if has_root else "running")
        assert item["root_id"] == root.id


def test_shutdown_stops_and_tells_what_is_lost(
    caplog: pytest.LogCaptureFixture, make: Make
) -> None:
    llm = make("http://127.0.0.1:9", timeout=0.2)
    llm.end_step(llm.start_step("a"))
    assert llm.shutdown(0.3) is False
    assert llm.stats()["lost"] == 1
    assert "ended: 1." in caplog.text
    llm.end_step(llm.start_step("b"))
    assert llm.stats()["waiting"] == 1


def test_an_idle_client_starts_no_thread_and_shuts_down_at_once(door: Door, make: Make) -> None:
    llm = make(door.url)
    assert llm.delivery._threads == []
    begin = time.perf_counter()
    assert llm.shutdown()
    assert time.perf_counter() - begin < 0.1
    assert door.requests == []
