"""traceloop-sdk with its OpenAI instrumentation: workflows, association properties, OTLP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from traceloop.sdk import Traceloop
from traceloop.sdk.instruments import Instruments

from tests.clients.scenarios import openai_scenarios
from tests.clients.telling import SESSION, USER, arguments, tell


def main() -> None:
    given = arguments()
    exporter = OTLPSpanExporter(
        endpoint=f"{given.collector}/v1/traces",
        headers={"Authorization": f"Bearer {given.key}"},
        timeout=30,
    )
    Traceloop.init(
        app_name="with-traceloop",
        exporter=exporter,
        instruments={Instruments.OPENAI},
        telemetry_enabled=False,
        should_enrich_metrics=False,
    )
    Traceloop.set_association_properties({"user_id": USER, "session_id": SESSION, "plan": "pro"})

    @contextmanager
    def around(name: str) -> Iterator[Callable[[], str]]:
        with trace.get_tracer("program").start_as_current_span(name) as span:
            yield lambda: f"{span.get_span_context().trace_id:032x}"

    tell(openai_scenarios(given.provider), around, given.scenarios)
    trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]


main()
