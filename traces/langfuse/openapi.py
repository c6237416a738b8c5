"""Langfuse's paths in the OpenAPI document, in the shapes of its API as far as LLMLab fills them."""

from typing import Any

Schema = dict[str, Any]
_TAG = "langfuse"
_KEYS: list[dict[str, list[str]]] = [{"apiKey": []}, {"apiKeyHeader": []}, {"langfuseBasic": []}]
SECURITY: Schema = {
    "langfuseBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "The API key as the password (LANGFUSE_SECRET_KEY); the user name may be anything.",
    }
}

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ANY: Schema = {}
OBJECT: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": TEXT}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _shape(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _page_of(name: str) -> Schema:
    return _shape(("data", "meta"), data=_list(_ref(name)), meta=_ref("LangfusePageMeta"))


_TRACE: Schema = {
    **dict.fromkeys(("id", "environment", "projectId", "htmlPath"), TEXT),
    **dict.fromkeys(("name", "sessionId", "release", "version", "userId"), MAYBE_TEXT),
    **dict.fromkeys(("timestamp", "createdAt", "updatedAt"), MOMENT),
    **dict.fromkeys(("input", "output", "metadata"), ANY),
    "tags": TEXTS,
    "public": {"type": "boolean"},
    "bookmarked": {"type": "boolean"},
    "latency": {"type": "number", "description": "Seconds"},
    "totalCost": {"type": "number", "description": "Dollars; what has no price counts as 0 here"},
}
_OBSERVATION: Schema = {
    **dict.fromkeys(("id", "traceId", "type", "level", "environment"), TEXT),
    **dict.fromkeys(("name", "model", "version", "statusMessage", "parentObservationId"), MAYBE_TEXT),
    **dict.fromkeys(("promptId", "promptName", "modelId"), MAYBE_TEXT),
    "startTime": MOMENT,
    **dict.fromkeys(("endTime", "completionStartTime"), MAYBE_MOMENT),
    **dict.fromkeys(("input", "output", "metadata", "modelParameters"), ANY),
    **dict.fromkeys(("usage", "usageDetails", "costDetails"), OBJECT),
    **dict.fromkeys(("latency", "timeToFirstToken", "calculatedTotalCost"), MAYBE_NUMBER),
    **dict.fromkeys(("calculatedInputCost", "calculatedOutputCost", "promptVersion"), MAYBE_NUMBER),
    **dict.fromkeys(("inputPrice", "outputPrice", "totalPrice"), MAYBE_NUMBER),
}  # fmt: skip
_SCORE: Schema = {
    **dict.fromkeys(("id", "name", "environment"), TEXT),
    "source": {"type": "string", "enum": ["API", "ANNOTATION", "EVAL"]},
    "dataType": {"type": "string", "enum": ["NUMERIC", "BOOLEAN", "CATEGORICAL"]},
    **dict.fromkeys(("observationId", "sessionId", "stringValue", "comment"), MAYBE_TEXT),
    **dict.fromkeys(("traceId", "authorUserId", "configId", "queueId"), MAYBE_TEXT),
    **dict.fromkeys(("timestamp", "createdAt", "updatedAt"), MOMENT),
    "value": MAYBE_NUMBER,
    "metadata": ANY,
}
_SESSION: Schema = {
    **dict.fromkeys(("id", "projectId", "environment"), TEXT),
    "createdAt": MOMENT,
}
_TOLD = _shape(("id", "status"), id=TEXT, status={"type": "integer", "enum": [201]})
_REFUSED = _shape(
    ("id", "status", "message", "error"),
    id=TEXT,
    status={"type": "integer", "enum": [400, 409]},
    message=TEXT,
    error=TEXT,
)


def schemas(event_types: list[str]) -> Schema:
    """The component schemas; `event_types` are those the batch door knows."""
    traces = {"traces": _list(_ref("LangfuseTrace"))}
    whole = {
        "observations": _list(_ref("LangfuseObservation")),
        "scores": _list(_ref("LangfuseScore")),
    }
    return {
        "LangfuseError": _shape(("message", "error", "code"), message=TEXT, error=TEXT, code=TEXT),
        "LangfuseEvent": _shape(
            ("id", "type", "body"),
            id=TEXT,
            type={"type": "string", "enum": event_types},
            timestamp=MOMENT,
            body=OBJECT,
        ),
        "LangfuseBatch": _shape(("batch",), batch=_list(_ref("LangfuseEvent"))),
        "LangfuseBatchResult": _shape(
            ("successes", "errors"), successes=_list(_TOLD), errors=_list(_REFUSED)
        ),
        "LangfusePageMeta": _shape(
            ("page", "limit", "totalItems", "totalPages"),
            **dict.fromkeys(("page", "limit", "totalItems", "totalPages"), COUNT),
        ),
        "LangfuseTrace": _shape(("id", "timestamp"), **_TRACE),
        "LangfuseTraceWhole": _shape(("id", "timestamp", "observations", "scores"), **_TRACE, **whole),
        "LangfuseObservation": _shape(("id", "traceId", "type", "startTime"), **_OBSERVATION),
        "LangfuseScore": _shape(("id", "name", "dataType", "source"), **_SCORE),
        "LangfuseScoreUpload": _shape(
            ("name", "value"),
            **dict.fromkeys(("id", "name", "traceId", "observationId", "sessionId"), TEXT),
            **dict.fromkeys(("comment", "environment"), TEXT),
            value={"type": ["number", "string", "boolean"]},
            dataType=_SCORE["dataType"],
            metadata=OBJECT,
        ),
        "LangfuseSession": _shape(("id", "createdAt"), **_SESSION),
        "LangfuseSessionWhole": _shape(("id", "createdAt", "traces"), **_SESSION, **traces),
        **{
            f"Langfuse{name}Page": _page_of(f"Langfuse{name}")
            for name in ("Trace", "Observation", "Score", "Session")
        },
        "LangfuseProjects": _shape(("data",), data=_list(_shape(("id", "name"), id=TEXT, name=TEXT, metadata=OBJECT))),
        "LangfuseHealth": _shape(("status", "version"), status=TEXT, version=TEXT),
        "LangfuseMade": _shape(("id",), id=TEXT),
        "LangfuseMessage": _shape(("message",), message=TEXT),
    }  # fmt: skip


_REFUSALS = {
    "400": "A parameter or the body is wrong: what and why",
    "401": "The key is unknown, expired or revoked",
    "403": "The key lacks the scope, or the project is archived",
    "404": "Nothing of that id in the key's project",
    "413": "Too large or too many",
    "415": "Media type or encoding not understood",
    "429": "Too many requests; wait Retry-After seconds",
    "503": "Storage is away, nothing was stored; send it again after Retry-After",
}


def _json(kind: str) -> Schema:
    return {"application/json": {"schema": _ref(kind)}}


def _query(*names: str, **schema: Any) -> list[Schema]:
    return [{"in": "query", "name": name, "schema": schema or TEXT} for name in names]


_PAGES = [
    *_query("page", type="integer", minimum=1, maximum=10_000, default=1),
    *_query("limit", type="integer", minimum=1, maximum=100, default=50),
]
_DAYS = _query("fromTimestamp", "toTimestamp", type="string", format="date-time")
_STARTS = _query("fromStartTime", "toStartTime", type="string", format="date-time")


def _does(
    name: str,
    text: str,
    answer: str,
    *refusals: str,
    status: str = "200",
    parameters: list[Schema] | None = None,
    body: str = "",
) -> Schema:
    """One operation; everybody with a key may be refused with 401, 403 and 503."""
    found: Schema = {
        "operationId": f"langfuse_{name}",
        "description": text,
        "tags": [_TAG],
        "security": _KEYS,
        "responses": {
            status: {"description": "As in Langfuse's API", "content": _json(answer)},
            **{
                code: {"description": _REFUSALS[code], "content": _json("LangfuseError")}
                for code in sorted({"401", "403", "503", *refusals})
            },
        },
    }
    if parameters:
        found["parameters"] = parameters
    if body:
        found["requestBody"] = {"required": True, "content": _json(body)}
    return found


def _named(name: str) -> list[Schema]:
    return [{"in": "path", "name": name, "schema": TEXT, "required": True}]


def _score_paths(base: str, prefix: str) -> Schema:
    listed = [*_query("traceId", "observationId", "sessionId", "name", "dataType", "source")]
    return {
        f"{base}/scores": {
            "get": _does(f"{prefix}scores_list", "Scores, newest first.", "LangfuseScorePage", "400",
                         parameters=[*_PAGES, *listed, *_DAYS]),
            "post": _does(f"{prefix}scores_create", "Store one score.", "LangfuseMade", "400", "413", "415",
                          body="LangfuseScoreUpload"),
        },
        f"{base}/scores/{{score_id}}": {
            "get": _does(f"{prefix}scores_retrieve", "One score.", "LangfuseScore", "404",
                         parameters=_named("score_id")),
            "delete": _does(f"{prefix}scores_destroy", "Delete one score.", "LangfuseMessage", "404", status="202",
                            parameters=_named("score_id")),
        },
    }  # fmt: skip


def paths() -> Schema:
    """Every path of traces.door_urls below /api/public that is kept here; the others answer 404 in words."""
    base = "/api/public"
    health = _does("health_retrieve", "That the server stands.", "LangfuseHealth")
    health |= {"security": [], "responses": {"200": health["responses"]["200"]}}
    trace = _query("userId", "name", "sessionId", "environment", "release")
    tags = [{"in": "query", "name": "tags", "schema": TEXTS, "explode": True}]
    step = _query("traceId", "type", "name", "parentObservationId", "level")
    batch = ("LangfuseBatchResult", "400", "413", "415", "429")
    return {
        f"{base}/ingestion": {
            "post": _does("ingestion_create", "Langfuse's batch: one result per event.", *batch,
                          status="207", body="LangfuseBatch"),
        },
        f"{base}/health": {"get": health},
        f"{base}/projects": {
            "get": _does("projects_list", "The key's project.", "LangfuseProjects"),
        },
        f"{base}/traces": {
            "get": _does("traces_list", "Traces, newest first; 10,000 deep.", "LangfuseTracePage", "400",
                         parameters=[*_PAGES, *trace, *tags, *_DAYS]),
        },
        f"{base}/traces/{{trace_id}}": {
            "get": _does("traces_retrieve", "One trace with observations and scores.", "LangfuseTraceWhole", "404",
                         parameters=_named("trace_id")),
        },
        f"{base}/observations": {
            "get": _does("observations_list", "Steps; of the last week unless fromStartTime or traceId is given.",
                         "LangfuseObservationPage", "400", "404", parameters=[*_PAGES, *step, *_STARTS]),
        },
        f"{base}/observations/{{observation_id}}": {
            "get": _does("observations_retrieve", "One step; after two days its trace has to be named.",
                         "LangfuseObservation", "404",
                         parameters=[*_named("observation_id"), *_query("traceId")]),
        },
        f"{base}/sessions": {
            "get": _does("sessions_list", "Sessions, newest first.", "LangfuseSessionPage", "400",
                         parameters=[*_PAGES, *_DAYS]),
        },
        f"{base}/sessions/{{session_id}}": {
            "get": _does("sessions_retrieve", "One session with its traces.", "LangfuseSessionWhole", "404",
                         parameters=_named("session_id")),
        },
        **_score_paths(base, ""),
        **_score_paths(f"{base}/v2", "v2_"),
    }  # fmt: skip
