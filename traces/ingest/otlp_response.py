"""What an OTLP client is told: ExportTraceServiceResponse or google.rpc.Status, in the encoding
it spoke.
"""

from collections.abc import Sequence

import msgspec
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from traces.ingest.otlp_decode import Encoding
from traces.ingest.sanitize import clean_text
from traces.ingest.span import Rejection

_SHOWN = 20
_MESSAGE = 4_000

# google.rpc.Code for an HTTP status.
RPC_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    409: 10,
    411: 3,
    413: 3,
    415: 3,
    429: 8,
    500: 13,
    503: 14,
}


def otlp_success(rejections: Sequence[Rejection], content_type: Encoding) -> bytes:
    """The body of a 200; refused spans are counted and the first twenty named."""
    if not rejections:
        return b"{}" if content_type == "json" else b""
    named = [f"span {item.index}: {item.detail}" for item in rejections[:_SHOWN]]
    if len(rejections) > _SHOWN:
        named.append(f"and {len(rejections) - _SHOWN} more")
    message = clean_text("; ".join(named))[:_MESSAGE]
    if content_type == "json":
        partial = {"rejectedSpans": str(len(rejections)), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = len(rejections)
    response.partial_success.error_message = message
    body: bytes = response.SerializeToString()
    return body


def otlp_error(code: int, message: str, content_type: Encoding) -> bytes:
    """The body of an error answer; `code` is a google.rpc.Code (see RPC_CODES)."""
    message = clean_text(message)[:_MESSAGE]
    if content_type == "json":
        return msgspec.json.encode({"code": code, "message": message})
    status: bytes = Status(code=code, message=message).SerializeToString()
    return status
