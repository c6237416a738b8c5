"""How many spans a second become durable, what 1,000 of them cost in CPU, and what each takes on disk. `make bench`.

OTLP protobuf, 100 spans a request, 1–2 KB prompts and completions, uncompressed, client on the same machine. A span
counts when a SELECT finds it afterwards. The limit in the same run: COPY of the very same rows into plain tables
without an index, one commit per 100 spans, one connection. Bytes on disk: every table and index of traces and costs
after VACUUM, less what they took when empty, divided by the spans.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks import traffic
from benchmarks.stack import Stack, cpu_seconds, machine

SPANS = 100
BAR_SPANS_PER_SECOND = 3000
BAR_CPU_MS = 300
BAR_BYTES = 1500
TABLES = ("traces_span", "traces_spanpayload", "costs_costrecord")


@dataclass
class Row:
    """One line of the table."""

    concurrency: int
    durable: int
    seconds: float
    p50_ms: float
    p95_ms: float
    web_ms: float
    postgres_ms: float
    redis_ms: float

    @property
    def per_second(self) -> float:
        return self.durable / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Server and database CPU per 1,000 spans."""
        return self.web_ms + self.postgres_ms + self.redis_ms


class Sender:
    """Threads with a keep-alive connection each, taking the next prepared body until all are sent."""

    def __init__(self, stack: Stack, bodies: list[bytes]) -> None:
        self.address = urlsplit(stack.url)
        self.headers = {
            "Authorization": f"Bearer {stack.key}",
            "Content-Type": "application/x-protobuf",
        }
        self.bodies = iter(bodies)
        self.lock = threading.Lock()
        self.times: list[float] = []
        self.refused: list[str] = []

    def run(self, concurrency: int) -> float:
        """Seconds until the last answer."""
        threads = [threading.Thread(target=self._work) for _ in range(concurrency)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    def _work(self) -> None:
        assert self.address.hostname
        connection = http.client.HTTPConnection(
            self.address.hostname, self.address.port, timeout=30
        )
        while True:
            with self.lock:
                body = next(self.bodies, None)
            if body is None:
                connection.close()
                return
            started = time.perf_counter()
            connection.request("POST", "/v1/traces", body, self.headers)
            answer = connection.getresponse()
            content = answer.read()
            with self.lock:
                self.times.append(time.perf_counter() - started)
                if answer.status != 200 or content:
                    self.refused.append(f"{answer.status} {content[:200]!r}")


def measure(stack: Stack, database: "psycopg.Connection[Any]", concurrency: int, count: int) -> Row:
    """Send `count` requests with `concurrency` connections."""
    seed = time.time_ns()  # ids of their own: a repeated span would be a duplicate
    bodies = [body for body, _ in traffic.requests(count, spans=SPANS, seed=seed)]
    before, cpu = _durable(database), stack.cpu()
    sender = Sender(stack, bodies)
    seconds = sender.run(concurrency)
    used, durable = stack.cpu() - cpu, _durable(database) - before
    if sender.refused:
        raise SystemExit(f"{len(sender.refused)} requests were refused: {sender.refused[0]}")
    if durable != count * SPANS:
        raise SystemExit(f"{count * SPANS} spans were acknowledged, {durable} are in the database.")
    times = sorted(sender.times)
    per_thousand = 1000 / durable * 1000
    return Row(
        concurrency=concurrency,
        durable=durable,
        seconds=seconds,
        p50_ms=times[len(times) // 2] * 1000,
        p95_ms=times[int(len(times) * 0.95)] * 1000,
        web_ms=used.web * per_thousand,
        postgres_ms=used.postgres * per_thousand,
        redis_ms=used.redis * per_thousand,
    )


def _durable(database: "psycopg.Connection[Any]") -> int:
    row = database.execute("SELECT count(*) FROM traces_span").fetchone()
    return int(row[0]) if row else 0


_SIZES = """
SELECT coalesce(parent.relname, c.relname), sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid))
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE c.relkind = 'r' AND (c.relname LIKE 'traces\\_%' OR c.relname LIKE 'costs\\_%')
GROUP BY 1 ORDER BY 1
"""


def sizes(database: "psycopg.Connection[Any]") -> dict[str, tuple[int, int]]:
    """Bytes of each table (TOAST included) and of its indexes, partitions together, after VACUUM."""
    for (table,) in database.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(traces|costs)_'"
    ).fetchall():
        database.execute(f"VACUUM {table}")
    return {name: (int(t), int(i)) for name, t, i in database.execute(_SIZES).fetchall()}


_PARTS = """
SELECT coalesce(parent.relname, c.relname), 'rows', sum(pg_relation_size(c.oid)) FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
  WHERE c.relkind = 'r' AND c.relname ~ '^(traces|costs)_' GROUP BY 1
UNION ALL
SELECT coalesce(parent.relname, c.relname), 'TOAST', sum(pg_total_relation_size(c.reltoastrelid)) FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
  WHERE c.relkind = 'r' AND c.reltoastrelid <> 0 AND c.relname ~ '^(traces|costs)_' GROUP BY 1
UNION ALL
SELECT coalesce(parent.relname, c.relname), coalesce(above.relname, own.relname), sum(pg_relation_size(own.oid))
  FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class own ON own.oid = x.indexrelid
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
  LEFT JOIN pg_inherits j ON j.inhrelid = own.oid LEFT JOIN pg_class above ON above.oid = j.inhparent
  WHERE c.relkind = 'r' AND c.relname ~ '^(traces|costs)_' GROUP BY 1, 2
ORDER BY 1, 3 DESC
"""
WIDE = ("traces_trace", *TABLES)


def breakdown(database: "psycopg.Connection[Any]", spans: int) -> str:
    """Where the bytes are: heap, TOAST and each index by table, and the average width of each column."""
    lines = ["| table | part | bytes per span |", "|---|---|---|"]
    lines += [
        f"| {table} | {part} | {int(size) / spans:,.1f} |"
        for table, part, size in database.execute(_PARTS).fetchall()
        if size and size / spans >= 0.5
    ]
    lines += ["", "| table | rows per span | average bytes by column |", "|---|---|---|"]
    for table in WIDE:
        names = [
            name
            for (name,) in database.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum",
                [table],
            ).fetchall()
        ]
        widths = ", ".join(f"coalesce(avg(pg_column_size({name})), 0)" for name in names)
        row = database.execute(f"SELECT count(*), {widths} FROM {table}").fetchone()  # noqa: S608
        assert row is not None
        told = ", ".join(
            f"{name} {width:.0f}" for name, width in zip(names, row[1:], strict=True) if width
        )
        lines.append(f"| {table} | {row[0] / spans:.2f} | {told} |")
    return "\n".join(lines)


def per_span(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], spans: int
) -> dict[str, tuple[float, float]]:
    """Bytes per span by table: rows and indexes."""
    grown = {}
    for name, (table, indexes) in after.items():
        old = before.get(name, (0, 0))
        row, index = (table - old[0]) / spans, (indexes - old[1]) / spans
        if row + index >= 0.5:
            grown[name] = (row, index)
    return grown


def copy_limit(stack: Stack, database: "psycopg.Connection[Any]") -> tuple[float, float]:
    """Spans a second and PostgreSQL's CPU ms per 1,000 spans when the same rows are only copied."""
    blocks = _blocks(database)
    for table in TABLES:
        database.execute(f"CREATE TABLE bench_{table} (LIKE {table})")
    postgres = stack.processes["postgres"].pid
    cpu, started = cpu_seconds(postgres), time.perf_counter()
    for block in blocks:
        with database.transaction(), database.cursor() as cursor:
            for table, rows in block.items():
                with cursor.copy(f"COPY bench_{table} FROM STDIN") as copy:
                    copy.write(rows)
    seconds, used = time.perf_counter() - started, cpu_seconds(postgres) - cpu
    row = database.execute("SELECT count(*) FROM bench_traces_span").fetchone()
    copied = int(row[0]) if row else 0
    return copied / seconds, used / copied * 1e6


def _blocks(database: "psycopg.Connection[Any]") -> list[dict[str, bytes]]:
    """The stored rows in COPY's text form, 100 spans and what belongs to them per block."""
    texts: dict[str, list[bytes]] = {}
    for table in TABLES:
        statement = f"COPY (SELECT * FROM {table}) TO STDOUT"  # noqa: S608 - one of TABLES
        with database.cursor() as cursor, cursor.copy(statement) as copy:
            texts[table] = b"".join(bytes(part) for part in copy).splitlines(keepends=True)
    count = len(texts["traces_span"]) // SPANS
    return [
        {
            table: b"".join(lines[len(lines) * place // count : len(lines) * (place + 1) // count])
            for table, lines in texts.items()
        }
        for place in range(count)
    ]


def report(
    rows: list[Row], limit: tuple[float, float], disk: dict[str, tuple[float, float]]
) -> str:
    """The table, the machine and the verdict."""
    lines = [
        machine(),
        f"{SPANS} spans a request, OTLP protobuf, durable = found by SELECT; limit = COPY of the same rows:",
        f"{limit[0]:,.0f} spans/s, {limit[1]:.0f} ms PostgreSQL CPU per 1,000",
        "",
        "| concurrency | durable spans/s | of the limit | request p50 | p95 "
        "| CPU ms per 1,000 spans | web | PostgreSQL | Redis |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.concurrency} | {r.per_second:,.0f} | {r.per_second / limit[0]:.2f} | {r.p50_ms:.0f} ms "
        f"| {r.p95_ms:.0f} ms | {r.cpu_ms:.0f} | {r.web_ms:.0f} | {r.postgres_ms:.0f} | {r.redis_ms:.0f} |"
        for r in rows
    ]
    lines += ["", "| bytes per span on disk | rows | indexes |", "|---|---|---|"]
    lines += [f"| {name} | {row:,.0f} | {index:,.0f} |" for name, (row, index) in disk.items()]
    best = max(r.per_second for r in rows)
    dearest = max(r.cpu_ms for r in rows)
    lines += [
        "",
        f"best {best:,.0f} durable spans/s (bar ≥ {BAR_SPANS_PER_SECOND:,}); "
        f"dearest {dearest:.0f} ms CPU per 1,000 spans (bar ≤ {BAR_CPU_MS}); "
        f"{total_bytes(disk):,.0f} bytes per span on disk (bar ≤ {BAR_BYTES:,})",
    ]
    return "\n".join(lines)


def total_bytes(disk: dict[str, tuple[float, float]]) -> float:
    return sum(row + index for row, index in disk.values())


def main() -> int:
    """`python -m benchmarks.ingest`; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=300, help="per concurrency")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--breakdown", action="store_true", help="print where the bytes are, too")
    parser.add_argument("--json", action="store_true", help="print figures as JSON too")
    options = parser.parse_args()
    with Stack() as stack, stack.connect() as database:
        empty = sizes(database)
        measure(stack, database, 4, 20)  # warm: plans, catalogue, connections
        rows = [measure(stack, database, n, options.requests) for n in options.concurrency]
        disk = per_span(empty, sizes(database), _durable(database))
        parts = breakdown(database, _durable(database)) if options.breakdown else ""
        limit = copy_limit(stack, database)
    if parts:
        print(parts, end="\n\n")
    print(report(rows, limit, disk))
    if options.json:
        print(
            json.dumps(
                {
                    "rows": [
                        {**vars(r), "per_second": r.per_second, "cpu_ms": r.cpu_ms} for r in rows
                    ],
                    "bytes_per_span": disk,
                }
            )
        )
    met = (
        max(r.per_second for r in rows) >= BAR_SPANS_PER_SECOND
        and max(r.cpu_ms for r in rows) <= BAR_CPU_MS
        and total_bytes(disk) <= BAR_BYTES
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
