"""Steps of one trace share a payload row: each is found in it, and leaves it when it is written again."""

import datetime as dt

import msgspec
import pytest
from django.db.models import Sum

from projects.models import Project
from tests.traces.said import said_in
from tests.traces.spans import START, assert_ledger_is_exact, context_for, llm, span
from traces.contents import mark_of, rows_holding, steps_in
from traces.ingest import packs
from traces.ingest.tally import LANGFUSE
from traces.ingest.write import write_spans
from traces.models import Span, SpanPayload
from traces.selectors.detail import contents_of, step_content, trace_of

NOW = START + dt.timedelta(hours=3)
pytestmark = pytest.mark.django_db


def texts(project: Project) -> dict[str, object]:
    return {span_id: content.get("input") for (_, span_id), content in said_in(project).items()}


def test_ended_steps_of_a_trace_share_a_row_and_running_ones_do_not(project: Project) -> None:
    spans = [span(name, input=f"said {name}") for name in "abc"]
    running = span("d", status="running", ended_at=None, input="said d")
    other = span("e", trace_id="t2", input="said e")
    write_spans(context_for(project), [*spans, running, other], now=NOW)
    rows = {row.span_id: row for row in SpanPayload.objects.filter(project=project)}
    assert {name: row.steps for name, row in rows.items()} == {
        "a": [mark_of("a"), mark_of("b"), mark_of("c")],
        "d": None,
        "e": [mark_of("e")],
    }
    assert texts(project) == {name: f"said {name}" for name in "abcde"}
    found = SpanPayload.objects.filter(project=project).aggregate(steps=Sum(steps_in()))
    assert found["steps"] == 5


def test_each_step_is_opened_alone_and_together(project: Project) -> None:
    later = [
        span(name, input=f"said {name}", started_at=START + dt.timedelta(minutes=place))
        for place, name in enumerate("abc")
    ]
    write_spans(context_for(project), later, now=NOW)
    stored = {one.span_id: one for one in Span.objects.filter(project=project)}
    for name, one in stored.items():
        assert step_content(project, one).content["input"] == f"said {name}"
    trace = trace_of(project, "t1")
    assert trace is not None
    opened = contents_of(project, trace, [stored["b"], stored["c"]])
    assert {name: one.content["input"] for name, one in opened.items()} == {
        "b": "said b",
        "c": "said c",
    }
    assert all(0 < one.size < 200 for one in opened.values())


def test_a_repeated_step_is_not_stored_in_another_row(project: Project) -> None:
    context = context_for(project)
    write_spans(context, [span("a", input="first"), span("b", input="second")], now=NOW)
    write_spans(context, [span("b", input="again"), span("c", input="third")], now=NOW)
    steps = [row.steps for row in SpanPayload.objects.filter(project=project).order_by("span_id")]
    assert steps == [[mark_of("a"), mark_of("b")], [mark_of("c")]]
    assert texts(project) == {"a": "first", "b": "second", "c": "third"}


def test_an_amended_step_leaves_the_row_it_shared(project: Project) -> None:
    context = context_for(project)
    write_spans(context, [llm(name, input=f"said {name}") for name in "abc"], now=NOW)
    langfuse = msgspec.structs.replace(context, door=LANGFUSE)
    news = llm("a", input="amended", is_amending=True)
    written = write_spans(langfuse, [news], now=NOW)
    assert written.updated == [("t1", "a")]
    assert texts(project) == {"a": "amended", "b": "said b", "c": "said c"}
    rows = {row.span_id: row.steps for row in SpanPayload.objects.filter(project=project)}
    assert rows == {"a": None, "b": [mark_of("b"), mark_of("c")]}
    assert_ledger_is_exact(project)


def test_rows_end_at_midnight_and_at_their_bounds(project: Project) -> None:
    midnight = START.replace(hour=0, minute=0, second=0, microsecond=0)
    spans = [
        span("before", input="x", started_at=midnight - dt.timedelta(seconds=1), ended_at=midnight),
        span("after", input="x", started_at=midnight, ended_at=midnight),
        span("large", input="y" * (packs.ALONE_ABOVE + 1), started_at=midnight, ended_at=midnight),
        *(
            span(f"s{n:03}", input="z", started_at=midnight, ended_at=midnight)
            for n in range(packs.MAX_STEPS)
        ),
    ]
    write_spans(context_for(project), spans, now=NOW)
    counts = {
        row.span_id: row.steps and len(row.steps)
        for row in SpanPayload.objects.filter(project=project)
    }
    assert counts == {"before": 1, "after": packs.MAX_STEPS, "large": None, "s063": 1}


def test_two_steps_with_the_same_mark_are_told_apart(project: Project) -> None:
    # Two names with one CRC-32.
    first, second = "plumless", "buckeroo"
    assert mark_of(first) == mark_of(second)
    context = context_for(project)
    write_spans(context, [span(first, input="one")], now=NOW)
    write_spans(context, [span(second, input="two")], now=NOW)
    rows = rows_holding(
        project_id=project.pk, trace_ids=["t1"], span_ids=[second], since=START, until=NOW
    )
    assert len(rows) == 2
    stored = Span.objects.get(project=project, span_id=second)
    assert step_content(project, stored).content["input"] == "two"
    news = span(second, input="three", is_amending=True)
    write_spans(msgspec.structs.replace(context, door=LANGFUSE), [news], now=NOW)
    assert texts(project) == {first: "one", second: "three"}
