"""OpenTelemetry beside the SDK: one trace, whoever comes first, and the way to LLMLab's door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import installed
import kept as keeping
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from llmlab import LLMLab, inject
from llmlab import span as llmlab_span
from llmlab.instruments.otel import instrument_otel, otel_exporter
from llmlab.instruments.otel_context import part_contexts


class World:
    """A client that keeps, a tracer, and what its spans became."""

    def __init__(self) -> None:
        self.llm, self.kept = keeping.recording("openai", "anthropic")
        self.exporter = InMemorySpanExporter()
        self.provider = instrument_otel(self.llm, TracerProvider(), exporter=self.exporter)
        self.tracer = self.provider.get_tracer("my.app")

    def span(self, name: str) -> dict[str, str]:
        self.provider.force_flush()
        (found,) = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return {
            "id": format_span_id(found.context.span_id),
            "trace_id": format_trace_id(found.context.trace_id),
            "parent_id": format_span_id(found.parent.span_id) if found.parent else "",
        }

    def names(self) -> list[str]:
        self.provider.force_flush()
        return [span.name for span in self.exporter.get_finished_spans()]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.llm.uninstrument()
    made.provider.shutdown()
    part_contexts()


def test_spans_and_steps_nest_in_each_other(world: World) -> None:
    with llmlab_span("outer"):
        with world.tracer.start_as_current_span("middle"):
            with llmlab_span("inner"), world.tracer.start_as_current_span("innermost"):
                pass
            with llmlab_span("sibling"):
                pass
            with world.tracer.start_as_current_span("nested"):
                pass
        with llmlab_span("last"):
            pass
    steps = {step["name"]: step for step in world.kept.taken(4)}
    middle, innermost = world.span("middle"), world.span("innermost")
    assert middle["parent_id"] == steps["outer"]["id"]
    assert steps["inner"]["parent_id"] == steps["sibling"]["parent_id"] == middle["id"]
    assert world.span("nested")["parent_id"] == middle["id"]
    assert innermost["parent_id"] == steps["inner"]["id"]
    assert steps["last"]["parent_id"] == steps["outer"]["id"]
    traces = {one["trace_id"] for one in (*steps.values(), middle, innermost)}
    assert len(traces) == 1


def test_a_span_may_be_the_top(world: World) -> None:
    with world.tracer.start_as_current_span("request"), llmlab_span("work"):
        headers = inject({})
    (step,) = world.kept.taken(1)
    request = world.span("request")
    assert (step["trace_id"], step["parent_id"]) == (request["trace_id"], request["id"])
    assert headers["traceparent"] == f"00-{request['trace_id']}-{step['id']}-01"


def test_nothing_is_current_after_the_blocks(world: World) -> None:
    with world.tracer.start_as_current_span("one"), llmlab_span("work"):
        pass
    assert not trace.get_current_span().get_span_context().is_valid
    with llmlab_span("two"):
        pass
    one, two = world.kept.taken(2)
    assert two["parent_id"] == ""
    assert one["trace_id"] != two["trace_id"]


def test_a_context_without_a_new_span_changes_nothing(world: World) -> None:
    with llmlab_span("outer"):
        token = context.attach(baggage.set_baggage("tenant", "a"))
        with llmlab_span("inner"):
            assert baggage.get_baggage("tenant") == "a"
        context.detach(token)
    inner, outer = world.kept.taken(2)
    assert inner["parent_id"] == outer["id"]


def test_tasks_beside_each_other_have_their_own_parents(world: World) -> None:
    async def work(name: str) -> None:
        with world.tracer.start_as_current_span(f"span {name}"):
            await asyncio.sleep(0.01)
            with llmlab_span(f"step {name}"):
                await asyncio.sleep(0.01)

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    for step in world.kept.taken(2):
        assert step["parent_id"] == world.span(step["name"].replace("step", "span"))["id"]


def test_spans_of_calls_that_are_recorded_here_are_left_out(world: World) -> None:
    theirs = world.provider.get_tracer("openinference.instrumentation.openai")
    mine = world.tracer.start_as_current_span("mine")
    with mine, theirs.start_as_current_span("ChatCompletion"), llmlab_span("below"):
        pass
    assert world.names() == ["mine"]
    (step,) = world.kept.taken(1)
    assert step["parent_id"] == world.span("mine")["id"]
    world.llm.uninstrument()
    with theirs.start_as_current_span("ChatCompletion"):
        pass
    assert world.names() == ["mine", "ChatCompletion"]


def test_an_unsampled_trace_is_unsampled_for_both() -> None:
    llm, kept = keeping.recording(sample_rate=0.0)
    exporter = InMemorySpanExporter()
    provider = instrument_otel(llm, TracerProvider(), exporter=exporter)
    try:
        with llmlab_span("outer"), provider.get_tracer("x").start_as_current_span("inner"):
            pass
        provider.force_flush()
        assert exporter.get_finished_spans() == ()
    finally:
        kept.taken(1)
        provider.shutdown()
        part_contexts()


def test_the_exporter_knocks_at_llmlabs_door_with_the_key() -> None:
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["authorization"], self.headers["content-type"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    llm = LLMLab("llmlab_sk_key", "shop", base_url=f"http://127.0.0.1:{server.server_port}/")
    try:
        provider = llm.instrument_otel(TracerProvider())
        with provider.get_tracer("x").start_as_current_span("work"):
            pass
        assert provider.force_flush()
        provider.shutdown()
        assert asked == [("/v1/traces", "Bearer llmlab_sk_key", "application/x-protobuf")]
        assert type(otel_exporter(llm)).__name__ == "OTLPSpanExporter"
    finally:
        llm.shutdown(0)
        server.shutdown()
        server.server_close()
        thread.join()
        part_contexts()


def test_llamaindex_is_one_trace_with_the_steps(simulator: str) -> None:
    told = json.loads(installed.output_of("llamaindex", "llamaindex_program.py", simulator))
    steps = {step["name"]: step for step in told["steps"]}
    spans = {span["id"]: span for span in told["spans"]}
    assert {one["trace_id"] for one in (*steps.values(), *spans.values())} == {
        steps["answer"]["trace_id"]
    }
    (top,) = [span for span in spans.values() if span["parent_id"] == steps["answer"]["id"]]
    assert top["name"] == "OpenAI.complete"
    # The call itself was recorded by the openai client, below LlamaIndex's innermost span.
    assert steps["chat"]["parent_id"] in spans
    assert steps["chat"]["output"]["content"] == told["text"]
