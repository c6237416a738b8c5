"""What a call through the gateway costs, beside LiteLLM's proxy in the same run. `python -m benchmarks.gateway`.

A local provider answers at once; LLMLab runs whole (two web processes, the `llm` worker and the others, PostgreSQL with
fsync, Redis appendonly, a route, a key), LiteLLM's proxy with a key and without a database, from the environment that
`--litellm` names (`pip install "litellm[proxy]"`; it cannot live in ours). Both are asked by the same client over raw
sockets, one after the other; client and provider are processes of their own, whose CPU is not counted. CPU per call
is that of all processes from the first call until every call is recorded. Afterwards each answered call must have
exactly one row and one step. `--waiting 1000`: that many calls at once on a provider that takes 30 s, on one worker.
"""

import argparse
import json
import shutil
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import gateway_waiting
from benchmarks.gateway_profile import profiled
from benchmarks.gateway_sides import Direct, LLMLab, Side, litellm, llmlab, load, provider
from benchmarks.stack import machine

CONCURRENCY = 64
ROUNDS = 3
TIMES, CPU_SHARE, ADDED_MS, HIT_MS, STREAM_TIMES, FIRST_MS = 2.5, 0.6, 8.0, 4.0, 4.0, 10.0


@dataclass
class Busy:
    """What a side did at full load."""

    per_second: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    failed: int = 0
    done: int = 0
    reached: int = 0  # calls the provider saw
    cpu_ms: dict[str, float] = field(default_factory=dict)  # per call, by program

    @property
    def cpu(self) -> float:
        return sum(self.cpu_ms.values())


@dataclass
class Figures:
    """All of one side."""

    whole: Busy = field(default_factory=Busy)
    stream: Busy = field(default_factory=Busy)
    p50_ms: float = 0.0  # one call at a time
    first_ms: float = 0.0
    failed: int = 0
    why: list[str] = field(default_factory=list)


@dataclass
class Hits:
    """Exact cache hits, one at a time."""

    p50_ms: float
    count: int
    asked_again: int  # calls that reached the provider all the same


def busy(side: Side, direct: Direct, seconds: float, *, is_stream: bool) -> tuple[Busy, list[str]]:
    """Full load for so long."""
    before, reached = side.cpu(), direct.answered()
    seen = load(side, concurrency=CONCURRENCY, seconds=seconds, is_stream=is_stream)
    side.settle(seen)
    spent, done = side.cpu(), len(seen.latencies)
    if not done:
        return Busy(failed=seen.failed), seen.why
    cuts = statistics.quantiles(seen.latencies, n=20) if done > 1 else seen.latencies * 19
    return Busy(
        per_second=done / seen.seconds,
        p50_ms=cuts[9],
        p95_ms=cuts[18],
        failed=seen.failed,
        done=done,
        reached=direct.answered() - reached,
        cpu_ms={name: (spent[name] - before[name]) * 1000 / done for name in spent},
    ), seen.why


def one_by_one(sides: list[Side], found: dict[str, Figures], calls: int) -> None:
    """Calls one at a time, in turns, so that all meet the machine in the same moods."""
    whole: dict[str, list[float]] = {side.name: [] for side in sides}
    first: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(ROUNDS):
        for is_stream, into in ((False, whole), (True, first)):
            for side in sides:
                seen = load(side, count=max(1, calls // ROUNDS), is_stream=is_stream)
                side.settle(seen)
                into[side.name] += seen.firsts if is_stream else seen.latencies
                note(found[side.name], seen.failed, seen.why)
    for name, figures in found.items():
        figures.p50_ms = statistics.median(whole[name] or [0.0])
        figures.first_ms = statistics.median(first[name] or [0.0])


def note(figures: Figures, failed: int, why: list[str]) -> None:
    figures.failed += failed
    figures.why = (figures.why + why)[:3]


def hits(ours: LLMLab, direct: Direct, calls: int) -> Hits:
    """The same question again and again on the route that keeps answers; the first one is not counted."""
    ours.settle(load(ours, "kept", count=1, is_same=True))
    before = direct.answered()
    seen = load(ours, "kept", count=calls, is_same=True)
    ours.settle(seen)
    p50 = statistics.median(seen.latencies or [0.0])
    return Hits(p50, len(seen.latencies), direct.answered() - before)


def measure(
    sides: list[Side], direct: Direct, *, seconds: float, calls: int, profile: Path | None
) -> tuple[dict[str, Figures], Hits]:
    """Everything; the second of two is asked as often as the first."""
    found = {side.name: Figures() for side in [direct, *sides]}
    for side in sides:
        for is_stream in (False, True):
            side.settle(load(side, concurrency=8, seconds=2, is_stream=is_stream))
    one_by_one([direct, *sides], found, calls)
    ours = next(side for side in sides if isinstance(side, LLMLab))
    kept = hits(ours, direct, calls)
    for side in sides:
        figures = found[side.name]
        figures.whole, why = busy(side, direct, seconds, is_stream=False)
        note(figures, figures.whole.failed, why)
        figures.stream, why = busy(side, direct, seconds, is_stream=True)
        note(figures, figures.stream.failed, why)
    if profile:
        with profiled(ours, profile, seconds):
            busy(ours, direct, seconds + 2, is_stream=False)
    return found, kept


def table(found: dict[str, Figures]) -> list[str]:
    """One line for each side."""
    lines = [
        f"| | calls/s at {CONCURRENCY} | p50, p95 | CPU a call | one at a time p50 "
        f"| streams/s at {CONCURRENCY} | p50, p95 | CPU a stream | first token p50 | failed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, f in found.items():
        w, s = f.whole, f.stream
        lines.append(
            f"| {name} | {w.per_second:.1f} | {w.p50_ms:.0f}, {w.p95_ms:.0f} ms | {w.cpu:.2f} ms "
            f"| {f.p50_ms:.2f} ms | {s.per_second:.1f} | {s.p50_ms:.0f}, {s.p95_ms:.0f} ms | {s.cpu:.2f} ms "
            f"| {f.first_ms:.2f} ms | {f.failed} |"
        )
    for name, f in found.items():
        for what, one in (("call", f.whole), ("stream", f.stream)):
            if len(one.cpu_ms) > 1:
                parts = ", ".join(f"{part} {ms:.2f}" for part, ms in one.cpu_ms.items())
                lines.append(f"\n{name}, CPU ms a {what}: {parts}")
        lines += [f"\n{name} failed with: {why}" for why in f.why]
    return lines


def judge(found: dict[str, Figures], kept: Hits) -> list[tuple[str, bool]]:
    """The bars. Those against LiteLLM only where it answered."""
    direct, ours = found[Direct.name], found[LLMLab.name]
    added, first = ours.p50_ms - direct.p50_ms, ours.first_ms - direct.first_ms
    bars = [
        (f"added at one call at a time {added:.2f} ms (≤ {ADDED_MS:g})", ours.p50_ms > 0 and added <= ADDED_MS),
        (f"exact hit p50 {kept.p50_ms:.2f} ms (≤ {HIT_MS:g})", 0 < kept.p50_ms <= HIT_MS),
        (f"{kept.count} hits, {kept.asked_again} of them asked the provider (0)", kept.count > 0 == kept.asked_again),
        (f"first token added {first:.2f} ms (≤ {FIRST_MS:g})", ours.first_ms > 0 and first <= FIRST_MS),
        (
            f"{ours.whole.done:,} calls and {ours.stream.done:,} streams at full load reached the provider"
            f" {ours.whole.reached:,} and {ours.stream.reached:,} times (once each)",
            (ours.whole.done, ours.stream.done) == (ours.whole.reached, ours.stream.reached),
        ),
        (f"calls that failed {ours.failed} (0)", ours.failed == 0),
    ]  # fmt: skip
    theirs = found.get("LiteLLM")
    if theirs is None or not (theirs.whole.per_second and theirs.stream.per_second):
        return bars
    times = ours.whole.per_second / theirs.whole.per_second
    share = ours.whole.cpu / theirs.whole.cpu if theirs.whole.cpu else float("inf")
    streams = ours.stream.per_second / theirs.stream.per_second
    stream_share = ours.stream.cpu / theirs.stream.cpu if theirs.stream.cpu else float("inf")
    return [
        (f"calls/s {times:.2f} × LiteLLM's (≥ {TIMES:g})", times >= TIMES),
        (f"CPU a call {share:.2f} × LiteLLM's (≤ {CPU_SHARE:g})", 0 < share <= CPU_SHARE),
        (
            f"streams/s {streams:.2f} × LiteLLM's (≥ {STREAM_TIMES:g}); CPU a stream {stream_share:.2f} ×",
            streams >= STREAM_TIMES,
        ),
        *bars,
    ]  # fmt: skip


def compare(options: argparse.Namespace) -> bool:
    """The run; whether every bar is met."""
    with ExitStack() as stack:
        direct = stack.enter_context(provider())
        ours = stack.enter_context(llmlab(direct))
        sides: list[Side] = [ours]
        why = "--litellm names no environment"
        if options.litellm:
            try:
                sides.append(
                    stack.enter_context(litellm(options.litellm, direct, options.litellm_workers))
                )
            except RuntimeError as error:
                why = str(error)
        found, kept = measure(
            sides, direct, seconds=options.seconds, calls=options.calls, profile=options.profile
        )
        books = ours.books()
    print("\n".join(table(found)), end="\n\n")
    is_exact = books["answered"] > 0 and not any(list(books.values())[3:])
    bars = [*judge(found, kept), ("every call recorded exactly once", is_exact)]
    for text, is_met in bars:
        print(f"{'met   ' if is_met else 'MISSED'} {text}")
    print("records: " + ", ".join(f"{name} {count:,}" for name, count in books.items()))
    if len(sides) == 1:
        print(f"LiteLLM was not measured ({why}): no ratio is judged.")
    elif not (found["LiteLLM"].whole.per_second and found["LiteLLM"].stream.per_second):
        print("LiteLLM answered nothing: no ratio is judged.")
    if options.json:
        told = {name: f.whole.__dict__ | {"stream": f.stream.__dict__} for name, f in found.items()}
        print(json.dumps({"sides": told, "hits": kept.__dict__, "books": books}))
    return all(is_met for _, is_met in bars)


def main() -> int:
    """`python -m benchmarks.gateway`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--litellm", type=Path, metavar="DIR", help="its virtual environment")
    parser.add_argument("--litellm-workers", type=int, default=1, help="1 is its default")
    parser.add_argument("--seconds", type=float, default=20, help="of full load, each time")
    parser.add_argument("--calls", type=int, default=300, help="one at a time, each time")
    parser.add_argument("--waiting", type=int, metavar="N", help="N calls that wait at once")
    parser.add_argument("--wait", type=float, default=30, help="seconds the provider then takes")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="where py-spy's stacks go")
    parser.add_argument("--json", action="store_true", help="print figures as JSON too")
    options = parser.parse_args()
    if options.profile and not shutil.which("py-spy"):
        parser.error("--profile needs py-spy on PATH")
    print(machine())
    if options.waiting:
        return 0 if gateway_waiting.run(options.waiting, options.wait) else 1
    return 0 if compare(options) else 1


if __name__ == "__main__":
    sys.exit(main())
