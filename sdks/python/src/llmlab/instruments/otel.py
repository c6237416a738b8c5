"""OpenTelemetry: spans of other instrumentations go to LLMLab, in one trace with the SDK's own steps.

LlamaIndex and every other library that is not patched here goes this way, with its maintained OpenTelemetry or
OpenInference instrumentation. Needs `opentelemetry-sdk` and `opentelemetry-exporter-otlp-proto-http`; nothing is
imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from llmlab.config import logger
from llmlab.instruments.otel_context import join_contexts

if TYPE_CHECKING:
    from llmlab.client import LLMLab

# Instrumentations of clients that the SDK records itself, by the names of their tracers.
_SAME_CALLS = {
    "openai": (
        "openinference.instrumentation.openai",
        "opentelemetry.instrumentation.openai",
        "opentelemetry.instrumentation.openai_v2",
    ),
    "anthropic": (
        "anthropic",
        "openinference.instrumentation.anthropic",
        "opentelemetry.instrumentation.anthropic",
    ),
}
# Providers that send here already, with the client they send to.
_providers: WeakKeyDictionary[Any, LLMLab] = WeakKeyDictionary()
_NEEDED = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"


def otel_exporter(client: LLMLab) -> Any:
    """A span exporter for LLMLab's OTLP door, with the client's address and key.

    Raises ImportError when the exporter's package is missing, and says which it is.
    """
    try:
        module = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise ImportError(f"The OTLP exporter is not installed: {_NEEDED}") from error
    settings = client.settings
    return module.OTLPSpanExporter(
        endpoint=f"{settings.base_url.rstrip('/')}/v1/traces",
        headers={"Authorization": f"Bearer {settings.api_key}"},
        timeout=settings.timeout,
    )


def instrument_otel(client: LLMLab, provider: Any = None, *, exporter: Any = None) -> Any:
    """Send what this tracer provider's spans tell to LLMLab; answers the provider.

    Without one: the global provider, which is made and set when the program has none. Spans below a step become
    part of its trace and the other way round. Spans of clients that `instrument` records already are left out. A second
    time for the same provider does nothing.
    """
    try:
        sdk = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
        trace = import_module("opentelemetry.trace")
    except ImportError as error:
        raise ImportError(f"OpenTelemetry's SDK is not installed: {_NEEDED}") from error
    if provider is None:
        provider = trace.get_tracer_provider()
        if not hasattr(provider, "add_span_processor"):
            provider = sdk.TracerProvider(resource=_resource(client))
            trace.set_tracer_provider(provider)
    if _providers.get(provider) is client:
        return provider
    if not join_contexts(_is_own):
        logger.warning("LLMLab: this OpenTelemetry keeps its context apart; traces are not joined.")
    inner = export.BatchSpanProcessor(exporter or otel_exporter(client))
    provider.add_span_processor(_processor(sdk, inner))
    _providers[provider] = client
    return provider


def _resource(client: LLMLab) -> Any:
    facts = {
        "deployment.environment.name": client.settings.environment,
        "service.version": client.settings.release,
    }
    resources = import_module("opentelemetry.sdk.resources")
    return resources.Resource.create({name: value for name, value in facts.items() if value})


def _processor(sdk: Any, inner: Any) -> Any:
    """Everything but what is recorded already."""

    class LLMLabSpanProcessor(sdk.SpanProcessor):  # type: ignore[misc]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            inner.on_start(span, parent_context)

        def on_end(self, span: Any) -> None:
            if not _is_own(span):
                inner.on_end(span)

        def shutdown(self) -> None:
            inner.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return bool(inner.force_flush(timeout_millis))

    return LLMLabSpanProcessor()


def _is_own(span: Any) -> bool:
    """Whether a span tells of a call that the SDK records itself."""
    scope = getattr(span, "instrumentation_scope", None)
    name = getattr(scope, "name", None)
    for package, scopes in _SAME_CALLS.items():
        if name in scopes:
            library = import_module(f"llmlab.instruments.{package}").LIBRARY
            return library.client is not None
    return False
