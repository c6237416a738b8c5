"""OTLP JSON: what exporters and the collector's file exporter write. Span by span, so that a refusal has its line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmlab.cli.imports.records import Record
from llmlab.cli.imports.units import OTLP, RowError, Unit


def is_document(value: Any) -> bool:
    """An ExportTraceServiceRequest, or TracesData."""
    return isinstance(value, dict) and isinstance(
        value.get("resourceSpans", value.get("batches")), list
    )


def convert(record: Record) -> Iterator[Unit]:
    """Every span with its resource and scope. Raises RowError."""
    if not is_document(record.value):
        raise RowError("it has no resourceSpans")
    for resource in record.value.get("resourceSpans", record.value.get("batches")):
        if not isinstance(resource, dict):
            raise RowError("resourceSpans holds something that is no object")
        scopes = resource.get("scopeSpans", resource.get("instrumentationLibrarySpans"))
        for scope in scopes or []:
            spans = scope.get("spans") if isinstance(scope, dict) else None
            for span in spans or []:
                above = {name: scope[name] for name in ("scope", "schemaUrl") if name in scope}
                around = {
                    name: resource[name] for name in ("resource", "schemaUrl") if name in resource
                }
                yield Unit(record.line, OTLP, {"resource": around, "scope": above, "span": span})


def request(units: list[Unit]) -> dict[str, Any]:
    """One request of several spans; neighbours of one resource and scope share theirs again."""
    resources: list[dict[str, Any]] = []
    last_resource: Any = None
    last_scope: Any = None
    for unit in units:
        body = unit.body
        if not resources or body["resource"] != last_resource:
            last_resource, last_scope = body["resource"], None
            resources.append({**last_resource, "scopeSpans": []})
        if last_scope is None or body["scope"] != last_scope:
            last_scope = body["scope"]
            resources[-1]["scopeSpans"].append({**last_scope, "spans": []})
        resources[-1]["scopeSpans"][-1]["spans"].append(body["span"])
    return {"resourceSpans": resources}
