"""What an export of every step costs: time, and how much larger worker and web get while it is written and fetched.

By itself it loads its own history (`--times 5` multiplies it in the database, see benchmarks.copies), or opens data
that was kept (`--use`); `python -m benchmarks.read --export` measures on the data that is there already.
`--costs` exports the organisation's cost records and FOCUS instead, as CSV and Parquet, and streams FOCUS as well.
Memory is PSS (a page that processes share counts once among them: what they inherited is no growth), looked at every
0.2 s, against what they held before. Parquet is written by DuckDB in a process of its own: that one is shown apart.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.copies import multiply
from benchmarks.stack import Stack, machine

BAR_MIB = 64
FORMATS = ("csv", "jsonl", "parquet")
MIB = 2**20
WAIT_SECONDS = 3600


@dataclass
class Peak:
    """The most each part held, in bytes."""

    worker: int = 0
    web: int = 0
    converter: int = 0

    def see(self, other: "Peak") -> None:
        self.worker, self.web = max(self.worker, other.worker), max(self.web, other.web)
        self.converter = max(self.converter, other.converter)


def memory(stack: Stack) -> Peak:
    """Now: worker with its pool, the web parent with its processes, and DuckDB's process."""
    found = Peak()
    pool = {stack.processes["worker"].pid, *_children(stack.processes["worker"].pid)}
    for pid in _family(stack.processes["worker"].pid):
        if b"projects.exports.parquet" in _command(pid):
            found.converter += _held(pid)
        elif (
            pid in pool
        ):  # not a child that is about to become DuckDB: its memory is still its parent's
            found.worker += _held(pid)
    for pid in _family(stack.processes["web"].pid):
        found.web += _held(pid)
    return found


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _family(child)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _held(pid: int) -> int:
    """Its own pages and its share of those that it has in common with others (PSS)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextmanager
def watched(stack: Stack) -> Iterator[Peak]:
    """The peaks while the block runs."""
    peak, is_over = memory(stack), threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            peak.see(memory(stack))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def measure(stack: Stack) -> tuple[str, bool]:
    """The table, and whether the bar is met."""
    with stack.connect() as database:
        found = database.execute("SELECT count(*) FROM traces_span").fetchone()
    spans = int(found[0]) if found else 0
    _export(stack, "csv", query="range=1h")  # everything is imported once
    before = memory(stack)
    lines = [
        "| format | rows | written in | file | worker | web | DuckDB apart |",
        "|---|---|---|---|---|---|---|",
    ]
    is_met = True
    for name in FORMATS:
        started = time.perf_counter()
        with watched(stack) as peak:
            job = _export(stack, name, query="range=90d")
            written = time.perf_counter() - started
            size = _fetch(stack, job["id"])
        rows = job["result"]["rows"]
        worker, web = peak.worker - before.worker, peak.web - before.web
        is_met = is_met and rows == spans and worker <= BAR_MIB * MIB and web <= BAR_MIB * MIB
        lines.append(
            f"| {name} | {rows:,} | {written:.0f} s | {size / MIB:.0f} MiB | {worker / MIB:+.0f} MiB"
            f" | {web / MIB:+.0f} MiB | {peak.converter / MIB:.0f} MiB |"
        )
        print(lines[-1], flush=True)  # each takes minutes
    lines += [
        "",
        f"{spans:,} spans stored; growth over {before.worker / MIB:.0f} MiB (worker and its child) and"
        f" {before.web / MIB:.0f} MiB (web parent and processes); bar {BAR_MIB} MiB each.",
    ]
    return "\n".join(lines), is_met


COSTS = [(kind, name) for kind in ("records", "focus") for name in ("csv", "parquet")]


def measure_costs(stack: Stack, only: list[str]) -> tuple[str, bool]:
    """The same for an organisation's costs: records, FOCUS, and FOCUS as a stream."""
    client = _Browser(stack)
    with stack.connect() as database:
        spans = "SELECT min(occurred_at)::date, max(occurred_at)::date, count(*), sum(cost_usd) FROM costs_costrecord"
        first, last, records, total = database.execute(spans).fetchone() or (None,) * 4
    days = {"start": str(first), "end": str(last)}
    # Everything is imported, and the pool's child has its own copies of what it inherited.
    for _ in range(3):
        for kind, name in COSTS:
            client.export(kind, name, {"start": str(last), "end": str(last)})
    client.stream({"start": str(last), "end": str(last)})
    before = memory(stack)
    lines = [
        "| export | rows | written in | files | worker | web | DuckDB apart |",
        "|---|---|---|---|---|---|---|",
    ]
    is_met = True
    for kind, name in [*COSTS, ("FOCUS stream", "csv")]:
        if only and f"{kind}-{name}" not in only:
            continue
        started = time.perf_counter()
        with watched(stack) as peak:
            if kind == "FOCUS stream":
                rows, size = client.stream(days)
            else:
                job = client.export(kind, name, days)
                rows, size = (
                    job["rows"],
                    sum(client.fetch(job["id"], one["name"]) for one in job["files"]),
                )
            spent = time.perf_counter() - started
        worker, web = peak.worker - before.worker, peak.web - before.web
        is_met = is_met and worker <= BAR_MIB * MIB and web <= BAR_MIB * MIB
        is_met = is_met and (kind != "records" or rows == records)
        lines.append(
            f"| {kind}, {name} | {rows:,} | {spent:.0f} s | {size / MIB:.0f} MiB | {worker / MIB:+.0f} MiB"
            f" | {web / MIB:+.0f} MiB | {peak.converter / MIB:.0f} MiB |"
        )
        print(lines[-1], flush=True)
    lines += [
        "",
        f"{records:,} cost records of {first} to {last}, {total} dollars; bar {BAR_MIB} MiB each.",
    ]
    return "\n".join(lines), is_met


class _Browser:
    """The owner's session, with the token that a POST needs."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        with stack.connect() as database:
            found = database.execute("SELECT slug FROM accounts_organization LIMIT 1").fetchone()
        self.base = f"/api/v1/organizations/{found[0] if found else ''}/exports"
        token = "b" * 32
        self.headers = {
            "Cookie": f"sessionid={stack.session_keys[0]}; csrftoken={token}",
            "X-CSRFToken": token,
            "Content-Type": "application/json",
        }

    def _ask(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        self.connection = _connection(self.stack)
        self.connection.request(method, path, body=body, headers=self.headers)
        answer = self.connection.getresponse()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.read(300)!r}")
        return answer

    def export(self, kind: str, format_name: str, days: dict[str, str]) -> Any:
        """Ask and wait until the files are there."""
        body = {"kind": kind, "format": format_name, **days}
        job = json.loads(self._ask("POST", self.base, json.dumps(body)).read())
        deadline = time.monotonic() + WAIT_SECONDS
        while job["state"] in ("queued", "running") and time.monotonic() < deadline:
            time.sleep(0.5)
            job = json.loads(self._ask("GET", f"{self.base}/{job['id']}").read())
        if job["state"] != "done":
            raise RuntimeError(f"The export failed: {job}")
        return job

    def fetch(self, job_id: str, name: str) -> int:
        """Download a file; how many bytes came."""
        return self._read(self._ask("GET", f"{self.base}/{job_id}/file?name={name}"))[1]

    def stream(self, days: dict[str, str]) -> tuple[int, int]:
        """FOCUS without a job: rows and bytes."""
        query = f"format=csv&start={days['start']}&end={days['end']}"
        return self._read(self._ask("GET", f"{self.base}/focus?{query}"))

    def _read(self, answer: http.client.HTTPResponse) -> tuple[int, int]:
        rows, size = -1, 0
        while data := answer.read(2**18):
            rows, size = rows + data.count(b"\r\n"), size + len(data)
        self.connection.close()
        return rows, size


def _export(stack: Stack, format_name: str, *, query: str) -> dict[str, Any]:
    """Ask for every step and wait until the file is there."""
    base = f"/api/v1/projects/{stack.slug}/exports"
    body = json.dumps({"kind": "spans", "format": format_name, "query": query})
    job = _api(stack, "POST", base, body)
    deadline = time.monotonic() + WAIT_SECONDS
    while job["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"The export did not end: {job}")
        time.sleep(0.5)
        job = next(one for one in _api(stack, "GET", base)["results"] if one["id"] == job["id"])
    if job["state"] != "done":
        raise RuntimeError(f"The export failed: {job}")
    return job


def _api(stack: Stack, method: str, path: str, body: str | None = None) -> Any:
    connection = _connection(stack)
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
    return json.loads(text)


def _connection(stack: Stack) -> http.client.HTTPConnection:
    address = urlsplit(stack.url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)


def _fetch(stack: Stack, job_id: str) -> int:
    """Download the file as a browser would; how many bytes came."""
    connection = _connection(stack)
    path = f"/projects/{stack.slug}/exports/{job_id}/file/"
    connection.request("GET", path, headers={"Cookie": f"sessionid={stack.session_keys[0]}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"GET {path}: {answer.status}")
    size = 0
    while data := answer.read(2**18):
        size += len(data)
    connection.close()
    return size


def main() -> int:
    """`python -m benchmarks.export [--spans 1000000]`; exit code 1 when the bar is missed."""
    from benchmarks.read import load, settle

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=1, help="so often the loaded steps, by SQL")
    parser.add_argument("--use", type=Path, help="a directory kept by benchmarks.read")
    parser.add_argument("--costs", action="store_true", help="an organisation's costs and FOCUS")
    parser.add_argument("--only", nargs="+", default=[], help="such as focus-parquet")
    options = parser.parse_args()
    print(machine(), flush=True)

    def measured(stack: Stack) -> tuple[str, bool]:
        return measure_costs(stack, options.only) if options.costs else measure(stack)

    if options.use:
        with Stack(worker=True, keep=options.use) as stack:
            text, is_met = measured(stack)
            print(text)
            return 0 if is_met else 1
    with Stack(worker=True) as stack:
        load(stack, spans=options.spans, seed=1)
        with stack.connect() as database:
            settle(stack, database, seconds=900)  # reading for search is no part of an export
            if options.times > 1:
                multiply(database, times=options.times)
        text, is_met = measured(stack)
    print(text)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
