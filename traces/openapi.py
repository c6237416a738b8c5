"""The ingestion doors in the OpenAPI document: they are plain views, which drf-spectacular does not see.

Fields as in docs/ingestion.md; what a field may hold is decided by traces.ingest, so these shapes stay loose and say
more by description than by rule.
"""

from typing import Any

from traces.langfuse import openapi as langfuse
from traces.langfuse.events import TYPES

Schema = dict[str, Any]
_PROJECT = "/api/v1/projects/{project}"

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9._:@+=~|-]{1,128}$"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 10_000_000_000}
MS: Schema = {"type": "number", "minimum": 0}
TIME: Schema = {
    "description": "ISO 8601, or seconds, milliseconds or nanoseconds since 1970",
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
}
MONEY: Schema = {"description": "Dollars; a string keeps every digit", "type": ["string", "number"]}
STATUS: Schema = {"type": "string", "enum": ["running", "ok", "error"]}
ANY: Schema = {}
OBJECT: Schema = {"type": "object"}
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
_CONTEXT: Schema = {
    **dict.fromkeys(("user", "session", "agent", "environment", "feature", "prompt_version"), TEXT),
    "tags": {"type": "array", "items": TEXT},
}
_CALL: Schema = {
    **dict.fromkeys(("provider", "model", "request_model", "service_tier"), TEXT),
    **dict.fromkeys(_TOKENS, COUNT),
    "usage": {**OBJECT, "description": "As OpenAI, Anthropic or Gemini answer"},
    "cost_usd": MONEY,
    "cache_hit": {"type": "boolean"},
    "latency_ms": MS,
    "time_to_first_token_ms": MS,
    "status": STATUS,
    "error": ANY,
}


def _shape(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list_of(name: str, kind: str) -> Schema:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{kind}"}}
    return _shape((name,), **{name: items})


SCHEMAS: dict[str, Schema] = {
    "StepUpload": _shape(
        ("id",),
        id=ID,
        parent_id=ID,
        type={
            "type": "string",
            "enum": [
                *("llm", "embedding", "tool", "retrieval", "rerank", "guardrail"),
                *("evaluator", "agent", "chain", "span"),
            ],
        },
        name=TEXT,
        started_at=TIME,
        ended_at=TIME,
        input=ANY,
        output=ANY,
        tools=ANY,
        parameters=OBJECT,
        metadata=OBJECT,
        attributes=OBJECT,
        **_CALL,
        **_CONTEXT,
    ),
    "TraceUpload": _shape(
        ("trace_id",),
        trace_id=ID,
        root_id=ID,
        parent_id=ID,
        name=TEXT,
        status=STATUS,
        started_at=TIME,
        ended_at=TIME,
        duration_ms=MS,
        release=TEXT,
        metadata=OBJECT,
        input=ANY,
        output=ANY,
        error=ANY,
        steps={"type": "array", "items": {"$ref": "#/components/schemas/StepUpload"}},
        **_CONTEXT,
    ),
    "TraceUploads": _list_of("traces", "TraceUpload"),
    "CostUpload": _shape(
        ("id", "occurred_at"),
        id=ID,
        occurred_at=TIME,
        operation=TEXT,
        trace_id=ID,
        span_id=ID,
        **_CALL,
        **_CONTEXT,
    ),
    "CostUploads": _list_of("costs", "CostUpload"),
    "UploadResult": _shape(
        ("index", "status", "result"),
        index={"type": "integer"},
        status={"type": "integer", "enum": [200, 201, 207, 400]},
        result={
            "type": "string",
            "enum": ["stored", "updated", "duplicate", "partial", "rejected"],
        },
        calls={"type": "integer"},
        unpriced_calls={"type": "integer"},
        cost_usd={"type": ["string", "null"]},
    ),
    "UploadResults": _list_of("results", "UploadResult"),
}
_REFUSALS = {
    "400": "The body is damaged or not of the shape",
    "401": "The key is unknown, expired or revoked",
    "403": "The key lacks the scope ingest, or the project is archived",
    "404": "The key is of another project",
    "413": "Too large or too many",
    "415": "Media type or encoding not understood",
    "429": "Too many requests; wait Retry-After seconds",
    "503": "Storage is away, nothing was stored; send it again after Retry-After",
}


def _json(kind: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}


def _door(name: str, text: str, body: str) -> Schema:
    error = _json("Error")
    return {
        "operationId": name,
        "description": text,
        "tags": ["projects"],
        "parameters": [{"in": "path", "name": "project", "schema": TEXT, "required": True}],
        "requestBody": {"required": True, "content": _json(body)},
        "security": [{"apiKey": []}, {"apiKeyHeader": []}],
        "responses": {
            "207": {"description": "One result per item", "content": _json("UploadResults")},
            **{code: {"description": why, "content": error} for code, why in _REFUSALS.items()},
        },
    }


# Where exporters made for other products send to (traces.door_urls).
OTLP_ALIASES = {
    "langfuse": "/api/public/otel/v1/traces",
    "opik": "/api/v1/private/otel/v1/traces",
    "mlflow": "/api/v1/otlp/v1/traces",
    "braintrust": "/api/otel/v1/traces",
    "otel": "/otel/v1/traces",
    "otlp": "/otlp/v1/traces",
}


def _otlp(alias: str = "") -> Schema:
    media = ("application/x-protobuf", "application/json")
    content = {kind: {"schema": ANY} for kind in media}
    refusals = {code: why for code, why in _REFUSALS.items() if code != "404"}
    return {
        "operationId": f"otlp_{alias}{'_' * bool(alias)}traces_create",
        "description": "The same as /v1/traces."
        if alias
        else "OTLP/HTTP: an ExportTraceServiceRequest; refused spans are named in partialSuccess.",
        "tags": ["otlp"],
        "requestBody": {"required": True, "content": content},
        "security": [{"apiKey": []}, {"apiKeyHeader": []}],
        "responses": {
            "200": {"description": "ExportTraceServiceResponse", "content": content},
            **{
                code: {"description": f"{why} (google.rpc.Status)", "content": content}
                for code, why in refusals.items()
            },
        },
    }


def add_doors(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """drf-spectacular's post-processing hook; leaves documents of other parts of the API as they are."""
    paths = result["paths"]
    if f"{_PROJECT}/traces" not in paths:
        return result
    paths[f"{_PROJECT}/traces"]["post"] = _door(
        "traces_create",
        "Store traces with their steps; sending one again changes nothing.",
        "TraceUploads",
    )
    paths[f"{_PROJECT}/costs"]["post"] = _door(
        "costs_create", "Store cost records that have no trace behind them.", "CostUploads"
    )
    paths["/v1/traces"] = {"post": _otlp()}
    for alias, path in OTLP_ALIASES.items():
        paths[path] = {"post": _otlp(alias)}
    paths |= langfuse.paths()
    result["components"]["schemas"] |= SCHEMAS | langfuse.schemas(list(TYPES))
    result["components"]["securitySchemes"] |= langfuse.SECURITY
    return result
