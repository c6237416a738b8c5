"""Answers the launcher gives itself, before Django: one error shape, or a protobuf Status for OTLP clients."""

import json
from http import HTTPStatus

# google.rpc.Code for the few statuses used here.
_RPC_CODES = {400: 3, 408: 4, 413: 3, 431: 3, 500: 13, 503: 14}


def error_body(status: int, code: str, detail: str, content_type: bytes) -> tuple[bytes, bytes]:
    """Body and content type of an error answer to a request that came with `content_type`."""
    if content_type.split(b";")[0].strip().lower() == b"application/x-protobuf":
        from google.rpc.status_pb2 import Status

        message = Status(code=_RPC_CODES.get(status, 2), message=detail)
        return message.SerializeToString(), b"application/x-protobuf"
    body = {"detail": detail, "code": code, "fields": []}
    return json.dumps(body).encode(), b"application/json"


def raw_response(status: int, code: str, detail: str, content_type: bytes = b"") -> bytes:
    """A whole HTTP/1.1 answer after which the connection ends."""
    body, kind = error_body(status, code, detail, content_type)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        head += "Retry-After: 1\r\n"
    return head.encode() + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        kind,
        len(body),
        body,
    )
