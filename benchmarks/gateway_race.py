"""Many calls at once on a budget's last cent, through the door and real workers that are killed meanwhile.

Each round has a hard limit of dollars or a hard budget of its own with one cent left (and one in five a limit of
tokens, of requests, or of calls at once), and COUNT calls at once: of all sizes, whole and streamed, plain, with the
exact cache, with a first target that always fails. Workers are killed (SIGKILL) one to three times at random moments
of the rush and started again, as a supervisor would. Then:

- overshoot: what the ledger says was spent is never above the limit, nor is what the provider counted itself.
- a refusal during the rush is right when what was used, set aside and needed is more than the limit.
- after settlement (every call of the rush recorded, or given back by the sweeper) calls are made one after the other,
  each of which may need 95 % of what the limit leaves by the ledger: all must be granted, until next to nothing is
  left. Then one that needs more must be refused, and be told that nothing is set aside and what the ledger leaves.
- nothing stays set aside: neither reservations nor counters.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from benchmarks.gateway_books import OUTPUT_USD, WORKERS, Books, House, house
from benchmarks.gateway_crowd import Ask, Seen, mixed, one, outcomes, rush
from benchmarks.stack import machine

CENT = Decimal("0.01")
AMOUNTS = {"usd": "0.01", "budget": "0.01", "tokens": "30000", "requests": "100", "concurrency": "40"}  # fmt: skip
# About what a call without an answer needs, rounded up.
LEAST = {
    "usd": Decimal("0.00002"),
    "budget": Decimal("0.00002"),
    "tokens": Decimal(30),
    "requests": Decimal(0),
}
ODD = ("tokens", "requests", "concurrency")
SETTLE_S = 10.0
# Past the deadlines of all calls and the time reservations have beyond them.
PAST_S = 200.0
LIMITED = ("budget_exceeded", "rate_limit_exceeded")


def kinds(rounds: int) -> list[str]:
    """Each of dollars and budgets `rounds` times, a fifth as many of the others."""
    more = [ODD[n % len(ODD)] for n in range(-(-rounds // 5))]
    return [kind for _ in range(rounds) for kind in ("usd", "budget")] + more


@dataclass
class Round:
    """One limit's story."""

    user: str
    kind: str
    seen: list[Seen] = field(default_factory=list)
    later: list[Seen] = field(default_factory=list)
    kills: int = 0
    settle_s: float = 0.0
    swept: int = 0
    wrong: dict[str, Any] = field(default_factory=dict)

    @property
    def amount(self) -> Decimal:
        return Decimal(AMOUNTS[self.kind])


async def strike(at: House, chance: random.Random, until: float) -> int:
    """Kill workers at random moments; each is started again at once. How often."""
    kills = 0
    for _ in range(chance.randint(1, 3)):
        await asyncio.sleep(chance.uniform(0.05, until))
        name = chance.choice(WORKERS)
        process = at.stack.processes[name]
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            kills += 1
        at.start_worker(name)
    return kills


async def play(at: House, story: Round, count: int, chance: random.Random) -> None:
    asks = mixed(story.user, count, chance)
    hit = asyncio.ensure_future(strike(at, chance, 1.5))
    story.seen = await rush(at.stack.url, at.key, asks)
    story.kills = await hit
    await asyncio.to_thread(at.wait_for_workers)
    began = time.monotonic()
    # Dead workers' journals are due within a minute; the benchmark does not wait for that.
    await asyncio.to_thread(at.sweep)
    await asyncio.to_thread(at.settled, SETTLE_S, seen=story.seen)
    story.settle_s = time.monotonic() - began
    if at.reservations():
        story.swept = at.sweep(PAST_S)
    judge(at, story)
    story.wrong["wrong after settlement"] = await fill(at, story, chance)


async def fill(at: House, story: Round, chance: random.Random) -> int:
    """Use up what is left, each call asking for nearly all of it; how many refusals (or grants) were wrong."""
    if story.kind in ("requests", "concurrency"):
        used, _ = counter(at, story)
        left = int(story.amount - used)
        story.later = await rush(at.stack.url, at.key, mixed(story.user, left, chance))
        wrong = sum(seen.outcome in LIMITED for seen in story.later)
        return wrong + (story.kind == "requests" and not await _refused(at, story, Decimal(1)))
    least = LEAST[story.kind]
    while (left := story.amount - used_of(at, story)) > 3 * least:
        seen = await one(at.stack.url, at.key, _sized(story, left * Decimal("0.95")))
        story.later.append(seen)
        if seen.outcome in LIMITED:
            return 1
        await asyncio.to_thread(at.settled, 10, every_s=0.02)
    return int(not await _refused(at, story, left * 2 + least))


async def _refused(at: House, story: Round, need: Decimal) -> bool:
    """Whether a call that needs too much is refused, and told what is really left."""
    seen = await one(at.stack.url, at.key, _sized(story, need))
    story.later.append(seen)
    left = story.amount - used_of(at, story)
    said = seen.error
    return seen.outcome in LIMITED and (
        Decimal(said["needed"]) > Decimal(said["remaining"]) == left
        and Decimal(said["reserved"]) == 0
    )


def _sized(story: Round, need: Decimal) -> Ask:
    """A call that may need about so much, and not more."""
    each = OUTPUT_USD if story.kind in ("usd", "budget") else Decimal(1)
    most = max(1, int((need - LEAST[story.kind]) / each))
    return Ask(story.user, f"Later {len(story.later)}.", most)


def used_of(at: House, story: Round) -> Decimal:
    """By the ledger where that says it, else by the counter."""
    return at.spent(story.user) if story.kind in ("usd", "budget") else counter(at, story)[0]


def judge(at: House, story: Round) -> None:
    """Compare everybody's books."""
    books = Books(at, story.user, story.seen)
    wrong: dict[str, Any] = books.wrong()
    limit = story.amount
    if story.kind in ("usd", "budget"):
        wrong["overshoot"] = max(Decimal(0), at.spent(story.user) - limit)
        wrong["overshoot, as the provider counts"] = max(Decimal(0), books.real_usd - limit)
    used, reserved = counter(at, story)
    wrong["set aside after the sweep"] = at.reservations() + (reserved != 0)
    if story.kind == "usd":
        wrong["counter differs from the ledger"] = used - at.spent(story.user)
    if story.kind in ("tokens", "requests"):
        wrong["overshoot"] = max(Decimal(0), used - limit)
    wrong["refused wrongly in the rush"] = sum(
        Decimal(seen.error["used"]) + Decimal(seen.error["reserved"]) + Decimal(seen.error["needed"]) <= limit
        for seen in story.seen
        if seen.outcome in LIMITED
    )  # fmt: skip
    story.wrong |= wrong


def counter(at: House, story: Round) -> tuple[Decimal, Decimal]:
    """Used and set aside, as the limit's counter has it."""
    key = at.ids[story.user]
    row = at.database.execute(
        "SELECT used, reserved FROM gateway_limitcounter WHERE key = ANY(%s)",
        [[f"{key}:{story.user}", f"budget:{key}"]],
    ).fetchone()
    return (row[0], row[1]) if row else (Decimal(0), Decimal(0))


async def run(at: House, stories: list[Round], count: int, chance: random.Random) -> bool:
    is_clean = True
    for number, story in enumerate(stories, 1):
        began = time.monotonic()
        await play(at, story, count, chance)
        bad = {name: value for name, value in story.wrong.items() if value}
        is_clean = is_clean and not bad
        spent = at.spent(story.user)
        print(
            f"{number:>2} {story.kind:<11} {story.kills} kills, {time.monotonic() - began:4.1f} s:"
            f" {outcomes(story.seen)}; settled in {story.settle_s:.1f} s, {story.swept} swept;"
            f" ${spent:.6f} in the ledger;"
            f" then {outcomes(story.later)}; wrong: {bad or 'nothing'}",
            flush=True,
        )
    # Once more, when everything has come in: nothing may have been charged after the fact.
    at.sweep(PAST_S)
    late = [story.user for story in stories if _is_over(at, story)]
    if late:
        print(f"overshot after the end: {', '.join(late)}")
    return is_clean and not late


def _is_over(at: House, story: Round) -> bool:
    return story.kind != "concurrency" and used_of(at, story) > story.amount


def main() -> int:
    """`python -m benchmarks.gateway_race [--rounds 20] [--calls 500] [--seed 1]`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20, help="of dollar limits and of budgets")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    stories = [Round(f"{kind}-{n}", kind) for n, kind in enumerate(kinds(options.rounds))]
    limits = [(one.user, one.kind, AMOUNTS[one.kind]) for one in stories]
    print(machine(), flush=True)
    with house(limits, waits=(0.1, 1.0)) as at:
        is_clean = asyncio.run(run(at, stories, options.calls, chance))
    kills = sum(one.kills for one in stories)
    refused = sum(one.outcome in LIMITED for story in stories for one in story.seen)
    total = sum(len(one.seen) for one in stories)
    print(
        f"{len(stories)} rounds of {options.calls} calls, {kills} kills: {total:,} calls, {refused:,} refused"
    )
    print("met" if is_clean else "MISSED: every number of `wrong` must be 0")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
