"""How long the cost explorer takes: a million calls of 30 days in one project, grouped by every two dimensions.

`python -m benchmarks.explorer [--keep DIR]` fills a project through the ledger's writer, keeps the facts of its days
and times each pair of dimensions in one process, without a cache of answers: with the columns in memory, with nothing
in memory, and with today's calls read from the ledger because today still moves. Then the same over HTTP. A directory
that was filled before is used as it is.
"""

import argparse
import datetime as dt
import itertools
import json
import random
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import django

from benchmarks.stack import ROOT, Stack, machine

BAR_MS = 200
CALLS = 1_000_000
DAYS = 30
BATCH = 5_000
MEASURES = ("cost_usd", "calls", "total_tokens")
HEAVY = ("cost_usd", "cost_per_user", "cost_per_session", "cache_savings_usd")
MODELS = (
    ("openai", "gpt-5-mini-2025-08-07", 40),
    ("openai", "gpt-4o-2024-08-06", 20),
    ("openai", "gpt-5-nano-2025-08-07", 10),
    ("anthropic", "claude-sonnet-4-5-20250929", 20),
    ("anthropic", "claude-haiku-4-5-20251001", 8),
    ("acme", "acme-llama-70b", 2),  # no price
)
TAGS = ("gold", "trial", "beta", "eu", "us", "mobile", "web", "batch")


def calls_of(day: dt.date, count: int) -> Any:
    """A day's calls: sessions of about eight calls, traces of about four, 5,000 users, 500 customers."""
    from costs.usage import ChargeableCall, Usage

    chance = random.Random(f"explorer:{day}")
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    weights = [weight for *_, weight in MODELS]
    keys = [str(UUID(int=number + 1)) for number in range(25)]
    for number in range(count):
        if number % 8 == 0:
            # Half of the sessions are a few busy users', the other half anybody's.
            busy = int(chance.paretovariate(0.7)) % 5000
            user = busy if chance.random() < 0.5 else chance.randrange(5000)
            owner = random.Random(user)
            mine = (f"customer:c{owner.randrange(500)}", f"team:t{owner.randrange(12)}")
            start = midnight + dt.timedelta(seconds=chance.triangular(0, 86_000, 52_000))
        provider, model, _ = chance.choices(MODELS, weights)[0]
        read = chance.choice((0, 0, 1024))
        yield ChargeableCall(
            record_id=f"{day:%y%m%d}{number:07d}",
            occurred_at=start + dt.timedelta(seconds=number % 8 * 20),
            trace_id=f"{day:%y%m%d}t{number // 4:06d}",
            provider=provider,
            model=model,
            request_model=model,
            operation="chat" if chance.random() < 0.9 else "embeddings",
            service_tier=chance.choice(("", "", "flex", "priority")),
            usage=Usage(
                input_tokens=read + chance.randrange(50, 6000),
                output_tokens=chance.randrange(5, 1200),
                cache_read_input_tokens=read,
            ),
            is_error=chance.random() < 0.02,
            latency_ms=chance.lognormvariate(7, 0.7),
            environment=chance.choice(("production",) * 8 + ("staging", "dev")),
            agent=f"agent-{chance.randrange(12)}",
            user_id=f"user-{user}",
            session_id=f"{day:%y%m%d}s{number // 8}",
            feature=f"feature-{chance.randrange(40)}",
            prompt_version=f"prompt-{chance.randrange(15)}@{chance.randrange(8)}",
            tags=(*mine, *chance.sample(TAGS, chance.randrange(3))),
            api_key_id=chance.choice(keys),
        )


def days_back(today: dt.date) -> list[dt.date]:
    return [today - dt.timedelta(days=number) for number in range(DAYS)]


def fill(project_id: UUID, calls: int, today: dt.date) -> None:
    """The days' calls, by the ledger's writer."""
    from costs.services.record_costs import record_costs

    for day in days_back(today):
        rows = calls_of(day, calls // DAYS)
        while batch := list(itertools.islice(rows, BATCH)):
            now = dt.datetime.combine(day, dt.time(23), dt.UTC)
            record_costs(project_id=project_id, calls=batch, now=now)


def measure(project_id: UUID, today: dt.date) -> dict[str, Any]:
    """Times of every pair in this process; the first question is a cold process's."""
    from costs.explorer.ask import DIMENSIONS, Question, answer
    from costs.explorer.facts import memory

    first = dt.datetime.combine(today - dt.timedelta(days=DAYS - 1), dt.time(), dt.UTC)
    end = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(), dt.UTC)

    def ask(by: tuple[str, ...], **facts: Any) -> float:
        asked = Question((project_id,), first, end, by=by, limit=100, **facts)
        started = time.perf_counter()
        answer(asked)
        return (time.perf_counter() - started) * 1000

    before = resident_mb()
    found: dict[str, Any] = {
        "process": [("model", "user", ask(("model", "user"), measures=MEASURES))]
    }
    pairs = list(itertools.combinations(DIMENSIONS, 2))

    def every(name: str, before_each: Callable[[], None] | None = None, **facts: Any) -> None:
        found[name] = []
        for pair in pairs:
            if before_each:
                before_each()
            found[name].append((*pair, ask(pair, **facts)))

    every("cold", memory.clear, measures=MEASURES)
    every("fill", measures=MEASURES)
    every("warm", measures=MEASURES)
    every("by day", measures=MEASURES, bin="day")
    every("by hour", measures=("cost_usd",), bin="hour")
    every("per user and session", measures=HEAVY)
    every("per user and session, warm", measures=HEAVY)
    found["memory"] = (before, resident_mb(), memory.size / 2**20)
    return found


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(found: dict[str, Any]) -> tuple[str, bool]:
    """p50, p95 and the slowest pair of each way to ask."""
    lines = ["| way | p50 ms | p95 ms | slowest |", "|---|---|---|---|"]
    worst = 0.0
    for name, times in found.items():
        if name == "memory":
            continue
        ordered = sorted(one[-1] for one in times)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        slow = max(times, key=lambda one: one[-1])
        lines.append(
            f"| {name} | {statistics.median(ordered):.0f} | {p95:.0f} | {slow[0]} × {slow[1]}: {slow[-1]:.0f} |"
        )
        if name in ("cold", "warm"):
            worst = max(worst, p95)
    return "\n".join(lines), worst <= BAR_MS


def run(stack: Stack, *arguments: str) -> str:
    """This module as a process of its own beside the stack's database."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.explorer", "--project", stack.project_id, *arguments],
        cwd=ROOT, env=stack.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def over_http(stack: Stack, rounds: int) -> list[tuple[str, str, float]]:
    """Milliseconds to the last byte of the API, another question each time."""
    from costs.explorer.dimensions import DIMENSIONS

    pairs = list(itertools.combinations(DIMENSIONS, 2))
    random.Random(3).shuffle(pairs)
    found = []
    for pair in pairs[:rounds]:
        path = f"/api/v1/projects/{stack.slug}/costs/explore?range=30d&by={','.join(pair)}"
        request = urllib.request.Request(
            stack.url + path, headers={"Authorization": f"Bearer {stack.key}"}
        )
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        found.append((*pair, (time.perf_counter() - started) * 1000))
    return found


def inside(options: argparse.Namespace) -> None:
    """The parts that run in the stack's environment."""
    django.setup()
    project_id, today = UUID(options.project), dt.date.fromisoformat(options.today)
    if options.fill:
        fill(project_id, options.calls, today)
    elif options.keep_facts:
        from costs.explorer.keeping import keep_range

        started = time.perf_counter()
        count = keep_range(project_id, days_back(today)[-1], today + dt.timedelta(days=1))
        print(f"{count} days kept in {time.perf_counter() - started:.1f} s", flush=True)
    else:
        print(json.dumps(measure(project_id, today)), flush=True)


def main() -> int:
    """Exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description="Time the cost explorer.")
    parser.add_argument("--keep", type=Path, help="directory of the data, used again when filled")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--http", type=int, default=60, help="questions over HTTP")
    parser.add_argument("--project", help=argparse.SUPPRESS)
    parser.add_argument("--fill", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--today", default=f"{dt.datetime.now(dt.UTC).date()}", help=argparse.SUPPRESS
    )
    parser.add_argument("--keep-facts", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.project:
        inside(options)
        return 0
    print(machine(), flush=True)
    with Stack(keep=options.keep) as stack, stack.connect() as database:
        count: Any = database.execute(
            "SELECT count(*), max(occurred_at) FROM costs_costrecord"
        ).fetchone()
        today = f"{count[1]:%Y-%m-%d}" if count[0] else options.today
        started = time.perf_counter()
        if not count[0]:
            # One process: bare records of a project are written one batch at a time.
            run(stack, "--fill", "--calls", str(options.calls), "--today", today)
            database.execute("VACUUM ANALYZE")
        print(f"filled in {time.perf_counter() - started:.0f} s", flush=True)
        print(run(stack, "--keep-facts", "--today", today), end="", flush=True)
        size: Any = database.execute(
            "SELECT sum(octet_length(data)), sum(rows) FROM costs_dayfacts"
        ).fetchone()
        print(f"{size[1]:,} calls, facts {size[0] / 2**20:.1f} MiB", flush=True)
        found = json.loads(run(stack, "--today", today))
        # A writer just recorded a call: today is read from the ledger.
        database.execute("UPDATE costs_costday SET version = version + 1 WHERE day = %s", [today])
        found["today moves"] = json.loads(run(stack, "--today", today))["cold"]
        run(stack, "--keep-facts", "--today", today)
        if options.http:
            found["over HTTP"] = over_http(stack, options.http)
    text, is_met = table(found)
    print(text)
    before, after, columns = found["memory"]
    print(f"memory: {before:.0f} MiB before, {after:.0f} at most, of it columns {columns:.0f}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
