"""Many calls that wait at once on one worker process: all answered, and what it needs of memory."""

from pathlib import Path

from benchmarks.gateway_sides import llmlab, load, provider

PEAK_MIB = 600
PATIENCE = 90.0


def run(count: int, wait: float) -> bool:
    """Send them all at once to a provider that takes `wait` seconds; prints, and says whether the bar is met."""
    with provider(wait) as direct, llmlab(direct, only_llm=True) as ours:
        worker = ours.stack.processes["llm"].pid
        before = peak(worker)
        seen = load(ours, count=count, concurrency=count, patience=wait + PATIENCE)
        ours.settle(seen)
        reached, books = direct.answered(), ours.books()
        highest = peak(worker)
        webs = sum(peak(pid) for pid in ours.stack.web_children())
    answered = len(seen.latencies)
    slowest = max(seen.latencies, default=0.0) / 1000
    print(f"{count:,} calls at once on one worker, the provider takes {wait:g} s")
    print(f"answered                {answered:,} in {seen.seconds:.1f} s, slowest {slowest:.1f} s")
    print(f"reached the provider    {reached:,}")
    print(f"peak memory of worker   {highest:.0f} MiB (before {before:.0f}); web {webs:.0f} MiB")
    print("records                 " + ", ".join(f"{name} {n:,}" for name, n in books.items()))
    for why in seen.why:
        print(f"failed with             {why}")
    is_exact = not any(list(books.values())[3:])
    is_met = answered == count == reached and highest <= PEAK_MIB and is_exact
    print("met" if is_met else f"MISSED (all answered, once, worker ≤ {PEAK_MIB} MiB)")
    return is_met


def peak(pid: int) -> float:
    """The most resident memory a process ever had, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
