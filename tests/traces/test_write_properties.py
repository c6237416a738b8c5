"""Property: whatever the order, duplicates, lateness and batching, sums equal raw rows and the end is the same."""

import datetime as dt
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costs.models import CostRecord, RecordKey
from tests.factories.projects import ProjectFactory
from tests.traces.spans import START, assert_ledger_is_exact, context_for, llm, raw_sums, span
from traces.ingest.span import NormalSpan
from traces.ingest.write import write_spans
from traces.models import Span, Trace

NOW = START + dt.timedelta(hours=3)
KINDS = ("llm", "llm", "agent", "tool", "chain", "unpriced")


@st.composite
def messages(draw: st.DrawFn, *, responses: tuple[str, ...] = ("",)) -> list[NormalSpan]:
    """Steps of up to three traces with random parents (missing and cyclic ones too); some announced as running first,
    some sent twice, some days late."""
    out: list[NormalSpan] = []
    for number in range(draw(st.integers(1, 12))):
        trace_id = f"t{draw(st.integers(1, 3))}"
        parent = draw(st.sampled_from(["", *(f"s{n}" for n in range(13))]))
        started = START - dt.timedelta(
            hours=draw(st.sampled_from([0, 0, 1, 30, 100])), seconds=number
        )
        fields: dict[str, Any] = {
            "trace_id": trace_id,
            "parent_span_id": parent,
            "started_at": started,
            "ended_at": started + dt.timedelta(milliseconds=draw(st.integers(0, 5000))),
            "status": draw(st.sampled_from(["ok", "ok", "error"])),
            "user_id": draw(st.sampled_from(["", "u1", "u2"])),
            "tags": tuple(draw(st.lists(st.sampled_from(["a", "b"]), max_size=2))),
        }
        kind = draw(st.sampled_from(KINDS))
        if kind in ("llm", "unpriced"):
            model = "acme-llama-70b" if kind == "unpriced" else "gpt-5-mini"
            fields["response_id"] = draw(st.sampled_from(responses))
            step = llm(f"s{number}", tokens=draw(st.integers(0, 5000)), model=model, **fields)
        else:
            step = span(f"s{number}", kind=kind, **fields)
        if draw(st.booleans()):
            out.append(
                span(
                    f"s{number}",
                    kind=step.kind,
                    **{**fields, "ended_at": None, "status": "running"},
                )
            )
        out.extend([step] * draw(st.integers(1, 2)))
    return out


def _send(sent: list[NormalSpan], sizes: list[int]) -> Any:
    project = ProjectFactory()
    context = context_for(project)
    at = 0
    while at < len(sent):
        size = sizes[at % len(sizes)]
        write_spans(context, sent[at : at + size], now=NOW)
        at += size
    return project


def _end_state(project: Any) -> Any:
    traces = Trace.objects.filter(project=project).order_by("trace_id")
    return (
        raw_sums(project),
        sorted(
            CostRecord.objects.filter(project=project)
            .annotate(key=RecordKey("record_id", "trace_id", "span_id"))
            .values_list("key", "cost_usd")
        ),
        sorted(
            Span.objects.filter(project=project).values_list(
                "trace_id", "span_id", "status", "has_cost_below"
            )
        ),
        [
            (
                t.trace_id,
                t.status,
                t.name,
                t.started_at,
                t.ended_at,
                t.span_count,
                t.cost_usd,
                t.tags,
                t.root_span_id,
            )
            for t in traces
        ],
    )


@pytest.mark.django_db
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sent=messages(),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_sums_equal_raw_rows_after_any_interleaving(
    sent: list[NormalSpan], sizes: list[int], seed: int
) -> None:
    shuffled = sent[:]
    random.Random(seed).shuffle(shuffled)

    one, other = _send(sent, [len(sent)]), _send(shuffled, sizes)

    assert_ledger_is_exact(one)
    assert_ledger_is_exact(other)
    assert _end_state(one)[:3] == _end_state(other)[:3]


@pytest.mark.django_db
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sent=messages(responses=("", "r1", "r2")),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
)
def test_sums_equal_raw_rows_with_twins_of_one_response(
    sent: list[NormalSpan], sizes: list[int]
) -> None:
    project = _send(sent, sizes)
    assert_ledger_is_exact(project)
    charged = CostRecord.objects.filter(project=project).values_list("trace_id", "span_id")
    spans = Span.objects.filter(project=project, has_cost_record=True).exclude(response_id="")
    assert len(charged) >= len(spans)
    responses = [(s.trace_id, s.response_id) for s in spans]
    assert len(responses) == len(set(responses))
