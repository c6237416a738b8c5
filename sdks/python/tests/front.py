"""A server before the simulator: the addresses of Azure, Bedrock and Vertex, and what some servers do otherwise.

By the first part of the path: `/gzip/…` answers compressed, `/plain/…` refuses `stream_options` with a 400, `/slow/…`
sends three events of a stream and then waits, `/requests` tells the bodies received since it was asked last.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOSTED = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)$|/models/([^/:]+):\w+$")
SLOW_SECONDS = 30


class Front(BaseHTTPRequestHandler):
    """Forwards to the simulator; bodies come and go whole unless the path says otherwise."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        received, self.server.received = self.server.received, []
        self._send(200, {"content-type": "application/json"}, json.dumps(received).encode())

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw)
        path = self.path.partition("?")[0]
        self.server.received.append(body)
        if path.startswith("/plain/") and "stream_options" in body:
            error = {"message": "Unrecognized request argument: stream_options", "type": "invalid"}
            return self._send(400, {"content-type": "application/json"}, _json({"error": error}))
        hosted = _HOSTED.search(path)
        if hosted:
            body["model"] = "claude-opus-5-5"
            body["stream"] = "stream" in path.lower()
        elif "/deployments/" in path:
            body["model"] = "gpt-4o-mini"
        end = "messages" if hosted or path.endswith("/messages") else path.split("/v1/")[-1]
        end = "chat/completions" if path.endswith("/chat/completions") else end
        return self._answer(path, f"/v1/{end}", body)

    def _answer(self, path: str, target: str, body: dict[str, Any]) -> None:
        link = http.client.HTTPConnection(self.server.simulator, timeout=30)
        link.request("POST", target, _json(body), {"authorization": "Bearer x"})
        answer = link.getresponse()
        raw = answer.read()
        link.close()
        headers = {"content-type": answer.headers["content-type"]}
        if path.startswith("/slow/"):
            return self._send_slowly(headers, raw)
        if path.endswith("invoke-with-response-stream"):
            headers["content-type"] = "application/vnd.amazon.eventstream"
            raw = b"".join(
                _frame(line[6:]) for line in raw.split(b"\n") if line.startswith(b"data: ")
            )
        if path.startswith("/gzip/"):
            headers["content-encoding"] = "gzip"
            packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            raw = packer.compress(raw) + packer.flush()
        self._send(answer.status, headers, raw)

    def _send(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _send_slowly(self, headers: dict[str, str], raw: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", headers["content-type"])
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b"\n\n".join(raw.split(b"\n\n")[:3]) + b"\n\n")
        self.wfile.flush()
        self.server.is_over.wait(SLOW_SECONDS)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _frame(event: bytes) -> bytes:
    """One message of Amazon's event stream."""
    payload = _json({"bytes": base64.b64encode(event).decode()})
    headers = b""
    for name, value in (
        (b":event-type", b"chunk"),
        (b":content-type", b"application/json"),
        (b":message-type", b"event"),
    ):
        headers += bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", binascii.crc32(message))


def received(front: str) -> Any:
    """The bodies that came since this was asked last."""
    link = http.client.HTTPConnection(front.partition("//")[2], timeout=10)
    try:
        link.request("GET", "/requests")
        return json.loads(link.getresponse().read())
    finally:
        link.close()


@contextmanager
def running_front(simulator: str) -> Iterator[str]:
    """Its address, as long as the block."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.daemon_threads = True
    server.simulator = simulator.partition("//")[2]
    server.received = []
    server.is_over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
