"""The doors as the web process serves them: the whole request on one lasting thread, the same answers."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from config.asgi import application
from config.doors import THREADS, with_doors
from tests.traces.uploads import JSON, PROTOBUF, call_span, otlp
from traces.models import Span

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


async def _send(
    path: str,
    *parts: bytes,
    key: str = "",
    method: str = "POST",
    kind: str = PROTOBUF,
    app: Any = application,
) -> tuple[int, dict[str, str], bytes]:
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "client": ["127.0.0.1", 1], "server": ["127.0.0.1", 80],
        "headers": [
            (b"host", b"testserver"), (b"content-type", kind.encode()),
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-length", str(sum(map(len, parts))).encode()),
        ],
    }  # fmt: skip
    talk = ApplicationCommunicator(app, scope)
    for place, part in enumerate(parts or (b"",), start=1):
        more = place < len(parts)
        await talk.send_input({"type": "http.request", "body": part, "more_body": more})
    start = await talk.receive_output(10)
    body = await talk.receive_output(10)
    await talk.wait(10)
    headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
    return start["status"], headers, body["body"]


async def test_an_upload_in_parts_is_stored_and_answered_with_the_usual_headers(key: str) -> None:
    body = otlp(call_span())
    status, headers, content = await _send("/v1/traces", body[:50], body[50:], key=key)
    assert (status, content, headers["content-type"]) == (200, b"", PROTOBUF)
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in headers
    assert await sync_to_async(Span.objects.count)() == 1


@pytest.mark.parametrize(
    "path",
    ["/v1/traces/", "/api/public/otel/v1/traces", "/api/v1/otlp/v1/traces", "/otel/v1/traces"],
)
async def test_every_alias_is_a_door(key: str, path: str) -> None:
    async def other(*_: Any) -> None:
        raise AssertionError("not a door")

    status, _, _ = await _send(path, otlp(call_span()), key=key, app=with_doors(other))
    assert status == 200


async def test_refusals_read_as_before(key: str) -> None:
    status, headers, _ = await _send("/v1/traces", otlp(call_span()), key="wrong")
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="llmlab"')
    status, _, content = await _send("/api/v1/projects/nobodys/traces", b"{}", key=key, kind=JSON)
    assert (status, b"not_found" in content) == (404, True)
    status, headers, _ = await _send("/v1/traces", key=key, method="GET")
    assert (status, headers["allow"]) == (405, "POST")
    assert await sync_to_async(Span.objects.count)() == 0


async def test_more_uploads_than_threads_leave_no_connection_behind(key: str) -> None:
    for _ in range(2 * THREADS):
        status, _, _ = await _send("/v1/traces", otlp(call_span()), key=key)
        assert status == 200
    assert await sync_to_async(Span.objects.count)() == 1


async def test_a_client_that_leaves_while_it_sends_changes_nothing(key: str) -> None:
    talk = ApplicationCommunicator(
        application,
        {
            "type": "http",
            "method": "POST",
            "path": "/v1/traces",
            "headers": [],
            "query_string": b"",
        },
    )
    await talk.send_input({"type": "http.request", "body": b"\x0a", "more_body": True})
    await talk.send_input({"type": "http.disconnect"})
    await talk.wait(5)
    assert await talk.receive_nothing(0.1)
    assert await sync_to_async(Span.objects.count)() == 0
