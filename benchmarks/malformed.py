"""The corpus of malformed uploads against the running server: no 5xx, no neighbour lost, memory back where it was.

Each body of tests/traces/corpus goes to its door between two good uploads, which must be stored. Memory is what web
parent and children hold, compared with the same server warmed up by good uploads and the corpus once.
"""

import argparse
import collections
import gzip
import http.client
import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from benchmarks import traffic
from benchmarks.stack import Stack, machine
from tests.traces.corpus import Case, cases

BAR_MIB = 64
PATHS = {
    "otlp": "/v1/traces",
    "traces": "/api/v1/projects/{slug}/traces",
    "costs": "/api/v1/projects/{slug}/costs",
    "langfuse": "/api/public/ingestion",
}


@dataclass
class Outcome:
    """What the server did with the corpus."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    neighbours: set[str] = field(default_factory=set)
    refused_neighbours: list[str] = field(default_factory=list)

    @property
    def server_errors(self) -> int:
        return sum(n for status, n in self.statuses.items() if status >= 500 or status == 0)


class Sender:
    """One keep-alive connection with a key."""

    def __init__(self, url: str, slug: str, key: str) -> None:
        self.address, self.slug, self.key = urlsplit(url), slug, key
        self.connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body; status 0 when the server hung up without an answer."""
        assert self.address.hostname
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                self.address.hostname, self.address.port, timeout=60
            )
        try:
            self.connection.request(
                "POST", path, body, {"Authorization": f"Bearer {self.key}", **headers}
            )
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return 0, repr(error).encode()

    def send_case(self, case: Case) -> tuple[int, bytes]:
        headers = {"Content-Type": case.content_type}
        if case.encoding:
            headers["Content-Encoding"] = case.encoding
        return self.post(PATHS[case.door].format(slug=self.slug), case.body, headers)

    def send_neighbour(self) -> tuple[str, int]:
        """A good trace through the JSON door; its id and the status."""
        trace_id = f"neighbour-{uuid.uuid4().hex}"
        step = {
            "id": "s1",
            "type": "llm",
            "model": "gpt-5-mini",
            "input_tokens": 10,
            "output_tokens": 5,
        }
        trace = {
            "trace_id": trace_id,
            "name": "neighbour",
            "started_at": time.time() - 1,
            "duration_ms": 900,
            "steps": [step],
        }
        body = gzip.compress(json.dumps({"traces": [trace]}).encode())
        path = PATHS["traces"].format(slug=self.slug)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        status, content = self.post(path, body, headers)
        is_stored = status == 207 and json.loads(content)["results"][0]["result"] == "stored"
        return trace_id, 201 if is_stored else status

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def send_corpus(sender: Sender, corpus: list[Case]) -> Outcome:
    """Every case with a good neighbour after it."""
    outcome = Outcome()
    for case in corpus:
        status, content = sender.send_case(case)
        outcome.statuses[status] += 1
        if not is_expected(case, status, content):
            outcome.wrong.append(
                f"{case.name}: {status}, expected {case.statuses}: {content[:150]!r}"
            )
        trace_id, answered = sender.send_neighbour()
        outcome.neighbours.add(trace_id)
        if answered != 201:
            outcome.refused_neighbours.append(f"after {case.name}: {answered}")
    return outcome


def is_expected(case: Case, status: int, content: bytes) -> bool:
    """The door's answer, or the launcher's 400 for headers that are no HTTP (a NUL, multipart without boundary)."""
    return status in case.statuses or (status == 400 and b"not a valid HTTP request" in content)


def lost_neighbours(stored: set[str], outcome: Outcome) -> int:
    return len(outcome.neighbours - stored)


def warm_up(sender: Sender) -> None:
    """Good traffic, so that every process has loaded what it needs."""
    for body, _ in traffic.requests(40, seed=time.time_ns()):
        sender.post(PATHS["otlp"], body, {"Content-Type": "application/x-protobuf"})
        sender.close()  # the next one may land on the other process


def main() -> int:
    """`python -m benchmarks.malformed`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    corpus = cases(datetime.now(UTC))
    with Stack() as stack, stack.connect() as database:
        sender = Sender(stack.url, stack.slug, stack.key)
        warm_up(sender)
        send_corpus(sender, corpus)
        before = stack.web_rss()
        outcomes = [send_corpus(sender, corpus) for _ in range(options.rounds)]
        sender.close()
        grown = (stack.web_rss() - before) / 2**20
        stored: set[Any] = {row[0] for row in database.execute("SELECT trace_id FROM traces_trace")}
    lost = sum(lost_neighbours(stored, outcome) for outcome in outcomes)
    errors = sum(outcome.server_errors for outcome in outcomes)
    wrong = [text for outcome in outcomes for text in outcome.wrong]
    statuses = sum((outcome.statuses for outcome in outcomes), collections.Counter())
    print(machine())
    print(
        f"{len(corpus)} malformed bodies × {options.rounds}: answers {dict(statuses.most_common())}"
    )
    print(
        f"5xx or no answer: {errors}; neighbours lost: {lost}; web memory {grown:+.1f} MiB (bar ≤ {BAR_MIB})"
    )
    print(f"other than expected: {len(wrong)}", *wrong[:10], sep="\n  ")
    return 0 if not errors and not lost and grown <= BAR_MIB and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
