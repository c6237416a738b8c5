"""PostgreSQL away for a minute, and web, worker and Redis killed, while calls go on: none lost, none twice.

Calls of three users come steadily: one without a limit, one with a hard dollar limit that is far away, one whose limit
comes into reach. Each trouble has users of its own, so its books are its own:

- PostgreSQL is stopped and started again SECONDS later. Meanwhile calls are answered under the last known limits and
  journalled; afterwards each is in the ledger once, at what the provider counted. Two web processes share a limit only
  through PostgreSQL: while it is away each gives out what it last saw left, so that is the most it can be overshot by.
- a web process, all of web, a worker, Redis are killed (SIGKILL) and started again. What clients were not answered is
  told them or breaks off; every answer the provider gave is charged once, with its own figures or, where the worker
  that held it died, with the most it can have used.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from benchmarks.gateway_books import WORKERS, Books, House, house
from benchmarks.gateway_crowd import Seen, outcomes, stream_of
from benchmarks.stack import machine
from config import embedded

FAR_USD = "100"
EACH_S = 0.05
CALM_S = 3.0
# Longer than a process waits to look for the journals of dead ones.
SETTLE_S = 90.0
PAST_S = 200.0


class Trouble:
    """What happens to the house, and for how long."""

    def __init__(self, name: str, do: Callable[[House, float], None], seconds: float = 0.0) -> None:
        self.name, self.do, self.seconds = name, do, seconds

    @property
    def users(self) -> list[str]:
        return [f"{kind} {self.name}" for kind in ("free", "far", "near")]

    @property
    def near_usd(self) -> str:
        """Some of the calls of its time do not fit."""
        return "0.005" if self.seconds else "0.001"


def postgres_away(at: House, seconds: float) -> None:
    process = at.stack.processes["postgres"]
    process.send_signal(signal.SIGINT)  # fast: whoever is connected is cut off
    process.wait()
    time.sleep(seconds)
    at.stack.start_postgres()
    at.database = at.stack.connect()


def web_child(at: House, _: float) -> None:
    os.kill(random.choice(at.stack.web_children()), signal.SIGKILL)  # the launcher replaces it


def web(at: House, _: float) -> None:
    at.stack.kill("web")
    at.stack.start_web()


def worker(at: House, _: float) -> None:
    name = random.choice(WORKERS)
    at.stack.kill(name)
    at.start_worker(name)


def redis(at: House, _: float) -> None:
    at.stack.kill("redis")
    at.stack.processes["redis"] = embedded.start(at.stack.redis, at.stack.ports["redis"])


def troubles(seconds: float, kills: int) -> list[Trouble]:
    found = [Trouble("postgresql", postgres_away, seconds)]
    for n in range(kills):
        found += [Trouble(f"{do.__name__} {n}", do) for do in (web_child, web, worker, redis)]
    return found


async def suffer(at: House, trouble: Trouble, chance: random.Random) -> bool:
    """Traffic before, while and after; then the books."""
    stop = asyncio.Event()
    traffic = asyncio.ensure_future(
        stream_of(at.stack.url, at.key, trouble.users, each_s=EACH_S, chance=chance, stop=stop)
    )
    await asyncio.sleep(CALM_S)
    began = time.monotonic()
    await asyncio.to_thread(trouble.do, at, trouble.seconds)
    took = time.monotonic() - began
    await asyncio.sleep(CALM_S)
    stop.set()
    seen = await traffic
    settle_s = await asyncio.to_thread(at.settled, SETTLE_S, seen=seen)
    swept = at.sweep(PAST_S) if at.reservations() else 0
    books = [
        Books(at, user, [one for one in seen if one.ask.user == user]) for user in trouble.users
    ]
    wrong = summed(books)
    wrong["set aside after the sweep"] = at.reservations()
    over = at.spent(trouble.users[2]) - Decimal(trouble.near_usd)
    if not trouble.seconds:
        wrong["overshoot"] = max(Decimal(0), over)
    lost = sum(one.lost for one in books)
    bad = {name: value for name, value in wrong.items() if value}
    print(
        f"{trouble.name}, {took:.1f} s: {len(seen)} calls: {outcomes(seen)}",
        f"  settled in {settle_s:.1f} s, {swept} swept; {sum(len(one.counted) for one in books)} answers of the"
        f" provider for ${sum(one.real_usd for one in books):.6f}, {sum(len(one.ledger) for one in books)} in the"
        f" ledger for ${sum(at.spent(user) for user in trouble.users):.6f}, {lost} of them lost by their worker;"
        f" the near limit is {'over by $' + format(over, '.6f') if over > 0 else 'kept'}; wrong: {bad or 'nothing'}",
        sep="\n",
        flush=True,
    )
    return not bad and not _hung(seen)


def summed(books: list[Books]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in books:
        for name, count in one.wrong().items():
            found[name] = found.get(name, 0) + count
    return found


def _hung(seen: list[Seen]) -> int:
    """Those that heard nothing at all in time."""
    return sum(one.error.get("code") == "TimeoutError" for one in seen)


def main() -> int:
    """`python -m benchmarks.gateway_outage [--seconds 60] [--kills 2]`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long PostgreSQL is away")
    parser.add_argument("--kills", type=int, default=2, help="of each part")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    wanted = troubles(options.seconds, options.kills)
    limits = [
        (user, "usd", amount)
        for one in wanted
        for user, amount in zip(one.users[1:], (FAR_USD, one.near_usd), strict=True)
    ]
    print(machine(), flush=True)
    with house(limits, waits=(0.05, 0.5), programs=("worker", "beat")) as at:

        async def run() -> list[bool]:
            return [await suffer(at, one, chance) for one in wanted]

        outcome = asyncio.run(run())
    print("met" if all(outcome) else "MISSED: every number of `wrong` must be 0")
    return 0 if all(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
