"""Code to send the first trace with: real address, real project, real key.

Each has been pasted and run as it is; what calls a model wants OPENAI_API_KEY, like any program of that vendor.
"""

import datetime as dt
import json
import secrets
from dataclasses import dataclass

PLACEHOLDER = "llmlab_sk_YOUR_KEY"


@dataclass(frozen=True)
class Snippet:
    """One way to send data."""

    id: str
    label: str
    hint: str
    code: str


def snippets(*, base_url: str, project: str, key: str, now: dt.datetime) -> list[Snippet]:
    """Four ways, the one that needs no code change first."""
    return [
        Snippet(
            "otel",
            "OpenTelemetry",
            "Any instrumented program: set these and start it.",
            _otel(base_url, key),
        ),
        Snippet(
            "python",
            "Python",
            "pip install openai opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
            " opentelemetry-instrumentation-openai-v2",
            _python(base_url, key),
        ),
        Snippet(
            "javascript",
            "JavaScript",
            "npm install openai @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-proto"
            " @opentelemetry/instrumentation-openai",
            _javascript(base_url, key),
        ),
        Snippet("curl", "curl", "Plain JSON, no library.", _curl(base_url, project, key, now)),
    ]


def _otel(base_url: str, key: str) -> str:
    return (
        f'export OTEL_EXPORTER_OTLP_ENDPOINT="{base_url}"\n'
        'export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"\n'
        f'export OTEL_EXPORTER_OTLP_HEADERS="x-api-key={key}"\n'
        'export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true"'
    )


def _python(base_url: str, key: str) -> str:
    return f"""from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

exporter = OTLPSpanExporter(
    endpoint="{base_url}/v1/traces",
    headers={{"x-api-key": "{key}"}},
)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()

OpenAI().chat.completions.create(
    model="gpt-4o-mini",
    messages=[{{"role": "user", "content": "ping"}}],
)"""


def _javascript(base_url: str, key: str) -> str:
    # CommonJS: instrumentation cannot reach into ES modules without a loader flag for node.
    return f"""const {{ NodeSDK }} = require("@opentelemetry/sdk-node");
const {{ OTLPTraceExporter }} = require("@opentelemetry/exporter-trace-otlp-proto");
const {{ OpenAIInstrumentation }} = require("@opentelemetry/instrumentation-openai");

const sdk = new NodeSDK({{
  traceExporter: new OTLPTraceExporter({{
    url: "{base_url}/v1/traces",
    headers: {{ "x-api-key": "{key}" }},
  }}),
  instrumentations: [new OpenAIInstrumentation()],
}});
sdk.start();

const OpenAI = require("openai"); // after sdk.start()
new OpenAI().chat.completions
  .create({{
    model: "gpt-4o-mini",
    messages: [{{ role: "user", content: "ping" }}],
  }})
  .finally(() => sdk.shutdown());"""


def _curl(base_url: str, project: str, key: str, now: dt.datetime) -> str:
    started_at = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    step = {
        "id": secrets.token_hex(8),
        "type": "llm",
        "name": "answer",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 812,
        "output_tokens": 96,
        "started_at": started_at,
        "latency_ms": 640,
        "input": "Where is my order?",
        "output": "It is on its way.",
    }
    trace = {
        "trace_id": secrets.token_hex(16),
        "name": "first trace",
        "status": "ok",
        "started_at": started_at,
        "duration_ms": 640,
        "steps": [step],
    }
    body = json.dumps({"traces": [trace]}, indent=2)
    return (
        f"curl {base_url}/api/v1/projects/{project}/traces \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )
