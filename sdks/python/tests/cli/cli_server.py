"""A small LLMLab for the command line's tests: answers by path, keeps what it was asked, stores each id once."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any, dict[str, str]]


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """Header names are written with underscores."""
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


class Server:
    """`routes` maps "METHOD /path" to an answer, or to a function of the request; a list is used up one by one."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.stored: dict[str, Any] = {}
        self.refuse: Callable[[Any], str] = lambda item: ""
        self.most = 10_000
        here = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                raw = (
                    gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
                )
                status, body, headers = here.reply(self.command, self.path, dict(self.headers), raw)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _do

            def log_message(self, *_: Any) -> None:
                pass

        class Listening(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self.http = Listening(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def reply(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        parts = urlsplit(path)
        request = {
            "method": method,
            "path": parts.path,
            "query": parse_qs(parts.query, keep_blank_values=True),
            "headers": {name.lower(): value for name, value in headers.items()},
            "body": json.loads(raw) if raw else None,
        }
        self.requests.append(request)
        route = self.routes.get(f"{method} {parts.path}")
        if isinstance(route, list):
            route = route.pop(0) if route else None
        if callable(route):
            route = route(request)
        if route is not None:
            found: Answer = route
            return found
        if parts.path == "/healthz":
            return answer({"status": "ok", "service": "llmlab", "version": "0.2.0"})
        if method == "POST" and parts.path.rsplit("/", 1)[-1] in ("traces", "costs", "scores"):
            return self._take(parts.path, request["body"])
        return answer({"detail": "Not found.", "code": "not_found", "fields": []}, 404)

    def _take(self, path: str, body: Any) -> Answer:
        """The doors: as the server answers, by each item's id."""
        if path == "/v1/traces":
            return self._take_otlp(body)
        name = path.rsplit("/", 1)[-1]
        items = body[name]
        if len(items) > self.most:
            return answer({"detail": "too many", "code": "too_many_items", "fields": []}, 413)
        results = []
        for index, item in enumerate(items):
            key = f"{name}:{item.get('root_id') or item.get('trace_id') or item['id']}"
            if name != "traces":
                key = f"{name}:{item['id']}"
            reason = self.refuse(item)
            if reason:
                results.append(
                    {"index": index, "status": 400, "result": "rejected", "detail": reason}
                )
                continue
            word = "duplicate" if key in self.stored else "stored"
            self.stored.setdefault(key, item)
            results.append({"index": index, "status": 201, "result": word, "rejected": []})
        return answer({"results": results}, 207)

    def _take_otlp(self, body: Any) -> Answer:
        spans = [
            span
            for one in body["resourceSpans"]
            for scope in one["scopeSpans"]
            for span in scope["spans"]
        ]
        refused = [
            (index, self.refuse(span)) for index, span in enumerate(spans) if self.refuse(span)
        ]
        for span in spans:
            if not self.refuse(span):
                self.stored[f"otlp:{span['spanId']}"] = span
        if not refused:
            return answer({})
        words = "; ".join(f"span {index}: {reason}" for index, reason in refused[:2])
        words += f"; and {len(refused) - 2} more" if len(refused) > 2 else ""
        return answer(
            {"partialSuccess": {"rejectedSpans": str(len(refused)), "errorMessage": words}}
        )

    def asked(self, path: str) -> list[dict[str, Any]]:
        """Requests to a path."""
        return [request for request in self.requests if request["path"] == path]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
