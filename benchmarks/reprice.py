"""How long pricing a month of calls again takes while ingestion goes on.

`python -m benchmarks.reprice --calls 200000` writes thirty days of history, adds a discount on every model, starts the
job and sends spans all the while (`--calls 40000 --times 25`: a million, most of them copied in the database, see
benchmarks.copies). Prints the time, what ingestion managed meanwhile, the worker's memory, and whether
every sum still equals its raw rows. Bar: 1,000,000 calls in 300 s (a smaller run is scaled and says so).
"""

import argparse
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from benchmarks import traffic
from benchmarks.copies import multiply
from benchmarks.exactness import discrepancies
from benchmarks.export import memory
from benchmarks.read import load, settle
from benchmarks.stack import Stack, machine

BAR_CALLS, BAR_SECONDS, BAR_MIB = 1_000_000, 300, 64
SPANS_PER_CALL = 8 / 5
BATCH = 100
ALONE_SECONDS = 10


class Sender(threading.Thread):
    """One client that sends a batch every `pause` seconds, or as fast as it is answered."""

    def __init__(self, stack: Stack, *, pause: float) -> None:
        super().__init__(daemon=True)
        self.stack, self.pause = stack, pause
        self.stored = self.refused = 0
        self.slowest = 0.0
        self.done = threading.Event()

    def run(self) -> None:
        for body, spans in traffic.requests(10**9, spans=BATCH, seed=7):
            if self.done.is_set():
                return
            started = time.perf_counter()
            request = urllib.request.Request(
                f"{self.stack.url}/v1/traces",
                data=body,
                headers={
                    "Authorization": f"Bearer {self.stack.key}",
                    "Content-Type": "application/x-protobuf",
                },
            )
            try:
                with urllib.request.urlopen(request, timeout=60):
                    self.stored += len(spans)
            except urllib.error.HTTPError:
                self.refused += len(spans)
            took = time.perf_counter() - started
            self.slowest = max(self.slowest, took)
            self.done.wait(max(0.0, self.pause - took))


def start_job() -> int:
    """In the stack's environment: a discount on everything, and the job that carries it into the past."""
    import django

    django.setup()
    from django.utils import timezone

    from accounts.models import Organization
    from costs.rule_drafts import read_draft
    from costs.services.price_changes import apply_plan, plan_of

    organization = Organization.objects.get()
    draft = read_draft({"kind": "discount", "model": "*", "percent_off": "15"})
    plan = plan_of(organization_id=organization.pk, action="add", draft=draft)
    _, job = apply_plan(organization_id=organization.pk, plan=plan, author=None, now=timezone.now())
    sys.stdout.write(json.dumps({"job": str(job.pk), "total": job.total}))
    return 0


def wait(stack: Stack, database: Any, job_id: str) -> tuple[float, int, Any]:
    """Seconds, peak memory (PSS) of the worker with its child, and the job's last row."""
    started, peak = time.perf_counter(), 0
    while True:
        row = database.execute(
            "SELECT state, done, message, result, step FROM core_job WHERE id = %s", [job_id]
        ).fetchone()
        peak = max(peak, memory(stack).worker)
        if row[0] not in ("queued", "running"):
            return time.perf_counter() - started, peak, row
        time.sleep(0.25)


def measure(calls: int, times: int, pause: float) -> bool:
    with Stack(worker=True) as stack, stack.connect() as database:
        took = load(stack, spans=round(calls * SPANS_PER_CALL), seed=1)
        settle(stack, database, seconds=900)
        if times > 1:
            multiply(database, times=times)
            if wrong := discrepancies(database, stack.project_id):
                raise RuntimeError(f"The copies are not exact: {wrong}")
        print(f"{machine()}\nLoaded in {took:.0f} s, times {times}.", flush=True)
        sender = Sender(stack, pause=pause)
        sender.start()
        cpu = stack.cpu()
        time.sleep(ALONE_SECONDS)
        usual = stack.cpu() - cpu
        alone, before = sender.stored / ALONE_SECONDS, sender.stored
        sender.slowest, held = 0.0, memory(stack).worker
        cpu = stack.cpu()
        started = json.loads(stack._run("-m", "benchmarks.reprice", "--start"))
        seconds, peak, (state, _, message, result, steps) = wait(stack, database, started["job"])
        spent = stack.cpu() - cpu
        load_after = os.getloadavg()[0]
        sender.done.set()
        sender.join()
        rate = (sender.stored - before) / seconds
        # Ingestion's part: what as many spans took before the job.
        others = (usual.worker + usual.postgres) * (sender.stored - before) / max(1, before)
        per_call = (spent.worker + spent.postgres - others) * 1000 / max(1, result["changed"])
        wrong = discrepancies(database, stack.project_id)
        scaled = seconds * BAR_CALLS / max(1, result["changed"])
        growth = (peak - held) / 2**20
        print(
            f"{state}: {message}\n"
            f"{result['changed']:,} calls re-priced in {seconds:.1f} s and {steps} steps:"
            f" {result['changed'] / seconds:,.0f} calls/s, 1,000,000 in {scaled:.0f} s"
            f" ({'measured' if result['changed'] >= BAR_CALLS * 0.95 else 'scaled'}; bar {BAR_SECONDS} s).\n"
            f"CPU while it ran: worker {spent.worker:.1f} s, PostgreSQL {spent.postgres:.1f} s (both with ingestion's"
            f" part, {others:.1f} s by what it took before the job: {per_call:.3f} ms per call without), web"
            f" {spent.web:.1f} s; load after {load_after:.1f}.\n"
            f"Ingestion meanwhile {rate:,.0f} spans/s (before {alone:,.0f}), {sender.refused} refused, slowest request"
            f" {sender.slowest * 1000:.0f} ms.\n"
            f"Worker memory {growth:+.0f} MiB PSS (bar {BAR_MIB} MiB). Sums against raw rows: {wrong or 'equal'}."
        )
        return (
            state == "done"
            and scaled <= BAR_SECONDS
            and growth <= BAR_MIB
            and not wrong
            and not sender.refused
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Price a month of calls again.")
    parser.add_argument("--calls", type=int, default=BAR_CALLS)
    parser.add_argument("--times", type=int, default=1, help="so often the loaded calls, by SQL")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between batches of 100")
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        return start_job()
    return 0 if measure(options.calls, options.times, options.pause) else 1


if __name__ == "__main__":
    raise SystemExit(main())
