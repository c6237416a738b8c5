"""A proxy that lets the server do its work and then spoils the answer, as a dying load balancer would."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Spoil = Literal["503", "cut"]


class UnreliableProxy:
    """Forwards everything; the first answers are spoiled in the given order. `statuses` is what the server said."""

    def __init__(self, target: str, spoils: list[Spoil]) -> None:
        self.target, self.spoils = urlsplit(target), spoils
        self.statuses: list[int] = []
        self.lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy.pass_on(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        assert self.target.hostname
        connection = http.client.HTTPConnection(self.target.hostname, self.target.port, timeout=30)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        connection.request("POST", request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        with self.lock:
            self.statuses.append(answer.status)
            spoil = self.spoils.pop(0) if self.spoils else None
        if spoil == "cut":
            request.close_connection = True
            return
        request.send_response(503 if spoil else answer.status)
        if spoil:
            request.send_header("Retry-After", "0")
            content = b""
        request.send_header("Content-Type", "application/x-protobuf")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


@contextmanager
def unreliable_proxy(target: str, *spoils: Spoil) -> Iterator[UnreliableProxy]:
    """Runs in a thread as long as the block."""
    proxy = UnreliableProxy(target, list(spoils))
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join(5)
