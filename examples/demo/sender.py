"""Sends stories to LLMLab over HTTP and does not give up while the server is busy or away."""

import gzip
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import httpx2

from examples.demo.otlp import otlp_body
from examples.demo.story import Story, trace_item

logger = logging.getLogger(__name__)
PASSING = frozenset({429, 502, 503, 504})
LONGEST_WAIT = 30.0


class RefusedError(Exception):
    """LLMLab will not take this, however often it is sent."""


class Sender:
    """One connection pool to one LLMLab project. Safe to use from several threads."""

    def __init__(
        self, base_url: str, project: str, key: str, *, patience: float = 300.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        self.project = project
        self.patience = patience
        self._sleep = sleep
        self._http = httpx2.Client(
            base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=60.0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def send_json(self, stories: Sequence[Story]) -> None:
        """Sends whole stories through the JSON door."""
        self.send_items([trace_item(story) for story in stories])

    def send_items(self, items: Sequence[dict[str, Any]]) -> None:
        """Sends ready-made trace items; raises RefusedError naming the first one refused."""
        answer = self._post(
            f"/api/v1/projects/{self.project}/traces",
            json.dumps({"traces": items}).encode(),
            "application/json",
        )
        for result in answer.json().get("results", []):
            if result.get("rejected"):
                raise RefusedError(f"LLMLab refused a trace: {result}")

    def send_scores(self, scores: Sequence[dict[str, Any]]) -> None:
        """Sends scores; raises RefusedError naming the first one refused."""
        answer = self._post(
            f"/api/v1/projects/{self.project}/scores",
            json.dumps({"scores": scores}).encode(),
            "application/json",
        )
        for result in answer.json()["results"]:
            if result["result"] == "rejected":
                raise RefusedError(f"LLMLab refused a score: {result}")

    def send_otlp(self, stories: Sequence[Story]) -> None:
        """Sends whole stories through the OTLP door, as protobuf."""
        answer = self._post("/v1/traces", otlp_body(stories), "application/x-protobuf")
        if answer.content:
            raise RefusedError(f"LLMLab refused spans: {answer.content[:300]!r}")

    def _post(self, path: str, body: bytes, kind: str) -> httpx2.Response:
        """Posts until it is stored; raises RefusedError on a lasting error or when patience ends."""
        headers = {"content-type": kind, "content-encoding": "gzip"}
        body = gzip.compress(body, compresslevel=1)
        deadline, attempt, said = time.monotonic() + self.patience, 0, ""
        while True:
            wait = min(0.25 * 2**attempt, LONGEST_WAIT) * random.uniform(0.7, 1.3)
            try:
                answer = self._http.post(path, content=body, headers=headers)
                if answer.is_success:
                    return answer
                said = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code not in PASSING:
                    raise RefusedError(f"LLMLab answered {path} with {said}")
                asked = answer.headers.get("retry-after", "")
                wait = max(wait, float(asked)) if asked.isdigit() else wait
            except httpx2.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            if time.monotonic() + wait > deadline:
                raise RefusedError(
                    f"LLMLab did not take {path} in {self.patience:.0f} s; last: {said}"
                )
            logger.info("demo.send.waiting %.1f s after %s", wait, said)
            self._sleep(wait)
            attempt += 1
