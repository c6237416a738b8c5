"""Traces, steps and payloads as rows, without the writer."""

import datetime as dt
from decimal import Decimal

import factory
from django.utils import timezone

from core.crypto import data_cipher
from tests.factories.projects import ProjectFactory
from traces.models import Span, SpanPayload, Trace
from traces.payloads import payload_context, seal_payload, seal_text


class TraceFactory(factory.django.DjangoModelFactory[Trace]):
    """An ended trace of two seconds, five minutes ago. `said="…"` becomes its preview."""

    class Meta:
        model = Trace

    class Params:
        said = ""
        running = factory.Trait(status="running", ended_at=None, duration_ms=None, running_count=1)
        failed = factory.Trait(status="error", error_count=1)

    project = factory.SubFactory(ProjectFactory)
    trace_id = factory.Sequence(lambda n: f"trace-{n:08d}")
    name = "support-answer"
    status = "ok"
    started_at = factory.LazyFunction(lambda: timezone.now() - dt.timedelta(minutes=5))
    ended_at = factory.LazyAttribute(lambda o: o.started_at + dt.timedelta(seconds=2))
    duration_ms = 2000.0
    first_span_at = factory.SelfAttribute("started_at")
    last_span_at = factory.LazyAttribute(lambda o: o.started_at + dt.timedelta(hours=1))
    span_count = 1
    call_count = 1
    cost_usd = Decimal("0.0121")
    input_tokens = 100
    output_tokens = 20
    root_span_id = "root"
    seq = 1
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.LazyFunction(timezone.now)
    preview = factory.LazyAttribute(
        lambda o: seal_text(
            data_cipher(o.project.organization.data_key),
            o.said,
            payload_context(o.project.pk, o.trace_id, "preview"),
        )
    )


class SpanFactory(factory.django.DjangoModelFactory[Span]):
    """An ended step of one second; give it a `trace` for project, id and time."""

    class Meta:
        model = Span

    class Params:
        trace = factory.SubFactory(TraceFactory)

    project = factory.SelfAttribute("trace.project")
    trace_id = factory.SelfAttribute("trace.trace_id")
    span_id = factory.Sequence(lambda n: f"span-{n:08d}")
    started_at = factory.SelfAttribute("trace.started_at")
    ended_at = factory.LazyAttribute(lambda o: o.started_at + dt.timedelta(seconds=1))
    duration_ms = 1000.0
    name = "plan"
    kind = "llm"
    status = "ok"
    seq = 1
    received_at = factory.LazyFunction(timezone.now)


def payload_for(span: Span, **content: object) -> SpanPayload:
    """The step's payload, sealed with its organisation's key."""
    cipher = data_cipher(span.project.organization.data_key)
    data, size = seal_payload(
        cipher, content, payload_context(span.project_id, span.trace_id, span.span_id)
    )
    return SpanPayload.objects.create(
        project=span.project, trace_id=span.trace_id, span_id=span.span_id,
        started_at=span.started_at, data=data, size=size,
    )  # fmt: skip
