"""Doors, outcomes and reasons in a reader's words, and what to do about each refusal."""

from django.conf import settings

DOORS = {
    "otlp": "OpenTelemetry",
    "json": "JSON traces",
    "costs": "Cost records",
    "langfuse": "Langfuse batch",
}
OUTCOMES = {
    "stored": ("Stored", "c3"),
    "updated": ("Updated", "c1"),
    "duplicate": ("Seen before", "co"),
    "rejected": ("Rejected", "c6"),
}
ADVICE = {
    "malformed_span": "The exporter sends damaged spans: update it, and look for a proxy that cuts bodies.",
    "invalid_field": "The answer to the upload names field, value and rule: log it in the program that sends.",
    "invalid_trace_id": "A trace id has 16 bytes (32 hexadecimal digits) and is not all zeros.",
    "invalid_span_id": "A span id has 8 bytes (16 hexadecimal digits) and is not all zeros.",
    "invalid_parent_span_id": "A parent id is empty or has 8 bytes (16 hexadecimal digits).",
    "missing_time": "Set a start time on every span.",
    "start_outside_window": "Check the sender's clock; older steps need a longer LLMLAB_RETENTION_DAYS.",
    "end_outside_window": "Check the sender's clock: the step ends outside what is kept.",
    "too_many_items": "Send fewer items at a time: lower the exporter's batch size.",
    "unstorable": "The server's log has the value: please report it, this should not happen.",
    "unknown_type": "The event's type is not one of Langfuse's ingestion API: update the SDK.",
    "invalid_body": "The body is not what the address takes: check endpoint and content type of the exporter.",
    "body_too_large": "Send smaller batches, or raise LLMLAB_INGEST_MAX_BODY.",
    "unsupported_encoding": "Send gzip, deflate or no Content-Encoding.",
    "unsupported_media_type": "Send application/x-protobuf or application/json.",
    "rate_limited": "Send larger batches less often, or raise LLMLAB_INGEST_RATE_PER_MINUTE.",
    "project_archived": "Unarchive the project in its settings, or stop the sender.",
    "missing_scope": "Give the sender a key with the scope ingest (Settings, API keys).",
    "other": "The answer to the upload says what was wrong: log it in the program that sends.",
}


def door_name(door: str) -> str:
    return DOORS.get(door, door)


def limits() -> dict[str, int]:
    """The bounds of one upload, as the page shows them."""
    return {
        "body": settings.LLMLAB_INGEST_MAX_BODY,
        "spans": settings.LLMLAB_INGEST_MAX_SPANS,
        "rate": settings.LLMLAB_INGEST_RATE_PER_MINUTE,
    }
