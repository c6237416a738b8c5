"""What benchmarks.gateway_race and benchmarks.gateway_outage share: LLMLab with two `llm` workers before a provider
that counts, and the comparison of both sides' books."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from benchmarks.gateway_crowd import Seen
from benchmarks.gateway_sides import PROGRAMS, wait_for
from benchmarks.stack import ROOT, START_SECONDS, Stack
from config import children
from config.embedded.state import free_port

# gpt-4o-mini, in USD per token.
INPUT_USD, OUTPUT_USD = Decimal("0.15") / 10**6, Decimal("0.60") / 10**6
WORKERS = ("llm", "llm2")
# As `beat` does every minute and every ten seconds, the sweep at a moment of the clock that may lie ahead.
_SWEEP = """
import datetime as dt, sys, django
django.setup()
from django.utils import timezone
from gateway.quotas import sweeping
from gateway.recording import recorder, replay, writer
replay.replay(directory=recorder.directory(), write=writer.record, clock=timezone.now)
print(sweeping.sweep(timezone.now() + dt.timedelta(seconds=float(sys.argv[1]))))
"""


@dataclass
class House:
    """The whole of it."""

    stack: Stack
    provider: str
    key: str
    ids: dict[str, str]  # limits and budgets by user
    database: Any = field(init=False)

    def __post_init__(self) -> None:
        self.database = self.stack.connect()

    def start_worker(self, name: str) -> None:
        arguments = [one.replace("llm@", f"{name}@") for one in PROGRAMS["llm"]]
        self.stack._spawn(name, arguments)

    def wait_for_workers(self, count: int = len(WORKERS)) -> None:
        """Until so many take calls."""
        end = time.monotonic() + START_SECONDS
        with Redis.from_url(self.stack.redis_url()) as redis:
            while redis.zcard("{gw}:workers") < count:
                if time.monotonic() > end:
                    raise RuntimeError(f"No worker:\n{self.stack.log('llm')[-3000:]}")
                time.sleep(0.05)

    def counted(self) -> dict[str, dict[str, tuple[int, int]]]:
        """The provider's own books: user → response id → input and output tokens."""
        with urllib.request.urlopen(self.provider, timeout=10) as answer:
            found: dict[str, dict[str, tuple[int, int]]] = json.load(answer)["answered"]
        return found

    def sweep(self, ahead_s: float = 0.0) -> int:
        """Replay dead processes' journals, then sweep as if it were so much later; how many reservations that freed."""
        return int(self.stack._run("-c", _SWEEP, str(ahead_s)).split()[-1])

    def value(self, sql: str, *params: Any) -> Any:
        row = self.database.execute(sql, params).fetchone()
        return row[0] if row else None

    def reservations(self) -> int:
        return int(self.value("SELECT count(*) FROM gateway_reservation"))

    def spent(self, user: str) -> Decimal:
        """What the ledger says the user's calls cost."""
        return Decimal(
            self.value(
                "SELECT coalesce(sum(cost_usd), 0) FROM costs_costrecord WHERE user_id = %s", user
            )
        )

    def settled(self, seconds: float, *, every_s: float = 0.3, seen: Iterable[Seen] = ()) -> float:
        """Wait until nothing is set aside, the request list stands still and has all of `seen` that were answered; how
        long that took."""
        wanted = [one.call_id for one in seen if one.is_whole]
        began = time.monotonic()
        before = -1
        while time.monotonic() - began < seconds:
            rows = int(self.value("SELECT count(*) FROM gateway_llmrequest"))
            noted = self.value(
                "SELECT count(*) FROM gateway_llmrequest WHERE id = ANY(%s::text[]::uuid[])", wanted
            )
            if rows == before and noted == len(wanted) and not self.reservations():
                break
            before = rows
            time.sleep(every_s)
        return time.monotonic() - began


@dataclass
class Books:
    """One user's calls, as client, provider and LLMLab saw them. Every name in `wrong` should be 0."""

    house: House
    user: str
    seen: list[Seen]

    def __post_init__(self) -> None:
        database = self.house.database
        self.rows = database.execute(
            "SELECT replace(id::text, '-', ''), state, cost_usd, span_id FROM gateway_llmrequest WHERE user_id = %s",
            [self.user],
        ).fetchall()
        self.steps = database.execute(
            "SELECT span_id, response_id FROM traces_span WHERE span_id = ANY(%s) AND NOT is_cache_hit",
            [[span_id for _, _, _, span_id in self.rows if span_id]],
        ).fetchall()
        self.ledger = database.execute(
            "SELECT span_id, cost_usd FROM costs_costrecord WHERE user_id = %s", [self.user]
        ).fetchall()
        self.counted = self.house.counted().get(self.user, {})

    @property
    def lost(self) -> int:
        return sum(state == "lost" for _, state, _, _ in self.rows)

    @property
    def real_usd(self) -> Decimal:
        """By the provider's own count."""
        return sum((_cost(*used) for used in self.counted.values()), Decimal(0))

    def wrong(self) -> dict[str, int]:
        noted = [call_id for call_id, _, _, _ in self.rows]
        told = {one.call_id for one in self.seen if one.call_id}
        whole = {one.call_id for one in self.seen if one.is_whole}
        answers = [response for _, response in self.steps if response]
        cost_of = dict(self.ledger)
        differs = sum(
            cost_of.get(span_id) != _cost(*self.counted[response])
            for span_id, response in self.steps
            if response in self.counted and span_id in cost_of
        )
        unknown = len(set(self.counted) - set(answers))
        return {
            "answered without a row": len(whole - set(noted)),
            "rows twice": len(noted) - len(set(noted)),
            "rows nobody asked for": len(set(noted) - told)
            if all(one.call_id for one in self.seen)
            else 0,
            "charged twice": len(answers)
            - len(set(answers))
            + len(self.ledger)
            - len({span_id for span_id, _ in self.ledger}),
            "answers the provider never gave": len(set(answers) - set(self.counted)),
            # Those of killed workers are charged without the provider's id.
            "answers nobody was charged for": max(0, unknown - self.lost),
            "other cost than the provider's": differs,
        }


def _cost(into: int, out: int) -> Decimal:
    return into * INPUT_USD + out * OUTPUT_USD


@contextmanager
def provider(shortest: float, longest: float) -> Iterator[str]:
    """The counting provider, in a process of its own; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway_counting", str(port), str(shortest), str(longest)],
        cwd=ROOT, preexec_fn=children.die_with_parent(15),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def house(
    limits: list[tuple[str, str, str]],
    *,
    waits: tuple[float, float],
    programs: tuple[str, ...] = (),
) -> Iterator[House]:
    """A stack with two workers, and these limits: user, metric (or `budget`), amount."""
    with provider(*waits) as url:
        environ = {
            "LLMLAB_OUTBOUND_ALLOW": urlsplit(url).netloc,
            "CELERY_SKIP_CHECKS": "1",
            "MALLOC_ARENA_MAX": "2",
            "LLMLAB_GATEWAY_DRAIN_SECONDS": "5",
        }
        with Stack(environ=environ) as stack:
            raw = stack._run(
                "-m", "benchmarks.gateway_books_seed", stack.project_id, url, json.dumps(limits)
            )
            made = House(stack, url, **json.loads(raw))
            for name in programs:
                stack._spawn(name, PROGRAMS[name])
            for name in WORKERS:
                made.start_worker(name)
            made.wait_for_workers()
            yield made
