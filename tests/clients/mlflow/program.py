"""mlflow-tracing with its OpenAI autologging, exporting OTLP; the exporter is set up by environment variables."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.clients.telling import SESSION, USER, arguments, tell

given = arguments()
os.environ |= {
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{given.collector}/v1/traces",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"Authorization=Bearer%20{given.key}",
    "OTEL_SERVICE_NAME": "with-mlflow",
    "MLFLOW_TRACKING_URI": given.collector,  # or it looks for a database of its own
}

import mlflow  # noqa: E402

from tests.clients.scenarios import openai_scenarios  # noqa: E402


def main() -> None:
    mlflow.openai.autolog()

    @contextmanager
    def around(name: str) -> Iterator[Callable[[], str]]:
        with mlflow.start_span(name) as span:
            # No tags: with OpenTelemetry 1.45 mlflow 3.17.2 then fails to end its root span.
            mlflow.update_current_trace(
                metadata={"mlflow.trace.user": USER, "mlflow.trace.session": SESSION}
            )
            yield lambda: f"{span._span.get_span_context().trace_id:032x}"

    tell(openai_scenarios(given.provider), around, given.scenarios)
    mlflow.flush_trace_async_logging(terminate=True)


main()
