"""A program as a team would write it: official SDK, one instrumentation, OTLP batch exporter. Run in its own process.

`python -m tests.functional.instrumented <instrumentation> <provider address> <collector address> <key>` runs every
scenario and prints, as JSON, what the SDK was told: trace id, model, usage, text or error.
"""

import json
import sys
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.clients.scenarios import Told, anthropic_scenarios, openai_scenarios


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
