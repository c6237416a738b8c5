"""Three SDKs send 10,000 calls with their spool on while the server is killed and started again at random.

Stored must be exactly 10,000 calls, and their cost exactly what the simulator says it would bill.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.sdk_programs import LANGUAGES, command, missing
from benchmarks.stack import Stack, machine
from tests.fakes.simulator import running_simulator

# List prices of gpt-5-mini per token in USD: input, cached input, output (costs/prices).
PRICE = {"input": Decimal("0.25e-6"), "cached": Decimal("0.025e-6"), "output": Decimal("2e-6")}


class Disturber(threading.Thread):
    """Kills the web server at random moments and brings it back."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.stack, self.chance, self.kills, self.done = stack, chance, 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(self.chance.uniform(0.3, 1.2)):
            self.stack.kill("web")
            self.kills += 1
            self.done.wait(self.chance.uniform(0.1, 1.0))
            self.stack.start_web()


def start(
    language: str, calls: int, stack: Stack, provider: str, directory: Path
) -> subprocess.Popen[Any]:
    """One language's program, its spool on."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LLMLAB_API_KEY": stack.key,
        "LLMLAB_PROJECT": stack.slug,
        "LLMLAB_BASE_URL": stack.url,
        "LLMLAB_SPOOL_DIR": str(directory / f"spool-{language}"),
        "LLMLAB_FLUSH_INTERVAL": "0.5",
        "PROVIDER_URL": provider,
        "OPENAI_API_KEY": "sk-simulated",
        "CALLER": language,
    }
    program = command(language, directory)
    return subprocess.Popen([*program, "calls", str(calls)], env=environ)


def expected(provider: str) -> tuple[int, Decimal]:
    """Calls and cost by the simulator's own sums."""
    models = httpx2.get(f"{provider}/simulator/usage", timeout=10).json()["models"]
    (sums,) = models.values()
    cached = sums.get("prompt_tokens_details.cached_tokens", 0)
    cost = (
        (sums["prompt_tokens"] - cached) * PRICE["input"]
        + cached * PRICE["cached"]
        + sums["completion_tokens"] * PRICE["output"]
    )
    return sums["calls"], cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    languages = [name for name in LANGUAGES if not missing(name)]
    shares = [options.calls // len(languages)] * len(languages)
    shares[0] += options.calls - sum(shares)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_simulator() as provider,
        Stack() as stack,
    ):
        disturber = Disturber(stack, random.Random(options.seed))
        started = time.monotonic()
        programs = [
            start(name, share, stack, provider, Path(directory))
            for name, share in zip(languages, shares, strict=True)
        ]
        disturber.start()
        while time.monotonic() - started < 600 and any(p.poll() is None for p in programs[:]):
            time.sleep(0.5)
            if sum(p.poll() is None for p in programs) == 0:
                break
        disturber.done.set()
        disturber.join(60)
        # What a program could not deliver before its end lies in its spool: the next start sends it.
        for name in languages:
            start(name, 0, stack, provider, Path(directory)).wait(120)
        calls, cost = expected(provider)
        with stack.connect() as database:
            row = database.execute(
                "SELECT count(*), count(DISTINCT span_id), sum(cost_usd) FROM costs_costrecord"
            ).fetchone()
        assert row is not None
        stored, distinct, spent = row
    print(
        f"{', '.join(languages)}: {options.calls} calls, {disturber.kills} kills in {time.monotonic() - started:.0f} s;"
        f" stored {stored} ({distinct} different), provider billed {calls};"
        f" cost {spent} USD, by the provider's sums {cost}"
    )
    is_exact = stored == distinct == calls == options.calls and spent == cost
    return 0 if is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
