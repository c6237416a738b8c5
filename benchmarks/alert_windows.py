"""What rules about windows cost beside ingestion: one project with 500 calls a second, fifty rules.

`python -m benchmarks.alert_windows` sends a minute's calls through the door and measures the servers' CPU, puts a
quarter of an hour of calls of that rate into the ledger, and then lets the minutes pass: each brings its own calls,
some of them late, is rolled, and judged by every rule. Bar: at most 5 % of the CPU that ingesting that minute takes.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import time
from typing import Any

import django

from benchmarks import traffic
from benchmarks.ingest import SPANS, Sender
from benchmarks.stack import ROOT, Cpu, Stack, cpu_seconds, machine

BAR = 0.05
RATE, RULES, MINUTES = 500, 50, 10
MINUTE = dt.timedelta(minutes=1)
KINDS = ("spend", "cost_per_call", "error_rate", "latency", "call_rate", "token_rate", "unpriced",
    "no_data", "ingest_lag")  # fmt: skip
# Rows of the ledger as the door writes them: 12 combinations of the four fields, thousands of users.
_FILL = """
INSERT INTO costs_costrecord (project_id, id, record_id, occurred_at, trace_id, span_id, provider, model,
  request_model, operation, service_tier, environment, agent, user_id, session_id, feature, prompt_version, tags,
  is_error, error_type, latency_ms, first_token_ms, input_tokens, output_tokens, cache_read_input_tokens,
  cache_write_input_tokens, reasoning_output_tokens, price_status, unpriced_reason, cost_usd, breakdown, price_source,
  matched_model, usage_convention, is_estimated, flags, recorded_at)
SELECT %(project)s, gen_random_uuid(), NULL, at, md5(n::text || %(seed)s), substr(md5(n::text), 1, 16), 'openai',
  'gpt-4o-mini-' || n %% 3, 'gpt-4o-mini', 'chat', '', (ARRAY['production', 'staging'])[1 + n %% 2], 'agent-' || n %% 4,
  'user-' || n %% 5000, 'session-' || n %% 9000, 'answers', 'v3', ARRAY['eu', 'web'], n %% 50 = 0, '',
  50 + (n::bigint * 7919) %% 4000, 40, 800 + n %% 900, 120 + n %% 200, 0, 0, 0, 'priced', '',
  0.000345 + (n %% 1000) * 0.000001,
  (SELECT breakdown FROM costs_costrecord WHERE project_id = %(project)s LIMIT 1), 'catalogue', 'gpt-4o-mini',
  'openai', false, '{}', %(start)s::timestamptz + n::float8 * interval '1 second' / %(rate)s
FROM (SELECT n, %(start)s::timestamptz + n::float8 * interval '1 second' / %(rate)s
    - CASE WHEN n %% 50 = 0 THEN n %% 11 ELSE 0 END * interval '1 minute' AS at
  FROM generate_series(0, %(count)s - 1) AS n) one
"""


def sent(stack: Stack, count: int) -> tuple[Cpu, int]:
    """The servers' CPU for at least so many calls through the door, and how many there were."""
    with stack.connect() as database:
        before = _calls(database)
        bodies = [body for body, _ in traffic.requests(count // SPANS, spans=SPANS, seed=time.time_ns())]  # fmt: skip
        cpu, sender = stack.cpu(), Sender(stack, bodies)
        sender.run(4)
        used = stack.cpu() - cpu
        if sender.refused:
            raise SystemExit(sender.refused[0])
        return used, _calls(database) - before


def _calls(database: Any) -> int:
    row = database.execute("SELECT count(*) FROM costs_costrecord").fetchone()
    return int(row[0])


def main() -> int:
    """`python -m benchmarks.alert_windows`; exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, default=RATE, help="calls a second")
    options = parser.parse_args()
    if options.inside:
        return inside(options.inside, options.rate)
    before = machine()
    with Stack() as stack:
        sent(stack, 2_000)  # warm: plans, catalogue, connections
        used, calls = sent(stack, 40_000)
        ingest = used.server * 60 * options.rate / calls
        done = subprocess.run(
            [
                sys.executable, "-m", "benchmarks.alert_windows", "--inside", stack.project_id,
                "--rate", str(options.rate),
            ],
            cwd=ROOT, env=stack.environ, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    share = found["seconds"] / ingest
    print(
        f"{before}\n"
        f"{options.rate} calls a second, {RULES} rules, {MINUTES} minutes,"
        " a fiftieth of the calls up to ten minutes late\n\n"
        "| CPU seconds a minute | |\n|---|---|\n"
        f"| ingesting the minute's calls (web, PostgreSQL, Redis) | {ingest:.2f} |\n"
        f"| sums per minute | {found['roll']:.2f} (slowest {found['slowest']:.2f}) |\n"
        f"| judging {RULES} rules | {found['judge']:.2f} |\n"
        f"| both, of ingestion | {share:.1%} (bar <= {BAR:.0%}) |"
    )
    return 0 if share <= BAR else 1


def inside(project_id: str, rate: int) -> int:
    """In the stack's environment: let minutes pass, and print what they cost this process and its database session."""
    django.setup()
    from django.db import connection

    from core import partitions

    first = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    partitions.ensure_days([first.date() + dt.timedelta(days=days) for days in (-1, 0, 1)])
    make_rules(project_id)
    rolls, judged = [], []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
        for back in range(15, 0, -1):
            fill(cursor, project_id, first - back * MINUTE, rate)
        cursor.execute("ANALYZE costs_costrecord")
        step(pid, first, project_id)
        for number in range(1, MINUTES + 1):
            now = first + number * MINUTE
            fill(cursor, project_id, now - MINUTE, rate)
            roll, judge = step(pid, now, project_id)
            rolls.append(roll)
            judged.append(judge)
    found = {"roll": sum(rolls) / MINUTES, "slowest": max(rolls), "judge": sum(judged) / MINUTES}
    print(json.dumps({**found, "seconds": found["roll"] + found["judge"]}))
    return 0


def step(pid: int, now: dt.datetime, project_id: str) -> tuple[float, float]:
    """CPU seconds of rolling and of judging, here and in PostgreSQL."""
    from alerts.measures.needs import roll_minutes
    from alerts.measures.registry import measure_for
    from alerts.models import Alert
    from costs.models import ProjectUsage

    ProjectUsage.objects.filter(project_id=project_id).update(last_activity_at=now)
    start = _used(pid)
    roll_minutes(now)
    rolled = _used(pid)
    by_kind: dict[str, list[Alert]] = {}
    for alert in Alert.objects.select_related("organization", "project"):
        by_kind.setdefault(alert.kind, []).append(alert)
    for kind, alerts in by_kind.items():
        measure_for(kind).read(alerts, now)
    return rolled - start, _used(pid) - rolled


def _used(pid: int) -> float:
    return time.process_time() + cpu_seconds(pid)


def make_rules(project_id: str) -> None:
    """Every kind, windows from a minute to a week, half of them narrowed."""
    from alerts.models import Alert
    from projects.models import Project

    project = Project.objects.get(pk=project_id)
    windows = (1, 5, 15, 60, 240, 1440, 10080)
    scopes: tuple[dict[str, str], ...] = ({}, {"model": "gpt-4o-mini-1"}, {}, {"agent": "agent-2"})
    for number in range(RULES):
        Alert.objects.create(
            organization=project.organization,
            project=project,
            name=f"Rule {number}",
            kind=KINDS[number % len(KINDS)],
            window_minutes=windows[number % len(windows)],
            compare_with="before" if number % 5 == 0 else "value",
            levels=[{"limit": "5", "severity": "warning"}],
            **scopes[number % len(scopes)],
        )


def fill(cursor: Any, project_id: str, start: dt.datetime, rate: int) -> None:
    """A minute's records, a fiftieth of them of the ten minutes before."""
    cursor.execute(
        _FILL,
        {"project": project_id, "seed": str(start), "start": start, "rate": rate, "count": rate * 60},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
