"""Thirty days of a busy project, written through the one writer: what benchmarks/read.py and reprice.py look at.

Run as a process of its own (`python -m benchmarks.history`) in the environment of a benchmarks.stack.Stack. Traces are
spread over the days and the hours of a day; ids follow from the seed, so running it twice writes nothing new.
"""

import argparse
import datetime as dt
import random
import sys
from typing import Any

import django

from benchmarks.traffic import text

DAYS = 30
SPANS_PER_TRACE = 8  # one agent, five model calls, two tools
BATCH_TRACES = 250
MODELS = (
    ("openai", "gpt-5-mini-2025-08-07", 40),
    ("openai", "gpt-4o-2024-08-06", 20),
    ("openai", "gpt-5-nano-2025-08-07", 10),
    ("anthropic", "claude-sonnet-4-5-20250929", 20),
    ("anthropic", "claude-haiku-4-5-20251001", 8),
    ("acme", "acme-llama-70b", 2),  # no price
)
AGENTS = ("support-agent", "refund-agent", "research-agent", "planner", "writer")
ENVIRONMENTS = ("production",) * 8 + ("staging",) * 2 + ("dev",)
TAGS = ("gold", "trial", "beta", "eu", "us", "mobile", "web", "batch")
ERRORS = (
    ("TimeoutError", "upstream timed out after 30 s"),
    ("RateLimitError", "rate limit reached for org 1234, retry in 2 s"),
    ("ValueError", "order 88123 was not found"),
)


def traces_of_day(day: dt.date, count: int, *, seed: int) -> Any:
    """`count` traces of one day in order of time, each as its NormalSpans."""
    chance = random.Random(f"{seed}:{day}")
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    starts = sorted(chance.triangular(0, 86_000, 52_000) for _ in range(count))
    for number, start in enumerate(starts):
        yield one_trace(
            chance, midnight + dt.timedelta(seconds=start), f"{seed:02x}{day:%y%m%d}{number:06x}"
        )


def one_trace(chance: random.Random, at: dt.datetime, number: str) -> list[Any]:
    """An agent's turn with model calls and tools, as a dialect would have understood it."""
    from costs.usage import Usage
    from traces.ingest.span import NormalSpan

    trace_id = f"{number:0>14}{chance.getrandbits(72):018x}"
    agent, environment = chance.choice(AGENTS), chance.choice(ENVIRONMENTS)
    facts: dict[str, Any] = {
        "agent": agent,
        "environment": environment,
        "release": f"1.{chance.randrange(12)}.0",
        "user_id": f"user-{int(chance.paretovariate(0.7)) % 5000}",
        "session_id": f"session-{number[2:8]}-{chance.randrange(900)}",
        "feature": chance.choice(("chat", "search", "refund", "summary")),
        "tags": tuple(chance.sample(TAGS, 2)),
        "dialect": "gen_ai",
    }
    root = NormalSpan(
        trace_id=trace_id,
        span_id=f"{chance.getrandbits(64):016x}",
        name=f"{agent} turn",
        kind="agent",
        started_at=at,
        input=[{"role": "user", "content": text(chance, 200)}],
        **facts,
    )
    spans = [root]
    moment = at + dt.timedelta(milliseconds=2)
    for place in range(SPANS_PER_TRACE - 1):
        span = NormalSpan(
            trace_id=trace_id,
            span_id=f"{chance.getrandbits(64):016x}",
            parent_span_id=root.span_id,
            started_at=moment,
            **facts,
        )
        moment += dt.timedelta(milliseconds=chance.lognormvariate(6.5, 0.8))
        span.ended_at = moment
        if place in (2, 4):
            span.kind, span.name = "tool", chance.choice(("lookup_order", "search_docs", "refund"))
            span.input, span.output = {"order": chance.randrange(10**6)}, text(chance, 200)
        else:
            provider, model, _ = chance.choices(MODELS, weights=[m[2] for m in MODELS])[0]
            span.kind, span.name, span.is_call = "llm", f"chat {model}", True
            span.provider, span.response_model, span.operation = provider, model, "chat"
            span.first_token_ms = chance.uniform(80, 900)
            span.usage = Usage(
                input_tokens=chance.randrange(300, 4000), output_tokens=chance.randrange(20, 600)
            )
            span.input = [{"role": "user", "content": text(chance, 300)}]
            span.output = text(chance, 300)
        if chance.random() < 0.02:
            span.status = "error"
            span.error_type, span.error_message = chance.choice(ERRORS)
        spans.append(span)
    root.ended_at = moment
    return spans


def load(project_id: str, *, traces_per_day: int, seed: int, days: list[dt.date]) -> int:
    """Write so many traces on each of the days; returns how many spans were new."""
    from projects.models import Project

    project = Project.objects.select_related("organization").get(pk=project_id)
    context = context_of(project)
    written = 0
    for day in days:
        pending: list[Any] = []
        for spans in traces_of_day(day, traces_per_day, seed=seed):
            pending += spans
            if len(pending) >= BATCH_TRACES * SPANS_PER_TRACE:
                written += _write(context, pending)
                pending = []
        if pending:
            written += _write(context, pending)
    return written


def _write(context: Any, spans: list[Any]) -> int:
    """One batch of steps, and what people and evaluators said about some of its traces."""
    from django.utils import timezone

    from traces.feedback.scores import record_scores
    from traces.ingest.write import write_spans

    stored = len(write_spans(context, spans, now=timezone.now()).stored)
    record_scores(
        project_id=context.project_id,
        items=[item for span in spans if not span.parent_span_id for item in scores_of(span)],
        now=timezone.now(),
    )
    return stored


def scores_of(root: Any) -> list[Any]:
    """Every tenth trace is judged by an evaluator, some of those by a person too; a few sessions as a whole."""
    from traces.feedback.scores import ScoreItem

    chance = random.Random(root.trace_id)
    if chance.random() >= 0.1:
        return []
    at = root.ended_at + dt.timedelta(minutes=1)
    common: dict[str, Any] = {"environment": root.environment, "scored_at": at}
    found = [
        ScoreItem(
            name="helpfulness",
            value=round(chance.random(), 2),
            score_id=f"{root.trace_id}-h",
            trace_id=root.trace_id,
            source="eval",
            **common,
        )
    ]
    if chance.random() < 0.4:
        found.append(
            ScoreItem(
                name="verdict",
                value=chance.choice(("right", "wrong", "unclear")),
                score_id=f"{root.trace_id}-v",
                trace_id=root.trace_id,
                reason=text(chance, 80),
                source="annotation",
                **common,
            )
        )
    if chance.random() < 0.1:
        found.append(
            ScoreItem(
                name="solved",
                value=chance.random() < 0.7,
                score_id=f"{root.trace_id}-s",
                session_id=root.session_id,
                **common,
            )
        )
    return found


def context_of(project: Any) -> Any:
    """What the doors hand to the writer for this project."""
    from core.crypto import data_cipher
    from traces.ingest.context import IngestContext

    return IngestContext(project_id=project.pk, cipher=data_cipher(project.organization.data_key))


def main() -> int:
    """Each process takes every `--of`th day, beginning with `--part`."""
    parser = argparse.ArgumentParser(description="Write thirty days of traces.")
    parser.add_argument("project_id")
    parser.add_argument("--spans", type=int, default=100_000, help="of all parts together")
    parser.add_argument("--seed", type=int, default=1, help="another seed writes other traces")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--of", type=int, default=1)
    options = parser.parse_args()
    django.setup()
    today = dt.datetime.now(dt.UTC).date()
    days = [today - dt.timedelta(days=back) for back in range(DAYS, 0, -1)]
    per_day = options.spans // SPANS_PER_TRACE // DAYS
    written = load(
        options.project_id,
        traces_per_day=per_day,
        seed=options.seed,
        days=days[options.part :: options.of],
    )
    sys.stdout.write(f"{written}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
