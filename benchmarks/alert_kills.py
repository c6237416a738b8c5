"""SIGKILL of the workers between the decision about an alert and its delivery: each crossing arrives, is one incident,
and keeps its key.

Each round spends a budget past its threshold through the real door. As soon as the decision is committed and its
message is not delivered yet, a worker is killed at a random moment (the one that sends, the one that decides, or both)
and started again. Rounds whose message was faster do not count as kills.
"""

import argparse
import collections
import json
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.alert_parts import NOTIFY, OTHERS, Got, Receiver, Uploader, is_open, start_workers
from benchmarks.stack import Stack, machine

OPEN = (
    "SELECT count(*) FROM alerts_delivery WHERE event_id = %s AND state IN ('waiting', 'sending')"
)
EVENTS = "SELECT id::text, dedup_key FROM alerts_alertevent WHERE alert_id = %s"
SENDING = "SELECT count(*) FROM alerts_delivery WHERE event_id = %s AND state = 'sending'"
DECIDE_S, SETTLE_S = 90.0, 240.0


@dataclass
class Run:
    """What happened."""

    rounds: int = 0
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    while_sending: int = 0
    decided_s: list[float] = field(default_factory=list)

    @property
    def between(self) -> int:
        return sum(self.kills.values())


def play(
    stack: Stack, uploader: Uploader, rules: list[str], kills: int, chance: random.Random
) -> Run:
    """Rounds until enough kills fell between decision and delivery."""
    run, database = Run(), stack.connect()
    for user, rule in enumerate(rules):
        if run.between >= kills:
            break
        run.rounds += 1
        started = time.monotonic()
        uploader.spend(f"user-{user}", "6")
        event = _decided(database, rule)
        run.decided_s.append(time.monotonic() - started)
        time.sleep(chance.uniform(0, 0.8))
        if not database.execute(OPEN, [event]).fetchone()[0]:
            continue
        run.while_sending += bool(database.execute(SENDING, [event]).fetchone()[0])
        victim = chance.choice(("notify", "notify", "worker", "both"))
        for name, command in (("notify", NOTIFY), ("worker", OTHERS)):
            if victim in (name, "both"):
                stack.kill(name)
                stack._spawn(name, command)
        run.kills[victim] += 1
        print(f"round {run.rounds}: kill {run.between} ({victim})", flush=True)
    return run


def _decided(database: Any, rule: str) -> str:
    """The incident, as soon as it is committed."""
    deadline = time.monotonic() + DECIDE_S
    while time.monotonic() < deadline:
        if found := database.execute(EVENTS, [rule]).fetchone():
            return str(found[0])
        time.sleep(0.01)
    raise RuntimeError(f"Nothing was decided about rule {rule}.")


def settle(database: Any) -> float:
    """Until nothing is open any more; seconds."""
    started = time.monotonic()
    while is_open(database) and time.monotonic() - started < SETTLE_S:
        time.sleep(0.2)
    return time.monotonic() - started


def verify(
    database: Any, rules: list[str], got: list[Got], channels: int
) -> tuple[list[str], dict[str, int]]:
    """What is wrong, and how often messages came."""
    wrong = []
    by_rule: dict[str, list[Got]] = collections.defaultdict(list)
    for one in got:
        by_rule[one.rule].append(one)
    for rule in rules:
        events = database.execute(EVENTS, [rule]).fetchall()
        if len(events) != 1:
            wrong.append(f"rule {rule}: {len(events)} incidents")
            continue
        theirs = by_rule[rule]
        places = {one.channel for one in theirs if one.type == "alert.fired"}
        if len(places) != channels:
            wrong.append(f"rule {rule}: arrived on {len(places)} of {channels} channels")
        if {one.dedup_key for one in theirs} != {events[0][1]}:
            wrong.append(f"rule {rule}: other keys than {events[0][1]}")
        if len({(one.channel, one.message_id) for one in theirs}) != len(places):
            wrong.append(f"rule {rule}: a message changed its id")
    left = database.execute("SELECT count(*) FROM alerts_delivery WHERE state <> 'sent'").fetchone()
    if left[0]:
        wrong.append(f"{left[0]} messages are not sent")
    twice = len(got) - len({(one.channel, one.message_id) for one in got})
    return wrong, {"arrived": len(got), "again": twice}


def main() -> int:
    """`python -m benchmarks.alert_kills [--kills 50] [--seed N]`; exit code 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--slow", type=float, default=1.5, help="most seconds a receiver takes")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    receiver = Receiver(slow_s=options.slow)
    receiver.start()
    urls = [f"http://127.0.0.1:{receiver.port}/{name}" for name in ("one", "two")]
    environ = {"LLMLAB_OUTBOUND_ALLOW": f"127.0.0.1:{receiver.port}"}
    with Stack(processes=1, environ=environ) as stack:
        print(machine(), f"seed {options.seed}", sep="\n", flush=True)
        seeded = stack._run("-m", "benchmarks.alert_seed", str(options.kills * 2), *urls)
        rules: list[str] = json.loads(seeded)["rules"]
        start_workers(stack)
        started = time.monotonic()
        try:
            run = play(stack, Uploader(stack), rules, options.kills, chance)
        except RuntimeError:
            for name in ("worker", "notify", "beat"):
                print(f"--- {name}", stack.log(name)[-3000:], sep="\n")
            raise
        seconds = time.monotonic() - started
        database = stack.connect()
        settled = settle(database)
        wrong, times = verify(database, rules[: run.rounds], receiver.got, len(urls))
        if wrong:
            print(stack.log("notify")[-2000:], stack.log("worker")[-2000:], sep="\n")
    found = sorted(run.decided_s)
    print(
        f"{run.between} kills between decision and delivery in {run.rounds} rounds, {seconds:.0f} s:"
        f" {dict(run.kills)}; {run.while_sending} while the message was on its way",
        f"crossings {run.rounds}, messages {run.rounds * len(urls)}, arrived {times['arrived']} times,"
        f" {times['again']} of them again with the same id; settled after {settled:.0f} s",
        f"from the upload to the incident: median {found[len(found) // 2]:.1f} s, at most {found[-1]:.1f} s",
        f"wrong: {'; '.join(wrong[:10]) or 'nothing'}",
        sep="\n",
        flush=True,
    )
    return 1 if wrong or run.between < options.kills else 0


if __name__ == "__main__":
    sys.exit(main())
