"""The trace page: waterfall, step pane, states."""

from decimal import Decimal

import pytest
from django.utils import timezone

from costs.models import CostRecord
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from tests.traces.detail.opened import URL, drawn, ids, page, pane
from traces.models import Span, SpanPayload, Trace

pytestmark = pytest.mark.django_db

NASTY = "\"><img src=x onerror=alert(1)><script>alert(1)</script>' hx-get=/evil"


def test_waterfall_shows_steps_nested_with_cost_error_and_first_token(reader, steps):
    text = page(reader)
    response = reader.get(URL)
    rows = [(line.row.step.span_id, line.row.level, line.cost_text) for line in drawn(response)]
    assert rows == [("root", 1, "$0.0186"), ("plan", 2, "$0.0186"), ("tool", 2, "—")]
    assert 'class="ttft"' in text
    assert "refund-agent, agent, 1.00 s, cost $0.0186" in text
    assert "issue_refund, tool, 1.00 s, no cost, error" in text


def test_without_a_step_in_the_address_the_first_error_is_open(reader, steps):
    assert "charge already refunded" in page(reader)
    assert 'data-pane-step="tool"' in page(reader)


def test_link_to_a_step_opens_it(reader, steps):
    text = page(reader, "?step=plan&tab=cost")
    assert 'data-pane-step="plan"' in text
    assert text.count('aria-selected="true"') == 1


def test_pane_without_htmx_is_the_page_with_that_step(reader, steps):
    response = reader.get(f"{URL}steps/plan/?tab=raw")
    assert response["Location"] == f"{URL}?step=plan&tab=raw"


def test_pane_shows_messages_tool_calls_and_results(reader, steps):
    payload_for(
        steps["plan"],
        input=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Where is my refund?"}]},
            {"role": "tool", "name": "lookup", "tool_call_id": "c1", "content": '{"order": 7}'},
        ],
        output=[{"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c2", "name": "issue_refund", "arguments": {"amount": 4900}},
            {"type": "thinking", "thinking": "hm"},
        ]}],
        tools=[{"name": "issue_refund"}],
    )  # fmt: skip
    text = pane(reader, "plan")
    for words in (
        "System",
        "Be kind.",
        "Where is my refund?",
        "lookup",
        "order",
        "issue_refund",
        "4900",
        "Reasoning",
        "Tools offered",
    ):
        assert words in text


def test_pane_address_keeps_scale_and_list(reader, steps):
    response = reader.get(
        f"{URL}steps/plan/?tab=cost",
        headers={
            "HX-Request": "true",
            "HX-Current-URL": f"http://testserver{URL}?scale=cost&step=tool&list=q%3Da&x=1",
        },
    )
    assert response["HX-Replace-Url"] == f"{URL}?scale=cost&list=q%3Da&step=plan&tab=cost"


def test_step_without_content_says_so(reader, steps):
    assert "carries no input or output" in pane(reader, "plan")


def test_content_under_another_key_says_so_and_the_page_stands(reader, steps):
    payload = payload_for(steps["plan"], input="secret")
    SpanPayload.objects.filter(span_id="plan").update(data=bytes(payload.data)[:-1] + b"x")
    text = pane(reader, "plan")
    assert "cannot be decrypted" in text
    assert "secret" not in text


def test_long_content_is_cut_and_loads_in_full(reader, steps):
    payload_for(steps["plan"], input="a" * 50_000 + "THE END")
    short = pane(reader, "plan")
    assert "THE END" not in short
    assert "Load full" in short
    assert "THE END" in pane(reader, "plan", full="1")


def test_cost_tab_names_class_price_and_source(reader, steps, project):
    CostRecord.objects.create(
        project=project, record_id="t1:plan", trace_id="t1", span_id="plan", occurred_at=steps["plan"].started_at,
        provider="openai", model="gpt-4o-mini", price_status="priced", cost_usd=Decimal("0.0186"),
        breakdown=[
            {"class": "cache_read", "quantity": "4096", "unit_price_usd": "0.000000075", "cost_usd": "0.0003072"}
        ],
        price_source="genai-prices 0.2.3", recorded_at=timezone.now(), input_tokens=6204, output_tokens=728,
    )  # fmt: skip
    text = pane(reader, "plan", "cost")
    for words in ("Cached input", "4,096", "$0.075", "$0.000307", "genai-prices 0.2.3", "$0.0186"):
        assert words in text


def test_unpriced_step_says_why_and_is_never_zero(reader, steps, project):
    Span.objects.filter(span_id="plan").update(cost_usd=None, price_status="unpriced")
    CostRecord.objects.create(
        project=project, record_id="t1:plan", trace_id="t1", span_id="plan", occurred_at=steps["plan"].started_at,
        model="my-own", price_status="unpriced", unpriced_reason="unknown_model", recorded_at=timezone.now(),
    )  # fmt: skip
    text = pane(reader, "plan", "cost")
    assert "No price is known for this model." in text
    assert "$0<" not in text
    assert "unpriced" in page(reader)


@pytest.mark.parametrize("tab", ["io", "cost", "attributes", "raw"])
@pytest.mark.parametrize("scale", ["time", "cost"])
def test_nothing_a_program_sent_becomes_markup(reader, trace, tab, scale):
    Trace.objects.filter(trace_id="t1").update(
        name=NASTY,
        release=NASTY,
        environment=NASTY[:60],
        tags=[NASTY] * 10,
        user_id=NASTY,
        session_id=NASTY,
        agent=NASTY,
    )
    span = SpanFactory(
        trace=trace, span_id="s", name=NASTY, error_type=NASTY, error_message=NASTY, request_model=NASTY,
        provider=NASTY[:60],
        finish_reason=NASTY[:40], status="error", operation=NASTY[:60], flags=[NASTY[:40]], has_cost_record=True,
        parent_span_id=NASTY[:100],
    )  # fmt: skip
    payload_for(
        span,
        input=[{"role": NASTY, "content": NASTY}, {"role": "tool", "name": NASTY, "content": NASTY}],
        output=[{"role": "assistant", "parts": [
            {"type": "tool_call", "name": NASTY, "id": NASTY, "arguments": {NASTY: NASTY}}
        ]}],
        tools=[{NASTY: NASTY}], attributes={NASTY: NASTY}, events=[{"name": NASTY}], metadata={NASTY: NASTY},
        parameters={NASTY: NASTY},
    )  # fmt: skip
    for text in (page(reader, f"?step=s&tab={tab}&scale={scale}"), pane(reader, "s", tab)):
        assert "<img" not in text
        assert "<script>alert" not in text
        assert "' hx-get" not in text


def test_unknown_step_and_unknown_tab_are_answered(reader, steps):
    assert "No such step" in page(reader, "?step=nope")
    assert "No such step" in pane(reader, "nope")
    assert 'data-pane-step="plan"' in pane(reader, "plan", "bogus")


def test_trace_not_here_yet_is_a_404_that_looks_again(reader, project):
    first = reader.get(URL)
    assert first.status_code == 404
    assert b"Still arriving" in first.content
    assert b"retry=1" in first.content
    again = reader.get(f"{URL}?retry=3", headers={"HX-Request": "true"})
    assert (again.status_code, b"retry=4" in again.content) == (200, True)
    last = reader.get(f"{URL}?retry=10", headers={"HX-Request": "true"})
    assert b"retry=" not in last.content
    TraceFactory(project=project, trace_id="t1")
    assert reader.get(f"{URL}?retry=2", headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_running_and_partial_traces_are_marked(reader, project):
    trace = TraceFactory(project=project, trace_id="t1", running=True, root_span_id="")
    SpanFactory(
        trace=trace,
        span_id="a",
        parent_span_id="lost",
        status="running",
        ended_at=None,
        duration_ms=None,
    )
    text = page(reader)
    assert "sp run" in text
    assert "<live-clock" in text
    assert "parent not received" in text
    assert "Still incomplete" in text


def test_only_errors_keeps_the_way_to_them(reader, steps):
    response = reader.get(f"{URL}?only=errors")
    assert ids(response) == ["root", "tool"]
