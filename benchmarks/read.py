"""How long a reader waits: every list, panel and detail page, with 100,000 and then 1,000,000 spans of 30 days.

Pages are asked for as a browser does: the document, then each panel it loads by itself, over one keep-alive connection.
The project's usage version is raised before each request, so that no answer comes from the cache of cost questions:
that is what readers of a project with traffic see. p95 of `--rounds` requests each, time to the last byte.
"""

import argparse
import datetime as dt
import gzip
import html
import http.client
import json
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import export
from benchmarks.read_pages import OTHERS, PAGES, api_paths
from benchmarks.stack import ROOT, Stack, machine

BAR_MS = 150
BAR_GROWTH = 1.5
# Below this nobody feels a difference, and the growth of a few milliseconds is noise.
GROWTH_FROM_MS = 50
PANEL = re.compile(r"<[^>]*\bhx-get=\"([^\"]+)\"[^>]*>")


# Details, another one each time: the paths of the newest of some, chosen by chance.
DETAILS = {
    "trace detail": "SELECT 'traces/' || trace_id || '/' FROM traces_trace ORDER BY md5(trace_id)",
    "session detail": "SELECT 'sessions/' || session_id || '/' FROM traces_sessionrow ORDER BY md5(session_id)",
    "user detail": "SELECT 'users/' || user_id || '/?range=30d' FROM traces_userrow ORDER BY md5(user_id)",
    "busiest users": "SELECT 'users/' || user_id || '/?range=30d' FROM traces_userrow ORDER BY traces DESC",
    "error detail": "SELECT 'errors/' || fingerprint || '/?range=30d' FROM traces_errorgroup ORDER BY spans DESC",
}
UNREAD = (
    "SELECT count(*) FROM traces_trace t LEFT JOIN traces_searchdocument d"
    " ON d.project_id = t.project_id AND d.trace_id = t.trace_id WHERE d.seq IS NULL OR d.seq < t.seq",
    "SELECT count(*) FROM traces_sessionrow WHERE is_stale",
    "SELECT count(*) FROM traces_userrow WHERE is_stale",
    "SELECT count(*) FROM traces_errorgroup WHERE is_stale",
    "SELECT count(*) FROM traces_searchdocument WHERE gist <> '' AND embedded_with = ''",
)
STEPS = (
    "SELECT 'traces/' || trace_id || '/steps/' || span_id || '/' FROM traces_span WHERE kind = 'llm'"
    " ORDER BY md5(span_id)"
)


@dataclass
class Line:
    """One thing measured: milliseconds at each size."""

    name: str
    times: dict[int, list[float]] = field(default_factory=dict)
    # Of one request at each size: web processes and PostgreSQL, whatever else the machine does.
    cpu: dict[int, float] = field(default_factory=dict)
    status: int = 200

    def p95(self, size: int) -> float:
        times = sorted(self.times.get(size, []))
        return times[min(len(times) - 1, int(len(times) * 0.95))] if times else 0.0

    def p50(self, size: int) -> float:
        times = sorted(self.times.get(size, []))
        return times[len(times) // 2] if times else 0.0


class Reader:
    """A logged-in browser without a cache."""

    def __init__(self, stack: Stack) -> None:
        address = urlsplit(stack.url)
        assert address.hostname
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self.origin = stack.url
        self.headers = {"Cookie": f"sessionid={stack.session_keys[0]}"}
        self.key = stack.key

    def get(self, path: str, *, page: str = "", api: bool = False) -> tuple[int, bytes, float]:
        """Status, body, milliseconds to the last byte. `page`: the address a panel is asked from."""
        headers = self.headers | {"Accept-Encoding": "gzip"}
        if page:
            headers |= {"HX-Request": "true", "HX-Current-URL": self.origin + page}
        if api:
            headers = {"Authorization": f"Bearer {self.key}"}
        started = time.perf_counter()
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        spent = (time.perf_counter() - started) * 1000
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return answer.status, body, spent


class Measurement:
    """Rounds over all pages at one size."""

    def __init__(self, stack: Stack, database: Any, rounds: int, *, only: str = "") -> None:
        self.stack, self.database, self.rounds, self.only = stack, database, rounds, only
        self.reader = Reader(stack)
        self.lines: dict[str, Line] = {}
        self.chance = random.Random(3)

    def run(self, size: int) -> None:
        base = f"/projects/{self.stack.slug}/"
        api = f"/api/v1/projects/{self.stack.slug}/"
        for name, path in PAGES.items():
            self._page(name, base + path, size)
        for name, path in OTHERS.items():
            self._page(name, path, size)
        for name, path in api_paths().items():
            self._many(name, [api + path] * self.rounds, size, api=True)
        self._many("API traces, page 20", self._deep_pages(), size, api=True)
        self._details(base, size)
        ids = self._values("SELECT trace_id FROM traces_trace ORDER BY md5(trace_id)")
        self._many("API trace", [f"{api}traces/{one}" for one in ids], size, api=True)

    def _details(self, base: str, size: int) -> None:
        """Pages of one thing, another thing each time, and what the first of them loads."""
        for name, sql in DETAILS.items():
            paths = [base + value for value in self._values(sql)]
            if not paths:
                self.lines.setdefault(name, Line(name)).status = 0
                continue
            self._many(name, paths, size)
            _, body, _ = self.reader.get(paths[0])
            for panel in panels_of(body.decode(), paths[0]):
                label = f"{name} › {panel_name(panel)}"
                self._many(label, [panel] * self.rounds, size, page=paths[0])
        steps = self._values(STEPS)
        page = base + steps[0].partition("steps/")[0]
        self._many("step pane", [base + one for one in steps], size, page=page)

    def _page(self, name: str, path: str, size: int) -> None:
        status, body, _ = self.reader.get(path)
        if status != 200:
            self.lines.setdefault(name, Line(name)).status = status
            return
        self._many(name, [path] * self.rounds, size)
        for panel in panels_of(body.decode(), path):
            label = f"{name} › {panel_name(panel)}"
            self._many(label, [panel] * self.rounds, size, page=path)

    def _many(
        self, name: str, paths: list[str], size: int, *, page: str = "", api: bool = False
    ) -> None:
        if self.only not in name:
            return
        line = self.lines.setdefault(name, Line(name))
        # Plans and templates are warm on a running site.
        self.reader.get(paths[0], page=page, api=api)
        before = self.stack.cpu()
        for path in paths:
            self.database.execute("UPDATE costs_projectusage SET version = version + 1")
            status, _, spent = self.reader.get(path, page=page, api=api)
            line.status = max(line.status, status)
            line.times.setdefault(size, []).append(spent)
        used = self.stack.cpu() - before
        line.cpu[size] = (used.web + used.postgres) * 1000 / len(paths)

    def _deep_pages(self) -> list[str]:
        """The twentieth page of the API's list, reached by its own links."""
        path = f"/api/v1/projects/{self.stack.slug}/traces?range=30d&limit=100"
        for _ in range(20):
            status, body, _ = self.reader.get(path, api=True)
            following = json.loads(body).get("next") if status == 200 else None
            if not following:
                break
            parts = urlsplit(following)
            path = f"{parts.path}?{parts.query}"
        return [path] * self.rounds

    def _values(self, sql: str) -> list[str]:
        rows = self.database.execute(f"{sql} LIMIT %s", [self.rounds]).fetchall()
        return [str(row[0]) for row in rows]


def panels_of(page: str, base: str) -> list[str]:
    """What the page asks for by itself: when it loads, when something comes into view, or every few seconds."""
    found = []
    path, _, query = base.partition("?")
    for match in PANEL.finditer(page):
        tag = match[0]
        trigger = re.search(r"hx-trigger=\"([^\"]*)\"", tag)
        if not (trigger and re.search(r"\b(load|revealed|intersect|every|refresh)\b", trigger[1])):
            continue
        href = html.unescape(match[1])
        href = href if href.startswith("/") else path + href
        if "trace-filter" in tag and "?" not in href:  # sent with the page's own filters
            href = f"{href}?{query}"
        found.append(href)
    return list(dict.fromkeys(found))


def panel_name(path: str) -> str:
    parts = [part for part in path.partition("?")[0].split("/") if part]
    return " ".join(parts[3:]) or parts[-1]


def load(stack: Stack, *, spans: int, seed: int) -> float:
    """Write history with two processes; returns seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.history", stack.project_id, "--of", "2"]
    numbers = ["--spans", str(spans), "--seed", str(seed), "--part"]
    commands = [[*command, *numbers, str(part)] for part in range(2)]

    def run(command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=ROOT, env=stack.environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))
    return time.perf_counter() - started


def settle(stack: Stack, database: Any, *, seconds: float) -> str:
    """Wait until every trace can be searched and is counted; then statistics as autovacuum would have them.

    Returns how long reading took after the last span was written, in words.
    """
    database.execute("VACUUM ANALYZE")
    started, first = time.monotonic(), _unread(database)
    while (left := _unread(database)) and time.monotonic() - started < seconds:
        # What beat does on a running site: it starts the job that makes the vectors.
        sweep = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "config",
            "call",
            "traces.tasks.sweep_search",
        ]
        subprocess.run(
            [*sweep, "--queue", "analysis"],
            cwd=ROOT,
            env=stack.environ,
            capture_output=True,
            check=True,
        )
        time.sleep(10)
    spent = time.monotonic() - started
    database.execute("VACUUM ANALYZE")
    pace = (first - left) / spent if spent else 0
    return f"search: {first:,} traces unread after loading, {left:,} after {spent:.0f} s ({pace:.0f}/s)"


def _unread(database: Any) -> int:
    """Traces whose document is missing or old, and sessions, users and failures to be counted again."""
    total = 0
    for sql in UNREAD:
        total += database.execute(sql).fetchone()[0]
    return total


def report(lines: list[Line], sizes: list[int], rounds: int) -> tuple[str, bool]:
    """The table, and whether every bar is met."""
    small, large = sizes[0], sizes[-1]
    text = [
        f"| page or panel | {small:,} spans p50 / p95 ms | {large:,} spans p50 / p95 ms | growth of p95 | CPU ms | |",
        "|---|---|---|---|---|---|",
    ]
    is_met = True
    for line in lines:
        if line.status != 200:
            text.append(f"| {line.name} | answered {line.status} | | | | MISSED |")
            is_met = False
            continue
        growth = line.p95(large) / max(line.p95(small), 0.001)
        is_slow = line.p95(large) > BAR_MS
        grows = growth > BAR_GROWTH and line.p95(large) > GROWTH_FROM_MS
        is_met = is_met and not is_slow and not grows
        verdict = "SLOW" if is_slow else "GROWS" if grows else ""
        text.append(
            f"| {line.name} | {line.p50(small):.0f} / {line.p95(small):.0f} "
            f"| {line.p50(large):.0f} / {line.p95(large):.0f} | {growth:.2f} "
            f"| {line.cpu.get(small, 0):.0f} / {line.cpu.get(large, 0):.0f} | {verdict} |"
        )
    text += [
        "",
        f"p95 of {rounds} requests each; bar {BAR_MS} ms, and at most {BAR_GROWTH} × from {small:,} to {large:,} spans"
        f" (growth is judged from {GROWTH_FROM_MS} ms up).",
    ]
    return "\n".join(text), is_met


def fill(stack: Stack, database: Any, *, size: int, seed: int, wait: float) -> None:
    """Bring the project to `size` spans and say how long it took."""
    database.execute("UPDATE projects_project SET content_capture = 'plain'")
    seconds = load(stack, spans=size - _spans(database), seed=seed)
    settled = settle(stack, database, seconds=wait)
    when = dt.datetime.now(dt.UTC).strftime("%H:%M")
    print(f"{when} {_spans(database):,} spans, {seconds:.0f} s to write the new ones", flush=True)
    print(settled, flush=True)


def _spans(database: Any) -> int:
    found = database.execute("SELECT count(*) FROM traces_span").fetchone()
    return int(found[0]) if found else 0


def read_kept(options: argparse.Namespace) -> tuple[list[Line], list[int]]:
    """Measure data that earlier runs kept, each in its own stack; they are left as they were."""
    lines: dict[str, Line] = {}
    sizes: list[int] = []
    for directory in options.use:
        with Stack(worker=True, keep=directory) as stack, stack.connect() as database:
            size = _spans(database)
            print(f"{machine()}: {directory}, {size:,} spans", flush=True)
            measurement = Measurement(stack, database, options.rounds, only=options.only)
            measurement.lines = lines
            measurement.run(size)
            sizes = sorted([*sizes, size])
        if directory != options.use[-1]:
            print(report(list(lines.values()), sizes, options.rounds)[0], flush=True)
    return list(lines.values()), sizes


def read_new(options: argparse.Namespace) -> tuple[list[Line], list[int], bool]:
    """Load and measure size after size in one stack; also whether the export asked for stayed flat."""
    is_flat = True
    print(machine(), flush=True)
    with Stack(worker=True, keep=options.keep) as stack, stack.connect() as database:
        measurement = Measurement(stack, database, options.rounds, only=options.only)
        for seed, size in enumerate(options.sizes, start=1):
            fill(stack, database, size=size, seed=seed, wait=options.wait)
            if not options.load_only:
                measurement.run(size)
        if options.export:
            text, is_flat = export.measure(stack)
            print(text)
    return list(measurement.lines.values()), options.sizes, is_flat


def main() -> int:
    """`python -m benchmarks.read [--sizes 100000 1000000]`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Time every list, panel and detail page.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--wait", type=float, default=1800, help="seconds for follow-up work")
    parser.add_argument("--export", action="store_true", help="then benchmarks.export as well")
    parser.add_argument("--keep", type=Path, help="directory for the data, left for --use")
    parser.add_argument("--load-only", action="store_true", help="with --keep: measure nothing")
    parser.add_argument("--use", type=Path, nargs="+", help="directories kept before")
    parser.add_argument("--only", default="", help="measure what has this in its name")
    options = parser.parse_args()
    if options.use:
        lines, sizes = read_kept(options)
        is_flat = True
    else:
        lines, sizes, is_flat = read_new(options)
    if options.load_only:
        return 0
    text, is_met = report(lines, sizes, options.rounds)
    print(text, flush=True)
    return 0 if is_met and is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
