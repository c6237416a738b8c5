"""Traces of any size: rows as they are wanted, search, idle and slow steps."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection

from tests.factories.traces import SpanFactory, payload_for
from tests.traces.detail.opened import URL, drawn, gaps, ids, pane
from traces.models import Span, Trace

pytestmark = pytest.mark.django_db


def make_steps(trace: Trace, count: int, parent_of=lambda n: "", **more) -> None:
    """`count` ended steps a millisecond apart; rows by hand, for the factory takes a millisecond each."""
    fixed = {"name": "plan", "kind": "llm", "status": "ok", "seq": 1, "duration_ms": 1000.0}
    one_second = dt.timedelta(seconds=1)

    def row(n: int) -> Span:
        own = {name: value(n) if callable(value) else value for name, value in more.items()}
        started = trace.started_at + dt.timedelta(milliseconds=n)
        return Span(
            project_id=trace.project_id, trace_id=trace.trace_id, span_id=f"s{n:05d}", parent_span_id=parent_of(n),
            started_at=started, ended_at=started + one_second, received_at=trace.started_at, **{**fixed, **own},
        )  # fmt: skip

    Span.objects.bulk_create((row(n) for n in range(count)), batch_size=4_000)


def test_siblings_beyond_three_hundred_load_two_hundred_at_a_time_in_order(reader, trace):
    make_steps(trace, 820)
    first = reader.get(f"{URL}?step=s00000")
    seen, response = ids(first), first
    assert len(seen) == 300
    while found := gaps(response):
        assert len(found) == 1
        response = reader.get(found[0]["href"], headers={"HX-Request": "true"})
        seen += ids(response)
    assert seen == [f"s{n:05d}" for n in range(820)]
    assert found == []


def test_without_javascript_the_next_siblings_are_a_page_of_their_own(reader, trace):
    make_steps(trace, 620)
    (gap,) = gaps(reader.get(f"{URL}?step=s00000"))
    assert gap["left"] == 320
    response = reader.get(gap["page"])
    assert ids(response) == [f"s{n:05d}" for n in range(300, 500)]
    assert f'href="{URL}"' in response.content.decode()


GROWN = {
    "span_id": "'s' || lpad(n::text, 5, '0')",
    "parent_span_id": "CASE WHEN n = 0 THEN '' WHEN n <= 400 THEN 's00000' "
    "ELSE 's' || lpad((1 + mod(n, 400))::text, 5, '0') END",
    "started_at": "started_at + n * interval '1 ms'",
    "ended_at": "started_at + n * interval '1 ms' + interval '1 s'",
    "kind": "CASE WHEN n <= 400 THEN 'agent' ELSE 'llm' END",
    "status": "CASE WHEN n IN (1111, 1777) THEN 'error' ELSE 'ok' END",
    "error_type": "CASE WHEN n = 1777 THEN 'Boom' ELSE '' END",
    "has_cost_record": "n > 400 AND mod(n, 100) = 0",
    "cost_usd": "CASE WHEN n > 400 AND mod(n, 100) = 0 THEN 0.01 END",
}  # fmt: skip


def grow(trace: Trace, count: int) -> None:
    """A root, 400 workers, the rest calls below them: two fail, each hundredth costs a cent. Made by the database:
    30,000 rows through the ORM take a minute."""
    first = SpanFactory(trace=trace, span_id="seed", response_model="gpt-5-mini")
    columns = [field.column for field in Span._meta.concrete_fields]
    values = ", ".join(GROWN.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO traces_span ({', '.join(columns)}) SELECT {values} "  # noqa: S608 - names of this file only
            "FROM traces_span, generate_series(0, %s) AS n WHERE span_id = 'seed' AND project_id = %s",
            [count - 1, trace.project_id],
        )
    first.delete()
    Trace.objects.filter(pk=trace.pk).update(span_count=count)


def test_trace_of_32000_steps_opens_with_300_rows_and_exact_sums(
    reader, trace, django_assert_max_num_queries
):
    grow(trace, 32_000)
    with django_assert_max_num_queries(14):
        response = reader.get(f"{URL}?step=s00000")
    lines = drawn(response)
    assert len(lines) == 300
    assert response.context["step_count"] == 32_000
    assert lines[0].row.descendants == 31_999
    assert lines[0].row.subtree_cost == Decimal("3.15")
    assert [one["count"] for one in response.context["chips"]] == [2, 31_599, 0, 0]
    (gap,) = gaps(response)
    assert (gap["left"], gap["next"]) == (101, 101)
    worker = lines[1]
    assert (worker.row.step.span_id, worker.is_lazy, worker.row.descendants) == ("s00001", True, 78)
    text = response.content.decode()
    assert 'data-lazy="/projects/shop/traces/t1/rows/?under=s00001"' in text
    assert '<span class="badge" data-below>78 steps</span>' in text
    assert len(text) < 700_000
    with django_assert_max_num_queries(6):
        below = reader.get(f"{URL}rows/?under=s00001", headers={"HX-Request": "true"})
    assert ids(below) == [f"s{n:05d}" for n in range(800, 32_000, 400)]
    assert [line.cost_text for line in drawn(below)][:2] == ["$0.01", "$0.01"]


def test_unknown_subtree_is_empty_and_never_an_error(reader, trace):
    for query in (
        "under=nobody",
        "under=&from=x&to=y",
        "under=&from=99999999",
        "after=nobody&only=llm",
    ):
        response = reader.get(f"{URL}rows/?{query}", headers={"HX-Request": "true"})
        assert (response.status_code, ids(response)) == (200, [])


def test_link_to_a_deep_step_opens_the_way_to_it(reader, trace):
    grow(trace, 3_000)
    shown = ids(reader.get(f"{URL}?step=s01777"))
    assert shown[shown.index("s01777") - 4 : shown.index("s01777")] == [
        "s00178", "s00577", "s00977", "s01377",
    ]  # fmt: skip
    assert len(shown) < 500
    assert "s01777" in ids(reader.get(URL))  # the first error, in tree order


def test_filter_of_a_big_trace_keeps_the_way_and_pages(reader, trace):
    grow(trace, 3_000)
    assert ids(reader.get(f"{URL}?only=errors&step=s00000")) == [
        "s00000", "s00178", "s01777", "s00312", "s01111",
    ]  # fmt: skip
    response = reader.get(f"{URL}?only=llm&step=s00000")
    assert len(ids(response)) == 300
    again = reader.get(response.context["more"]["href"], headers={"HX-Request": "true"})
    assert len(ids(again)) == 200
    assert not set(ids(again)) & set(ids(response))


def test_search_walks_matches_in_tree_order_and_says_what_it_read(reader, trace):
    grow(trace, 1_800)
    found = reader.get(f"{URL}find/?find=boom&step=s00000", headers={"HX-Request": "true"})
    assert 'data-hits="s01777"' in found.content.decode()
    assert "Search inputs and outputs too" in found.content.decode()
    missing = reader.get(f"{URL}find/?find=zzz", headers={"HX-Request": "true"})
    assert "No step matches" in missing.content.decode()
    assert reader.get(f"{URL}find/?find=").content.strip() == b""


def test_remembered_outline_is_never_older_than_the_trace(reader, trace):
    grow(trace, 600)
    assert reader.get(URL).context["step_count"] == 600
    SpanFactory(trace=trace, span_id="late", parent_span_id="s00000", name="late-arrival")
    Trace.objects.filter(trace_id="t1").update(seq=2, span_count=601)
    assert reader.get(URL).context["step_count"] == 601


def test_search_reads_inputs_and_outputs_of_small_traces(reader, steps):
    payload_for(steps["plan"], input=[{"role": "user", "content": "Where is Ümit's parcel?"}])
    payload_for(steps["tool"], output={"parcel": "lost"}, attributes={"note": "parcel"})
    for text, hits in (
        ("parcel?", "plan"),
        ("ÜMIT", "plan"),
        ("LOST", "tool"),
        ("role", ""),
        ("note", ""),
        ("charge already", "tool"),
    ):
        answer = reader.get(f"{URL}find/", {"find": text}).content.decode()
        assert (f'data-hits="{hits}"' in answer) == bool(hits) or not hits, text
        assert ("No step matches" in answer) == (not hits), text


def test_search_without_javascript_marks_rows_and_links_to_the_next(reader, steps):
    response = reader.get(URL, {"find": "plan", "step": "root"})
    assert response.context["find_next"] == f"{URL}?find=plan&step=plan"
    assert 'class="wf-row k-llm hit"' in response.content.decode()


def test_idle_time_is_offered_and_folded_only_when_asked(reader, trace):
    root = {"span_id": "root", "kind": "agent"}
    SpanFactory(trace=trace, **root, ended_at=trace.started_at + dt.timedelta(minutes=10))
    SpanFactory(trace=trace, span_id="a", parent_span_id="root")
    SpanFactory(
        trace=trace,
        span_id="b",
        parent_span_id="root",
        started_at=trace.started_at + dt.timedelta(minutes=9, seconds=59),
    )
    plain = reader.get(URL)
    assert (plain.context["idle_offered"], plain.context["is_folded"]) == (True, False)
    assert "Compress idle time" in plain.content.decode()
    assert float(drawn(plain)[1].width.rstrip("%")) == pytest.approx(0.4)
    folded = reader.get(f"{URL}?idle=fold")
    assert folded.context["breaks"][0][2] == "9m 58s"
    assert float(drawn(folded)[1].width.rstrip("%")) == pytest.approx(48.5, abs=0.1)
    assert "not to scale" in folded.content.decode()


def test_idle_time_of_a_busy_trace_is_not_offered(reader, steps):
    response = reader.get(f"{URL}?idle=fold")
    assert (response.context["idle_offered"], response.context["is_folded"]) == (False, False)


def test_slow_chip_counts_leaves_that_take_the_time(reader, trace):
    SpanFactory(
        trace=trace,
        span_id="root",
        kind="agent",
        ended_at=trace.started_at + dt.timedelta(seconds=60),
    )
    for n in range(12):
        SpanFactory(
            trace=trace, span_id=f"t{n}", parent_span_id="root", kind="tool",
            ended_at=trace.started_at + dt.timedelta(seconds=30 if n == 5 else 1),
        )  # fmt: skip
    assert ids(reader.get(f"{URL}?only=slow")) == ["root", "t5"]


def test_queries_do_not_grow_with_steps(reader, steps, django_assert_max_num_queries):
    with django_assert_max_num_queries(15):
        reader.get(URL)
    with django_assert_max_num_queries(7):
        pane(reader, "plan", "cost")
