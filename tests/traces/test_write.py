"""The writer: exactly once, leaf costs only, running then ended, late and out of order."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.models import OutboxItem
from costs.models import CostRecord, ProjectUsage
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.said import said_in
from tests.traces.spans import (
    START,
    aggregate_sums,
    assert_ledger_is_exact,
    context_for,
    llm,
    span,
)
from traces.ingest.write import write_spans
from traces.models import Span, SpanPayload, Trace
from traces.payloads import open_text, payload_context

NOW = START + dt.timedelta(hours=3)
pytestmark = pytest.mark.django_db


def test_a_batch_is_stored_priced_and_summed(project: Project) -> None:
    spans = [
        llm("b", parent_span_id="a", user_id="u1", tags=("gold",), environment="production"),
        span(
            "a",
            kind="agent",
            name="refund-agent",
            agent="refund-agent",
            user_id="u1",
            environment="production",
        ),
    ]

    written = write_spans(context_for(project), spans, now=NOW)

    assert written.stored == [("t1", "b"), ("t1", "a")]
    record = CostRecord.objects.get(project=project)
    assert record.cost_usd == Decimal("0.000450000000")
    assert record.price_status == "priced"
    trace = Trace.objects.get(project=project)
    assert (trace.name, trace.status, trace.span_count, trace.call_count) == (
        "refund-agent",
        "ok",
        2,
        1,
    )
    assert trace.cost_usd == Decimal("0.00045")
    assert (trace.input_tokens, trace.output_tokens, trace.duration_ms) == (1000, 100, 1000.0)
    assert (trace.model_names, trace.tags, trace.user_id) == (["gpt-5-mini"], ["gold"], "u1")
    assert trace.strip == [[0.0, 1000.0, "llm"]]
    assert aggregate_sums(project, "tag", value="gold")["cost"] == Decimal("0.00045")
    assert_ledger_is_exact(project)


def test_second_upload_of_same_spans_changes_nothing(project: Project) -> None:
    spans = [llm("b", parent_span_id="a"), span("a", kind="agent")]
    write_spans(context_for(project), spans, now=NOW)
    before = Trace.objects.values().get(), list(Span.objects.order_by("span_id").values())

    again = write_spans(context_for(project), spans, now=NOW + dt.timedelta(minutes=1))

    assert (again.stored, again.updated) == ([], [])
    assert sorted(again.duplicates) == [("t1", "a"), ("t1", "b")]
    assert (Trace.objects.values().get(), list(Span.objects.order_by("span_id").values())) == before
    assert ProjectUsage.objects.get(project=project).version == 1
    assert_ledger_is_exact(project)


def test_an_ended_step_with_other_content_stays_as_it_was(project: Project) -> None:
    write_spans(context_for(project), [llm("a")], now=NOW)

    again = write_spans(context_for(project), [llm("a", tokens=999_000)], now=NOW)

    assert again.duplicates == [("t1", "a")]
    assert aggregate_sums(project)["input"] == 1000


def test_a_running_step_is_counted_once_when_it_ends(project: Project) -> None:
    context = context_for(project)
    asked = [{"role": "user", "content": "Refund order 55180"}]
    write_spans(
        context, [llm("a", status="running", ended_at=None, usage=None, input=asked)], now=NOW
    )
    trace = Trace.objects.get(project=project)
    assert (trace.status, trace.duration_ms, trace.seq) == ("running", None, 1)
    assert aggregate_sums(project)["calls"] == 0

    ended = write_spans(context, [llm("a", output="Done.")], now=NOW)

    assert ended.updated == [("t1", "a")]
    trace.refresh_from_db()
    assert (trace.status, trace.span_count, trace.running_count, trace.seq) == ("ok", 1, 0, 2)
    content = said_in(project)["t1", "a"]
    assert (content["input"], content["output"]) == (asked, "Done.")
    assert_ledger_is_exact(project)


def test_an_update_keeps_the_place_a_step_took(project: Project) -> None:
    context = context_for(project)
    write_spans(context, [span("a", status="running", ended_at=None, kind="agent")], now=NOW)
    write_spans(context, [llm("b", parent_span_id="a")], now=NOW)
    write_spans(context, [span("a", kind="agent")], now=NOW)
    assert list(Span.objects.order_by("span_id").values_list("span_id", "seq", "placed_seq")) == [
        ("a", 3, 1),
        ("b", 2, 2),
    ]


def test_a_late_running_message_does_not_reopen_an_ended_step(project: Project) -> None:
    write_spans(context_for(project), [llm("a")], now=NOW)
    late = write_spans(context_for(project), [llm("a", status="running", ended_at=None)], now=NOW)
    assert late.duplicates == [("t1", "a")]
    assert Span.objects.get(project=project).status == "ok"


def test_start_and_end_in_one_batch_are_one_step(project: Project) -> None:
    both = [llm("a", status="running", ended_at=None, usage=None, input="q"), llm("a", output="x")]
    written = write_spans(context_for(project), both, now=NOW)
    assert written.stored == [("t1", "a")]
    assert aggregate_sums(project)["calls"] == 1


@pytest.mark.parametrize(
    "order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)]
)
@pytest.mark.parametrize("together", [1, 2, 3])
def test_a_wrapper_never_doubles_the_cost_of_its_call(
    project: Project, order: tuple[int, ...], together: int
) -> None:
    """A wrapper with the same usage, a chain between, the call itself: in any order, in any batches."""
    family = [
        llm("wrapper", tokens=1000),
        span("link", kind="chain", parent_span_id="wrapper"),
        llm("call", tokens=1000, parent_span_id="link"),
    ]
    arriving = [family[index] for index in order]
    for index in range(0, 3, together):
        write_spans(context_for(project), arriving[index : index + together], now=NOW)

    assert [r.span_id for r in CostRecord.objects.filter(project=project)] == ["call"]
    assert Span.objects.get(project=project, span_id="wrapper").has_cost_below is True
    assert aggregate_sums(project)["cost"] == Decimal("0.00045")
    assert_ledger_is_exact(project)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [1, 2])
def test_two_instrumentations_of_one_response_are_charged_once(
    project: Project, order: tuple[int, int], together: int
) -> None:
    """Siblings with one response id: the one that tells cached tokens apart keeps the record."""
    detailed = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=400)
    pair = [llm("a", response_id="resp_1"), llm("b", response_id="resp_1", usage=detailed)]
    arriving = [pair[index] for index in order]
    for index in range(0, 2, together):
        write_spans(context_for(project), arriving[index : index + together], now=NOW)

    assert [r.span_id for r in CostRecord.objects.filter(project=project)] == ["b"]
    assert aggregate_sums(project)["calls"] == 1
    assert_ledger_is_exact(project)


def test_one_response_id_in_two_traces_is_two_calls(project: Project) -> None:
    pair = [llm("a", response_id="r"), llm("b", response_id="r", trace_id="t2")]
    write_spans(context_for(project), pair, now=NOW)
    assert aggregate_sums(project)["calls"] == 2


def test_two_calls_side_by_side_are_both_charged(project: Project) -> None:
    spans = [span("a", kind="agent"), llm("b", parent_span_id="a"), llm("c", parent_span_id="a")]
    write_spans(context_for(project), spans, now=NOW)
    assert aggregate_sums(project)["calls"] == 2


def test_a_cycle_of_parents_ends(project: Project) -> None:
    write_spans(context_for(project), [llm("a", parent_span_id="b")], now=NOW)
    write_spans(context_for(project), [llm("b", parent_span_id="a")], now=NOW)
    write_spans(context_for(project), [llm("c", parent_span_id="c")], now=NOW)
    assert_ledger_is_exact(project)


def test_unknown_model_is_unpriced_not_free(project: Project) -> None:
    write_spans(context_for(project), [llm("a", model="acme-llama-70b"), llm("b")], now=NOW)
    record = CostRecord.objects.get(project=project, span_id="a")
    assert (record.cost_usd, record.price_status) == (None, "unpriced")
    sums = aggregate_sums(project)
    assert (sums["calls"], sums["unpriced"], sums["cost"]) == (2, 1, Decimal("0.00045"))
    trace = Trace.objects.get(project=project)
    assert (trace.unpriced_calls, trace.cost_usd) == (1, Decimal("0.00045"))


def test_a_recovered_error_leaves_the_trace_ok_and_counted(project: Project) -> None:
    spans = [
        span("a", kind="agent"),
        span("b", kind="tool", parent_span_id="a", status="error", error_type="StripeError"),
    ]
    write_spans(context_for(project), spans, now=NOW)
    trace = Trace.objects.get(project=project)
    assert (trace.status, trace.error_count) == ("ok", 1)


def test_late_data_for_a_past_day_lands_in_its_day(project: Project) -> None:
    long_ago = START - dt.timedelta(days=45)
    write_spans(context_for(project), [llm("old", started_at=long_ago)], now=NOW)
    write_spans(context_for(project), [llm("new")], now=NOW)
    hour = long_ago.replace(minute=0, second=0, microsecond=0)
    assert aggregate_sums(project, hour=hour)["calls"] == 1
    assert Trace.objects.get(project=project).span_count == 2
    assert_ledger_is_exact(project)


def test_payload_and_preview_are_ciphertext_at_rest(project: Project) -> None:
    asked = [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "My card is 4242"},
    ]
    write_spans(context_for(project), [llm("a", input=asked)], now=NOW)
    payload, trace = SpanPayload.objects.get(project=project), Trace.objects.get(project=project)
    assert b"4242" not in bytes(payload.data) + bytes(trace.preview)
    cipher = context_for(project).cipher
    assert (
        open_text(cipher, trace.preview, payload_context(project.pk, "t1", "preview"))
        == "My card is 4242"
    )


def test_first_data_of_a_project_leaves_one_outbox_row(project: Project) -> None:
    write_spans(context_for(project), [llm("a")], now=NOW)
    write_spans(context_for(project), [llm("b")], now=NOW)
    project.refresh_from_db()
    assert project.first_trace_at == NOW
    assert OutboxItem.objects.filter(topic="traces.first_trace").count() == 1


def test_first_trace_is_noticed_after_bare_costs(project: Project) -> None:
    call = ChargeableCall(record_id="c1", occurred_at=START, provider="openai", model="gpt-5-mini")
    record_costs(project_id=project.pk, calls=[call], now=NOW)
    project.refresh_from_db()
    assert project.first_trace_at is None
    write_spans(context_for(project), [llm("a")], now=NOW)
    project.refresh_from_db()
    assert project.first_trace_at == NOW


def test_first_trace_after_bare_cost_records_is_noted(project: Project) -> None:
    call = ChargeableCall(record_id="c", occurred_at=NOW, client_cost_usd=Decimal("0.5"))
    record_costs(project_id=project.pk, calls=[call], now=NOW)
    project.refresh_from_db()
    assert project.first_trace_at is None
    write_spans(context_for(project), [llm("a")], now=NOW)
    project.refresh_from_db()
    assert project.first_trace_at == NOW
    noted = OutboxItem.objects.get(topic="traces.first_trace")
    assert noted.payload["trace_id"] == "t1"


def test_same_ids_in_another_project_are_independent(project: Project) -> None:
    other = ProjectFactory()
    write_spans(context_for(project), [llm("a")], now=NOW)
    written = write_spans(context_for(other), [llm("a", tokens=2000)], now=NOW)
    assert written.stored == [("t1", "a")]
    assert aggregate_sums(project)["input"] == 1000
    assert aggregate_sums(other)["input"] == 2000


def test_statements_do_not_grow_with_the_batch(project: Project) -> None:
    context = context_for(project)
    write_spans(context, [llm("warm", trace_id="warm")], now=NOW)

    def statements(count: int, trace_id: str, *, first: int = 0) -> int:
        batch = [llm(f"s{n}", trace_id=f"{trace_id}{n % 7}") for n in range(first, first + count)]
        with CaptureQueriesContext(connection) as captured:
            write_spans(context, batch, now=NOW)
        return len(captured)

    assert statements(7, "x") == statements(500, "y") == 8
    assert statements(7, "x", first=1000) == statements(500, "y", first=1000) == 12


def test_a_value_the_database_refuses_costs_only_its_own_step(project: Project) -> None:
    good = [llm(f"s{n}") for n in range(5)]
    bad = llm("bad", usage=Usage(input_tokens=2**70, output_tokens=1), model="acme")
    written = write_spans(context_for(project), [*good[:2], bad, *good[2:]], now=NOW)
    assert [(r.span_id, r.code) for r in written.rejections] == [("bad", "unstorable")]
    assert len(written.stored) == 5
    assert_ledger_is_exact(project)
