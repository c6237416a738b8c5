"""Answers the launcher gives itself, before Django: one error shape, a protobuf Status for OTLP clients, or what the
gateway's clients read."""

import json
from http import HTTPStatus

from gateway.dialects.errors import error_body as said_by_gateway
from gateway.door.paths import dialect_of, is_gateway

# google.rpc.Code for the few statuses used here.
_RPC_CODES = {400: 3, 408: 4, 413: 3, 431: 3, 500: 13, 503: 14}


def error_body(
    status: int, code: str, detail: str, content_type: bytes, path: str = ""
) -> tuple[bytes, bytes]:
    """Body and content type of an error answer to a request for `path` that came with `content_type`."""
    if is_gateway(path):
        dialect = dialect_of(path)
        return said_by_gateway(
            dialect, status=status, code=code, message=detail
        ), b"application/json"
    if content_type.split(b";")[0].strip().lower() == b"application/x-protobuf":
        from google.rpc.status_pb2 import Status

        message = Status(code=_RPC_CODES.get(status, 2), message=detail)
        return message.SerializeToString(), b"application/x-protobuf"
    body = {"detail": detail, "code": code, "fields": []}
    return json.dumps(body).encode(), b"application/json"


def raw_response(
    status: int, code: str, detail: str, content_type: bytes = b"", path: str = ""
) -> bytes:
    """A whole HTTP/1.1 answer after which the connection ends."""
    body, kind = error_body(status, code, detail, content_type, path)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        head += "Retry-After: 1\r\n"
    return head.encode() + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        kind,
        len(body),
        body,
    )
