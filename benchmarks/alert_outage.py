"""Receivers away for an hour: uploads are as fast as before, and all messages arrive within a minute of the recovery,
in the order of their rules.

Four receivers go away in four ways: one hangs, one answers 503, one is closed, one asks to come back later. Meanwhile
budgets pass 50, 80 and 100 %, so that each rule has three messages for each channel. The outage is real for
`--minutes`; then the stamps of channels and messages are set back by the rest of the hour, which is what the workers
go by. From the first 90 s to the end of the second hour tries are 45 s apart, so nothing else differs from an hour
that was waited.

Uploads are measured before, while and after the receivers are away; the ratio is "while" by the mean of the others. The
bar is on p95.
"""

import argparse
import collections
import json
import statistics
import sys
import time
from typing import Any

from benchmarks.alert_parts import Got, Receiver, Uploader, is_open, start_workers
from benchmarks.stack import Stack, machine

MODES = ("hang", "503", "closed", "later")
STEPS = ("5.5", "2.7", "2.3")
# What the workers go by; the past is moved, so that the present is an hour into the outage.
BACK = (
    "UPDATE alerts_channel SET failing_since = failing_since - %s * interval '1 second'",
    "UPDATE alerts_delivery SET created_at = created_at - %s * interval '1 second',"
    " first_failed_at = first_failed_at - %s * interval '1 second' WHERE state IN ('waiting', 'sending')",
)
DECIDE_S, ARRIVE_S, MOST_RATIO = 60.0, 60.0, 1.1


class Load:
    """Uploads one after the other at a steady pace; those of `spending` users move budgets."""

    def __init__(self, stack: Stack, every_s: float) -> None:
        self.uploader, self.every_s = Uploader(stack), every_s

    def run(self, seconds: float, spending: list[tuple[str, str]]) -> list[float]:
        """Seconds each upload took."""
        took, left = [], list(spending)
        self.uploader.connect()
        started = time.monotonic()
        spend_every = seconds * 0.8 / max(1, len(left))
        while (passed := time.monotonic() - started) < seconds:
            if left and passed >= (len(spending) - len(left)) * spend_every:
                took.append(self.uploader.spend(*left.pop(0)))
            else:
                took.append(self.uploader.spend("nobody", "0.001"))
            time.sleep(max(0.0, self.every_s - took[-1]))
        for one in left:
            self.uploader.spend(*one)
        return took


def p(values: list[float], share: float) -> float:
    """A percentile in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


def compress(database: Any, seconds: float) -> None:
    for sql in BACK:
        database.execute(sql, [seconds] * sql.count("%s"))


def recover(database: Any, receivers: list[Receiver], wanted: int) -> tuple[float, int]:
    """Seconds from the recovery until everything has arrived, and how much had."""
    started = time.monotonic()
    for one in receivers:
        one.go("up")
    while time.monotonic() - started < 4 * ARRIVE_S:
        if sum(len(one.got) for one in receivers) >= wanted and not is_open(database):
            break
        time.sleep(0.1)
    arrived = [one.at for receiver in receivers for one in receiver.got]
    return max(arrived, default=started) - started, len(arrived)


def out_of_order(got: list[Got]) -> list[str]:
    """Rules whose messages did not come in their order on a channel."""
    by_rule: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for one in got:
        if one.limit not in by_rule[one.channel, one.rule]:
            by_rule[one.channel, one.rule].append(one.limit)
    return [f"{key}: {limits}" for key, limits in by_rule.items() if limits != ["50", "80", "100"]]


def main() -> int:
    """`python -m benchmarks.alert_outage [--minutes 4] [--rules 20]`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="how long the receivers are really away"
    )
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--every", type=float, default=0.1, help="seconds between uploads")
    options = parser.parse_args()
    receivers = [Receiver() for _ in MODES]
    for one in receivers:
        one.start()
    urls = [
        f"http://127.0.0.1:{one.port}/{mode}" for one, mode in zip(receivers, MODES, strict=True)
    ]
    environ = {"LLMLAB_OUTBOUND_ALLOW": ",".join(f"127.0.0.1:{one.port}" for one in receivers)}
    with Stack(processes=2, environ=environ) as stack:
        print(machine(), flush=True)
        seeded = json.loads(stack._run("-m", "benchmarks.alert_seed", str(options.rules + 1), *urls))  # fmt: skip
        start_workers(stack)
        try:
            return measure(stack, receivers, options, len(seeded["rules"]) - 1)
        finally:
            for one in receivers:
                one.go("up")


def measure(
    stack: Stack, receivers: list[Receiver], options: argparse.Namespace, rules: int
) -> int:
    """Before, while, after; then the verdict."""
    database, load, seconds = stack.connect(), Load(stack, options.every), options.minutes * 60
    # Everything is warm: the workers have sent something.
    load.run(5, [(f"user-{rules}", "12")])
    _wait(lambda: all(one.got for one in receivers))
    before = load.run(seconds / 2, [])
    for one, mode in zip(receivers, MODES, strict=True):
        one.got.clear()
        one.asked = 0
        one.go(mode)
    began = time.monotonic()
    steps = [(f"user-{user}", usd) for usd in STEPS for user in range(rules)]
    while_away = load.run(seconds, steps)
    wanted = rules * len(STEPS) * len(receivers)
    _wait(lambda: _messages(database) >= wanted + len(receivers))
    asked = {mode: one.asked for one, mode in zip(receivers, MODES, strict=True)}
    away = time.monotonic() - began
    compress(database, max(0.0, 3600 - away))
    waiting = is_open(database)
    delay, arrived = recover(database, receivers, wanted)
    print(f"{arrived} of {wanted} messages within {delay:.1f} s", flush=True)
    after = load.run(seconds / 2, [])
    got = [one for receiver in receivers for one in receiver.got]
    order = out_of_order(got)
    ratios = {
        share: p(while_away, share) / statistics.mean([p(before, share), p(after, share)])
        for share in (0.5, 0.95)
    }
    print(
        f"receivers away {away:.0f} s for real, stamps set back to one hour; {waiting} messages waited,"
        f" tries meanwhile {asked}",
        *(
            f"uploads {name:<7} {len(took):>5}  p50 {p(took, 0.5):6.1f} ms  p95 {p(took, 0.95):6.1f} ms"
            for name, took in (("before", before), ("while", while_away), ("after", after))
        ),
        f"ratio p50 {ratios[0.5]:.2f}, p95 {ratios[0.95]:.2f}",
        f"after the recovery: {arrived} of {wanted} messages ({len({(one.channel, one.message_id) for one in got})}"
        f" different) within {delay:.1f} s; out of order: {'; '.join(order[:5]) or 'none'}",
        sep="\n",
        flush=True,
    )
    is_met = delay <= ARRIVE_S and arrived >= wanted and not order and ratios[0.95] <= MOST_RATIO
    return 0 if is_met else 1


def _messages(database: Any) -> int:
    return int(database.execute("SELECT count(*) FROM alerts_delivery").fetchone()[0])


def _wait(is_there: Any) -> None:
    deadline = time.monotonic() + DECIDE_S
    while not is_there():
        if time.monotonic() > deadline:
            raise RuntimeError("The alerts were not decided.")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
