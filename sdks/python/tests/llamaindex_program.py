"""LlamaIndex with OpenInference's instrumentation, in one trace with the SDK's steps; prints both as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from kept import recording
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llmlab import span
from llmlab.instruments.otel import instrument_otel

BASE = sys.argv[1]


def main() -> None:
    llm, kept = recording()
    exporter = InMemorySpanExporter()
    provider = instrument_otel(llm, TracerProvider(), exporter=exporter)
    LlamaIndexInstrumentor().instrument(tracer_provider=provider)

    from llama_index.llms.openai import OpenAI

    model: Any = OpenAI(model="gpt-4o-mini", api_key="x", api_base=f"{BASE}/v1", max_retries=0)
    with span("answer"):
        text = model.complete("Tell me about the harbour.").text
    provider.force_flush()
    spans = [
        {
            "name": found.name,
            "trace_id": f"{found.context.trace_id:032x}",
            "id": f"{found.context.span_id:016x}",
            "parent_id": f"{found.parent.span_id:016x}" if found.parent else "",
            "kind": dict(found.attributes or {}).get("openinference.span.kind"),
        }
        for found in exporter.get_finished_spans()
    ]
    print(json.dumps({"text": text, "spans": spans, "steps": kept.taken(2)}, default=str))


if __name__ == "__main__":
    main()
