"""An OpenAI-compatible embeddings endpoint on a free port: texts that share letters get vectors that are close."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class EmbeddingsServer:
    """`asked` holds the texts of each request; `status` other than 200 is what it answers."""

    def __init__(self, *, dimensions: int) -> None:
        self.dimensions, self.status = dimensions, 200
        self.asked: list[list[str]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.asked.append(body["input"])
                answer = fake.answer(body) if fake.status == 200 else {"error": {"message": "no"}}
                raw = json.dumps(answer).encode()
                self.send_response(fake.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        data = [
            {"object": "embedding", "index": index, "embedding": self._vector(text)}
            for index, text in enumerate(body["input"])
        ]
        used = 10 * len(data)
        usage = {"prompt_tokens": used, "total_tokens": used}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}

    def _vector(self, text: str) -> list[float]:
        counts = [1.0] * self.dimensions
        for letter in text.lower():
            counts[ord(letter) % self.dimensions] += 1
        return counts

    def __enter__(self) -> "EmbeddingsServer":
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
