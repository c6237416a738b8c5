"""SIGKILL of web child, web parent, worker and Redis in random order while clients send: nothing acknowledged may be
missing, nothing may be counted twice, every sum must equal its raw rows.

Clients keep a body until it is answered with 2xx, as the OpenTelemetry exporter does on a lost connection, 429 and 503;
any other answer is counted as a failure of its own. A tenth of what was acknowledged is sent again on purpose.
"""

import argparse
import collections
import http.client
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks import exactness, traffic
from benchmarks.stack import Stack, machine

CLIENTS = 4
SPANS = 20
VICTIMS = ("web child", "web parent", "worker", "redis", "redis flushed")
Key = tuple[str, str]


@dataclass
class Tally:
    """What the clients saw."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: set[Key] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    requests: int = 0
    again: int = 0
    retries: collections.Counter[str] = field(default_factory=collections.Counter)
    unexpected: list[str] = field(default_factory=list)


@dataclass
class Upload:
    """One body and what its acknowledgement promises: steps, and records of those that are calls."""

    path: str
    kind: str
    body: bytes
    keys: set[Key]
    calls: set[str]


class Client(threading.Thread):
    """Sends until told to stop; finishes what it has begun."""

    def __init__(self, stack: Stack, seed: int, tally: Tally, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.stack, self.tally, self.stop = stack, tally, stop
        self.chance = random.Random(seed)
        self.spans = traffic.requests(10**9, spans=SPANS, seed=seed)
        self.numbers = itertools.count()
        self.name_prefix = f"c{seed}"
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        done: list[Upload] = []
        while not self.stop.is_set():
            uploads = self._json() if self.chance.random() < 0.4 else [self._otlp()]
            if done and self.chance.random() < 0.1:
                uploads = [*uploads, self.chance.choice(done)]
                with self.tally.lock:
                    self.tally.again += 1
            for upload in uploads:
                self._deliver(upload)
            done = [*done[-20:], *uploads]
        if self.connection is not None:
            self.connection.close()

    def _otlp(self) -> Upload:
        body, spans = next(self.spans)
        keys = {(span.trace_id.hex(), span.span_id.hex()) for span in spans}
        calls = {
            f"{span.trace_id.hex()}/{span.span_id.hex()}"
            for span in spans
            if span.name.startswith("chat ")
        }
        return Upload("/v1/traces", "application/x-protobuf", body, keys, calls)

    def _json(self) -> list[Upload]:
        """A trace announced while its steps run, then ended: two uploads of the same ids."""
        trace_id = f"{self.name_prefix}-{next(self.numbers)}"
        now = time.time()
        steps = [
            {"id": f"s{n}", "type": "llm", "provider": "openai", "model": "gpt-5-mini", "user": f"u{n}",
             "input": "Where is my order?", "started_at": now - 5 + n}
            for n in range(3)
        ]  # fmt: skip
        running = [{**step, "status": "running"} for step in steps]
        ended = [
            {**step, "status": "ok", "latency_ms": 800, "output": "On its way.",
             "input_tokens": self.chance.randrange(1, 5000), "output_tokens": self.chance.randrange(1, 500)}
            for step in steps
        ]  # fmt: skip
        keys = {(trace_id, trace_id), *((trace_id, str(step["id"])) for step in steps)}
        calls = {f"{trace_id}/{step['id']}" for step in steps}
        base = {"trace_id": trace_id, "name": "order-agent", "started_at": now - 6}
        return [
            self._json_upload({**base, "status": "running", "steps": running}, keys, set()),
            self._json_upload(
                {**base, "status": "ok", "ended_at": now, "steps": ended}, keys, calls
            ),
        ]

    def _json_upload(self, trace: dict[str, Any], keys: set[Key], calls: set[str]) -> Upload:
        body = json.dumps({"traces": [trace]}).encode()
        path = f"/api/v1/projects/{self.stack.slug}/traces"
        return Upload(path, "application/json", body, keys, calls)

    def _deliver(self, upload: Upload) -> None:
        while True:
            outcome = self._send(upload)
            with self.tally.lock:
                if outcome == "":
                    self.tally.requests += 1
                    self.tally.acknowledged |= upload.keys
                    self.tally.calls |= upload.calls
                    return
                self.tally.retries[outcome] += 1
            time.sleep(0.05 + self.chance.random() * 0.1)

    def _send(self, upload: Upload) -> str:
        """Empty when everything was acknowledged, else the reason to try again."""
        address = urlsplit(self.stack.url)
        assert address.hostname
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    address.hostname, address.port, timeout=10
                )
            headers = {
                "Authorization": f"Bearer {self.stack.key}",
                "Content-Type": upload.kind,
            }
            self.connection.request("POST", upload.path, upload.body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return type(error).__name__
        if answer.status == 200 and not content:
            return ""
        if answer.status == 207 and all(
            result["status"] in (200, 201) for result in json.loads(content)["results"]
        ):
            return ""
        if answer.status not in (429, 503):
            with self.tally.lock:
                self.tally.unexpected.append(f"{answer.status} {content[:200]!r}")
        return str(answer.status)


def strike(stack: Stack, victim: str, chance: random.Random) -> None:
    """Kill one part; parents and services are started again after a moment, as a supervisor would."""
    if victim == "web child":
        if children := stack.web_children():
            os.kill(chance.choice(children), signal.SIGKILL)  # the launcher replaces it
        return
    name = {"web parent": "web", "redis flushed": "redis"}.get(victim, victim)
    if victim == "redis flushed":
        with redis.Redis.from_url(stack.redis_url()) as client:
            client.flushall()
    stack.kill(name)
    time.sleep(chance.random() * 0.5)
    {"web": stack.start_web, "redis": stack.start_redis, "worker": stack.start_worker}[name]()


@dataclass
class Verdict:
    """What the database says after the run."""

    rounds: list[str]
    tally: Tally
    missing_spans: int
    missing_calls: int
    discrepancies: list[str]
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not (
            self.missing_spans or self.missing_calls or self.discrepancies or self.tally.unexpected
        )

    def text(self) -> str:
        tally = self.tally
        kills = ", ".join(f"{n} × {v}" for v, n in collections.Counter(self.rounds).most_common())
        retries = ", ".join(f"{n} × {w}" for w, n in tally.retries.most_common()) or "none"
        return "\n".join(
            [
                f"{len(self.rounds)} rounds in {self.seconds:.0f} s: {kills}",
                f"requests acknowledged {tally.requests:,} ({tally.again} sent again on purpose), "
                f"steps {len(tally.acknowledged):,}, "
                f"calls {len(tally.calls):,}",
                f"retries by the clients: {retries}",
                f"acknowledged missing: {self.missing_spans} steps, {self.missing_calls} cost records",
                f"disagreements and doubles: {'; '.join(self.discrepancies) or 'none'}",
                f"unexpected answers: {tally.unexpected[:3] or 'none'}",
            ]
        )


def run(
    stack: Stack, *, rounds: int, seed: int, pause: tuple[float, float] = (0.3, 1.5)
) -> Verdict:
    """`rounds` kills, each victim at least once per five, while the clients send."""
    chance = random.Random(seed)
    order: list[str] = []
    while len(order) < rounds:
        order += chance.sample(VICTIMS, len(VICTIMS))
    tally, stop = Tally(), threading.Event()
    clients = [Client(stack, seed * 100 + n, tally, stop) for n in range(CLIENTS)]
    started = time.monotonic()
    for client in clients:
        client.start()
    try:
        for victim in order[:rounds]:
            time.sleep(chance.uniform(*pause))
            strike(stack, victim, chance)
        time.sleep(pause[1])
    finally:
        stop.set()
        for client in clients:
            client.join(60)
    seconds = time.monotonic() - started
    with stack.connect() as database:
        lost, _ = exactness.missing(database, stack.project_id, tally.acknowledged)
        stored = {
            row[0]
            for row in database.execute(
                "SELECT coalesce(record_id, trace_id || '/' || span_id) FROM costs_costrecord WHERE project_id = %s",
                [stack.project_id],
            )
        }
        found = exactness.discrepancies(database, stack.project_id)
    return Verdict(
        rounds=order[:rounds],
        tally=tally,
        missing_spans=lost,
        missing_calls=len(tally.calls - stored),
        discrepancies=found,
        seconds=seconds,
    )


def main() -> int:
    """`python -m benchmarks.kills [--rounds 20] [--seed 1]`; exit code 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with Stack(worker=True) as stack:
        verdict = run(stack, rounds=options.rounds, seed=options.seed)
        print(machine())
        print(f"seed {options.seed}")
        print(verdict.text())
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
