"""A program as a team would write it: official SDK, one instrumentation, OTLP batch exporter. Run in its own process.

`python -m tests.functional.instrumented <instrumentation> <provider address> <collector address> <key>` runs every
scenario and prints, as JSON, what the SDK was told: trace id, model, usage, text or error.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTION = "Where is my order 55180? It should have arrived on Monday."
SYSTEM = "You answer customers of a shop. " + "Be exact, kind and short. " * 300
TOOL = {
    "name": "lookup_order",
    "description": "Finds an order",
    "schema": {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
    },
}
Told = dict[str, Any]


def openai_scenarios(address: str) -> dict[str, Callable[[], Told]]:
    """Chat completions: whole, streamed, with a tool, with a cached prompt, refused."""
    from openai import NotFoundError, OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key="sk-simulated", max_retries=0)
    asked: list[Any] = [{"role": "user", "content": QUESTION}]

    def whole(model: str = "gpt-4o-mini", messages: Any = asked, **more: Any) -> Told:
        answer = client.chat.completions.create(model=model, messages=messages, **more)
        assert answer.usage
        return {
            "model": answer.model,
            "usage": answer.usage.model_dump(),
            "text": answer.choices[0].message.content,
        }

    def stream() -> Told:
        chunks = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=asked,
            stream=True,
            stream_options={"include_usage": True},
        )
        told: Told = {"text": ""}
        for chunk in chunks:
            told["model"] = chunk.model
            if chunk.choices:
                told["text"] += chunk.choices[0].delta.content or ""
            if chunk.usage:
                told["usage"] = chunk.usage.model_dump()
        return told

    def tool() -> Told:
        function = {"name": TOOL["name"], "parameters": TOOL["schema"]}
        return whole(tools=[{"type": "function", "function": function}])

    def refused() -> Told:
        try:
            whole(model="gpt-4o-mini+not_found")
        except NotFoundError as error:
            return {"error": str(error)}
        raise AssertionError("the simulator should have refused")

    return {
        "whole": whole,
        "stream": stream,
        "tool": tool,
        "reasoning": lambda: whole("gpt-5-mini"),
        "cached": lambda: whole(messages=[{"role": "system", "content": SYSTEM}, *asked]),
        "unknown": lambda: whole("acme-llama-70b"),
        "refused": refused,
    }


def anthropic_scenarios(address: str) -> dict[str, Callable[[], Told]]:
    """Messages: whole, streamed, with a tool, with a written cache, refused."""
    from anthropic import Anthropic, NotFoundError

    client = Anthropic(base_url=address, api_key="sk-ant-simulated", max_retries=0)
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    model = "claude-sonnet-4-5"

    def told(message: Any) -> Told:
        texts = [block.text for block in message.content if block.type == "text"]
        return {
            "model": message.model,
            "usage": message.usage.model_dump(),
            "text": texts[0] if texts else None,
        }

    def whole(model: str = model, **more: Any) -> Told:
        return told(client.messages.create(model=model, max_tokens=500, messages=asked, **more))

    def stream() -> Told:
        with client.messages.stream(model=model, max_tokens=500, messages=asked) as events:
            return told(events.get_final_message())

    def refused() -> Told:
        try:
            whole(f"{model}+not_found")
        except NotFoundError as error:
            return {"error": str(error)}
        raise AssertionError("the simulator should have refused")

    cached = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
    return {
        "whole": whole,
        "stream": stream,
        "tool": lambda: whole(tools=[{"name": TOOL["name"], "input_schema": TOOL["schema"]}]),
        "cached": lambda: whole(system=cached),
        "refused": refused,
    }


def instrument(name: str) -> Callable[[str], dict[str, Callable[[], Told]]]:
    """Switch one instrumentation on; returns the scenarios it can see."""
    if name == "openai-v2":
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenAIv2

        OpenAIv2().instrument()
        return openai_scenarios
    if name == "openinference-openai":
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        return openai_scenarios
    if name in ("openinference-anthropic", "openinference-and-native-anthropic"):
        from openinference.instrumentation.anthropic import AnthropicInstrumentor

        AnthropicInstrumentor().instrument()
    return anthropic_scenarios


def main() -> int:
    name, provider_address, collector, key = sys.argv[1:5]
    provider = TracerProvider(resource=Resource.create({"service.name": f"with-{name}"}))
    exporter = OTLPSpanExporter(
        endpoint=f"{collector}/v1/traces", headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    trace.set_tracer_provider(provider)
    scenarios = instrument(name)(provider_address)
    wanted = sys.argv[5:] or list(scenarios)
    told = {}
    for scenario in wanted:
        with trace.get_tracer("program").start_as_current_span(scenario) as span:
            told[scenario] = scenarios[scenario]()
            told[scenario]["trace_id"] = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
