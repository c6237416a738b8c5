"""SIGKILL of the worker at random moments while it reads 90 days of bills of every provider and the providers correct
them: in the end the billed ledger equals the simulator's world to the last digit, nothing twice.

Corrections arrive while the histories are read, also for days that were read already. Once they have stopped, the
histories are read once more, still under kills. What was given up after three kills in one step goes on where it stood.
"""

import argparse
import collections
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

from celery import Celery

from benchmarks.stack import QUEUES, ROOT, Stack, machine
from config import children
from config.embedded.state import free_port

DAYS = 90
PROVIDERS = ("openai", "anthropic", "azure", "google")
CORRECTIONS_EVERY_S = 0.4
AZURE = "/subscriptions/0000/resourcegroups/rg1/providers/microsoft.cognitiveservices/accounts/"
# Sub-accounts, models, classes as each provider's bill can say them.
SHAPES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "openai": (
        ("proj_a", "proj_b", ""), ("gpt-5.5-2026-04-23", "gpt-5-mini-2025-08-07"),
        ("input", "cache_read", "output"),
    ),
    "anthropic": (
        ("wrkspc_a", ""), ("claude-opus-5-5", "claude-haiku-5"),
        ("input", "cache_read", "cache_write_5m", "output"),
    ),
    "azure": ((f"{AZURE}chat", f"{AZURE}night"), ("gpt-5.4", "gpt-5.6-luna"), ("input", "output")),
    "google": (("shop", "lab"), ("gemini-3.5-flash",), ("input", "cache_read", "output")),
}  # fmt: skip


BY_DAY = "SELECT day::text, sum(amount)::text, count(*) FROM costs_billedcost WHERE account_id = %s GROUP BY 1"
COSTS = "SELECT count(*), count(DISTINCT (day, natural_key)) FROM costs_billedcost WHERE account_id = %s"
USAGE = "SELECT count(*), count(DISTINCT (day, natural_key)) FROM costs_billedusage WHERE account_id = %s"
COUNTED = "SELECT sum(rows_added) - sum(rows_removed) FROM costs_providersync WHERE account_id = %s"
# The newest revision of a line that is still there says what the line says.
STALE = """
SELECT count(*) FROM (
  SELECT DISTINCT ON (day, natural_key) account_id, day, natural_key, after FROM costs_billedrevision
  WHERE account_id = %s AND NOT is_usage ORDER BY day, natural_key, id DESC) r
JOIN costs_billedcost c USING (account_id, day, natural_key) WHERE r.after IS DISTINCT FROM c.amount
"""


def charges_of(
    chance: random.Random, day: dt.date, provider: str, most: int
) -> list[dict[str, Any]]:
    """What a provider charges on a day: a few dozen lines with odd digits."""
    found = []
    accounts, models, classes = SHAPES[provider]
    for _ in range(most):
        # Hours that are the same day in Google's zone.
        at = dt.datetime.combine(day, dt.time(chance.randrange(9, 24)), dt.UTC)
        found.append(
            {
                "at": at.isoformat(),
                "provider": provider,
                "sub_account": chance.choice(accounts),
                "key": f"key_{chance.randrange(3)}" if provider in ("openai", "anthropic") else "",
                "model": chance.choice(models),
                "tier": chance.choice(("", "", "batch")),
                "token_class": chance.choice(classes),
                "quantity": str(chance.randrange(1, 10**7)),
                "requests": chance.randrange(1, 50),
                "amount": str(Decimal(chance.randrange(1, 10**12)) / 10**10),
            }
        )
    return found


class Simulator:
    """The providers, in a process of their own."""

    def __init__(self, slow_s: float) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "examples.simulator", "--port", str(self.port), "--pace", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=children.die_with_parent(signal.SIGTERM),
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.post("faults", {"slow_s": slow_s})

    def post(self, what: str, document: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.url}/simulator/billing/{what}",
            json.dumps(document).encode(),
            {"content-type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def totals(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/simulator/billing/totals", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Corrector(threading.Thread):
    """Late corrections: further charges and money taken back, on any day of the history, read already or not."""

    def __init__(self, simulator: Simulator, first: dt.date, seed: int) -> None:
        super().__init__(daemon=True)
        self.simulator, self.first = simulator, first
        self.chance, self.stop, self.sent = random.Random(seed), threading.Event(), 0

    def run(self) -> None:
        while not self.stop.wait(CORRECTIONS_EVERY_S):
            provider = self.chance.choice(PROVIDERS)
            day = self.first + dt.timedelta(days=self.chance.randrange(1, DAYS - 2))
            found = charges_of(self.chance, day, provider, 3)
            # Part of something is given back; the quantity stays.
            found[0] |= {"amount": f"-{found[0]['amount']}", "quantity": "0", "requests": 0}
            self.simulator.post("world", {"mode": "extend", "charges": found})
            self.sent += len(found)


@dataclass
class Run:
    """What happened."""

    kills: int = 0
    mid_step: int = 0
    resumed: int = 0
    passes: int = 1
    seconds: float = 0.0
    corrections: int = 0
    days_at_kill: list[int] = field(default_factory=list)


class Victim:
    """The worker as `make run` starts it: threads in one process, so that SIGKILL takes all of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.celery = Celery(broker=stack.redis_url())
        self.database = stack.connect()

    def start(self) -> None:
        arguments = ["-m", "celery", "-A", "config", "worker", "--pool", "threads", "-c", "4"]
        self.stack._spawn("worker", [*arguments, "-l", "WARNING", "-Q", QUEUES])

    def ring(self) -> None:
        """What any upload would do too: without it a waiting row is found by the sweeper, within ten seconds."""
        for _ in range(4):
            self.celery.send_task("core.tasks.drain_slow_outbox", queue="sync")

    def query(self, sql: str, *values: str) -> list[Any]:
        return list(self.database.execute(sql, values or None).fetchall())  # type: ignore[arg-type]

    def is_at_work(self) -> bool:
        """Whether a step holds its transaction open."""
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
            " OR (state = 'active' AND query ILIKE '%billed%' AND pid <> pg_backend_pid())"
        )
        return bool(self.query(sql)[0][0])

    def open_syncs(self) -> int:
        sql = (
            "SELECT count(*) FROM costs_providersync WHERE state IN ('queued','running','waiting')"
        )
        return int(self.query(sql)[0][0])

    def given_up(self) -> int:
        sql = (
            "SELECT count(*) FROM (SELECT DISTINCT ON (account_id) state FROM costs_providersync"
            " ORDER BY account_id, updated_at DESC) last WHERE state = 'failed'"
        )
        return int(self.query(sql)[0][0])


def kill_rounds(
    victim: Victim, corrector: Corrector, first: dt.date, *, kills: int, chance: random.Random
) -> Run:
    """`kills` kills, each while something is being read. The corrections stop after four fifths of them."""
    run = Run()
    started = time.monotonic()
    has_stopped = False
    while run.kills < kills:
        if not has_stopped and run.kills >= kills * 4 // 5:
            corrector.stop.set()
            corrector.join()
            has_stopped = True
        _keep_busy(victim, first, run)
        victim.start()
        deadline = time.monotonic() + 30
        while not victim.is_at_work() and time.monotonic() < deadline:
            victim.ring()
            time.sleep(0.2)
        time.sleep(chance.uniform(0.0, 4.0))
        run.mid_step += victim.is_at_work()
        victim.stack.kill("worker")
        run.kills += 1
        done = "SELECT coalesce(sum(next_day - first_day), 0) FROM costs_providersync"
        run.days_at_kill.append(int(victim.query(done)[0][0]))
        print(f"kill {run.kills}: {run.days_at_kill[-1]} days read", flush=True)
    if not has_stopped:
        corrector.stop.set()
        corrector.join()
    run.corrections = corrector.sent
    run.seconds = time.monotonic() - started
    return run


def _keep_busy(victim: Victim, first: dt.date, run: Run) -> None:
    """Something is open before the worker starts: what was given up goes on; when all is read, all is read again."""
    if victim.open_syncs() >= 2:
        return
    found = json.loads(victim.stack._run("-m", "benchmarks.billing_again", str(first), "again"))
    run.resumed += found["resumed"]
    run.passes += bool(found["again"])


def settle(victim: Victim, first: dt.date, run: Run) -> None:
    """Undisturbed now: what is open ends, then everything is read once more, as the schedule would over the days."""
    victim.start()
    for wanted in ("resume", "again", "resume"):
        deadline = time.monotonic() + 600
        while victim.open_syncs() or victim.given_up():
            if victim.given_up():
                told = victim.stack._run("-m", "benchmarks.billing_again", str(first), "resume")
                run.resumed += json.loads(told)["resumed"]
            if time.monotonic() > deadline:
                raise RuntimeError("The syncs do not end:\n" + victim.stack.log("worker")[-3000:])
            victim.ring()
            time.sleep(0.5)
        if wanted == "again":
            victim.stack._run("-m", "benchmarks.billing_again", str(first), "again")


def verify(
    victim: Victim, simulator: Simulator, accounts: dict[str, str]
) -> tuple[list[str], list[str]]:
    """A table by provider, and what is wrong."""
    lines, wrong = [], []
    world = simulator.totals()
    for provider, account in accounts.items():
        rows = victim.query(BY_DAY, account)
        with localcontext(prec=100):
            billed = {day: Decimal(amount) for day, amount, _ in rows}
            total = sum(billed.values(), Decimal(0))
            expected = {day: Decimal(amount) for day, amount in world[provider]["days"].items()}
            should = Decimal(world[provider]["amounts"]["USD"])
        if total != should:
            wrong.append(f"{provider}: billed {total}, the world says {should}")
        if provider != "google" and billed != expected:
            days = sorted(
                day
                for day in billed.keys() | expected.keys()
                if billed.get(day) != expected.get(day)
            )
            wrong.append(f"{provider}: {len(days)} days differ, first {days[0]}")
        wrong += twice(victim, account, provider)
        count = sum(number for _, _, number in rows)
        lines.append(
            f"{provider:<10} {world[provider]['charges']:>7,} {count:>7,} {total:>26f} {should:>26f}"
            f"  {'equal' if total == should else 'DIFFERENT'}"
        )
    return lines, wrong


def twice(victim: Victim, account: str, provider: str) -> list[str]:
    """Lines that are there twice, and counters that do not add up to the lines there are."""
    wrong = []
    kept = 0
    for table, (number, different) in (
        ("costs_billedcost", victim.query(COSTS, account)[0]),
        ("costs_billedusage", victim.query(USAGE, account)[0]),
    ):
        kept += number
        if number != different:
            wrong.append(f"{provider}: {number - different} lines of {table} are there twice")
    counted = victim.query(COUNTED, account)[0][0]
    if counted != kept:
        wrong.append(f"{provider}: {counted} lines counted as added, {kept} there")
    if stale := victim.query(STALE, account)[0][0]:
        wrong.append(f"{provider}: {stale} revisions do not lead to their lines")
    return wrong


def main() -> int:
    """`python -m benchmarks.billing_kills [--kills 50] [--seed N] [--slow 0.05]`; exit code 1 when a digit is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lines", type=int, default=40, help="charges a day and provider")
    parser.add_argument("--slow", type=float, default=0.05, help="seconds each reply takes more")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    today = dt.datetime.now(dt.UTC).date()
    first = today - dt.timedelta(days=DAYS - 1)
    simulator = Simulator(options.slow)
    environ = {"LLMLAB_OUTBOUND_ALLOW": f"127.0.0.1:{simulator.port}"}
    try:
        fill(simulator, chance, first, options.lines)
        with Stack(processes=1, environ=environ) as stack:
            print(machine(), f"seed {options.seed}", sep="\n", flush=True)
            return measure(stack, simulator, first, options, chance)
    finally:
        simulator.stop()


def fill(simulator: Simulator, chance: random.Random, first: dt.date, lines: int) -> None:
    """Charges of every day but the outermost, day by day."""
    simulator.post("world", {"charges": []})
    for number in range(1, DAYS - 2):
        day = first + dt.timedelta(days=number)
        charges = [one for name in PROVIDERS for one in charges_of(chance, day, name, lines)]
        simulator.post("world", {"mode": "extend", "charges": charges})


def measure(
    stack: Stack,
    simulator: Simulator,
    first: dt.date,
    options: argparse.Namespace,
    chance: random.Random,
) -> int:
    """The kills, the settling, the verdict."""
    accounts = json.loads(stack._run("-m", "benchmarks.billing_seed", simulator.url, str(first)))
    victim = Victim(stack)
    corrector = Corrector(simulator, first, options.seed + 1)
    corrector.start()
    run = kill_rounds(victim, corrector, first, kills=options.kills, chance=chance)
    settle(victim, first, run)
    lines, wrong = verify(victim, simulator, accounts)
    states = collections.Counter(
        dict(victim.query("SELECT state, count(*) FROM costs_providersync GROUP BY 1"))
    )
    revisions = victim.query("SELECT count(*) FROM costs_billedrevision")[0][0]
    print(
        f"{run.kills} kills in {run.seconds:.0f} s, {run.mid_step} of them inside a step;"
        f" {run.corrections:,} corrections meanwhile; given up after three kills and gone on: {run.resumed}",
        f"syncs: {', '.join(f'{n} {state}' for state, n in states.most_common())}; histories read"
        f" {run.passes + 1} times; revisions kept {revisions:,}",
        "provider   charges   lines                     billed                      world",
        *lines,
        f"wrong: {'; '.join(wrong) or 'nothing'}",
        sep="\n",
        flush=True,
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    sys.exit(main())
