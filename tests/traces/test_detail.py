"""The trace page: waterfall, step pane, states, download, deletion, tenants."""

import datetime as dt
import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Membership, Role
from costs.models import CostAggregate, CostRecord
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.models import Span, SpanPayload, Trace

pytestmark = pytest.mark.django_db

NASTY = "\"><img src=x onerror=alert(1)><script>alert(1)</script>' hx-get=/evil"
URL = "/projects/shop/traces/t1/"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def member(project: Project) -> Membership:
    return MembershipFactory(organization=project.organization, role=Role.MEMBER)


@pytest.fixture
def reader(member: Membership, client: Client) -> Client:
    client.force_login(member.user)
    return client


@pytest.fixture
def trace(project: Project) -> Trace:
    return TraceFactory(
        project=project, trace_id="t1", name="refund-agent", cost_usd=Decimal("0.0186")
    )


@pytest.fixture
def steps(trace: Trace) -> dict[str, Span]:
    root = SpanFactory(
        trace=trace, span_id="root", name="refund-agent", kind="agent", duration_ms=4000
    )
    plan = SpanFactory(
        trace=trace, span_id="plan", parent_span_id="root", name="plan", provider="openai",
        response_model="gpt-4o-mini", cost_usd=Decimal("0.0186"), price_status="priced", has_cost_record=True,
        first_token_ms=200,
    )  # fmt: skip
    tool = SpanFactory(
        trace=trace, span_id="tool", parent_span_id="root", name="issue_refund", kind="tool", status="error",
        error_type="StripeError", error_message="charge already refunded",
        started_at=trace.started_at + dt.timedelta(seconds=1.2),
    )  # fmt: skip
    return {"root": root, "plan": plan, "tool": tool}


def page(reader: Client, query: str = "") -> str:
    response = reader.get(f"{URL}{query}")
    assert response.status_code == 200
    return response.content.decode()


def pane(reader: Client, span_id: str, tab: str = "io", **query: str) -> str:
    response = reader.get(
        f"{URL}steps/{span_id}/", {"tab": tab, **query}, headers={"HX-Request": "true"}
    )
    assert response.status_code == 200
    return response.content.decode()


def drawn(response) -> list:
    """The rows of an answer, without the places of those that are not drawn."""
    return [item["line"] for item in response.context["items"] if "line" in item]


def gaps(response) -> list[dict]:
    return [item["gap"] for item in response.context["items"] if "gap" in item]


def ids(response) -> list[str]:
    return [line.row.step.span_id for line in drawn(response)]


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


def test_j_and_k_stay_inside_the_list_the_reader_came_from(reader, project, trace):
    at = trace.started_at
    TraceFactory(
        project=project,
        trace_id="older",
        started_at=at - dt.timedelta(minutes=1),
        environment="production",
    )
    TraceFactory(
        project=project,
        trace_id="newer",
        started_at=at + dt.timedelta(minutes=1),
        environment="production",
    )
    TraceFactory(
        project=project,
        trace_id="nearer",
        started_at=at + dt.timedelta(seconds=1),
        environment="staging",
    )
    TraceFactory(trace_id="foreign", started_at=at + dt.timedelta(milliseconds=1))
    plain = reader.get(URL).context
    assert (plain["newer_href"], plain["older_href"]) == (
        "/projects/shop/traces/nearer/",
        "/projects/shop/traces/older/",
    )
    inside = reader.get(f"{URL}?list=environment%3Dproduction").context
    assert inside["newer_href"] == "/projects/shop/traces/newer/?list=environment%3Dproduction"


def test_download_holds_the_trace_with_what_was_said(reader, steps):
    payload_for(steps["plan"], input="hello", output={"n": 1})
    response = reader.get(f"{URL}trace.json")
    document = json.loads(b"".join(response.streaming_content))
    assert document["cost_usd"] == "0.0186"
    assert [step["id"] for step in document["steps"]] == ["plan", "root", "tool"]
    assert document["steps"][0]["payload"] == {"input": "hello", "output": {"n": 1}}
    assert document["steps"][2]["payload"] is None


def test_member_deletes_a_trace_and_its_cost_stays(reader, steps, project):
    payload_for(steps["plan"], input="hello")
    other = SpanFactory(trace=TraceFactory(project=project, trace_id="t2"), span_id="root")
    record = CostRecord.objects.create(
        project=project, record_id="t1:plan", trace_id="t1", span_id="plan", occurred_at=timezone.now(),
        price_status="priced", cost_usd=1, recorded_at=timezone.now(),
    )  # fmt: skip
    response = reader.post(f"{URL}deletion/")
    assert response["Location"] == "/projects/shop/traces/"
    assert list(Span.objects.filter(project=project).values_list("trace_id", flat=True)) == [
        other.trace_id
    ]
    assert list(Trace.objects.filter(project=project).values_list("trace_id", flat=True)) == ["t2"]
    assert not SpanPayload.objects.filter(project=project).exists()
    assert CostRecord.objects.filter(project=project, id=record.id).exists()
    event = AuditEvent.objects.get(action="trace.deleted")
    assert (event.target, event.data["steps"]) == ("t1", 3)


def test_viewer_reads_but_deletion_is_denied(client, steps, project):
    client.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    assert "delete-trace" not in client.get(URL).content.decode()
    assert client.post(f"{URL}deletion/").status_code == 403
    assert Span.objects.filter(project=project).count() == 3


def test_deleting_twice_and_by_get_is_denied(reader, steps):
    assert reader.get(f"{URL}deletion/").status_code == 405
    assert reader.post(f"{URL}deletion/").status_code == 302
    assert reader.post(f"{URL}deletion/").status_code == 404


PATHS = [
    "",
    "rows/",
    "rows/?under=plan",
    "find/?find=plan",
    "changes/?after=0",
    "trace.json",
    "steps/plan/",
]


@pytest.mark.parametrize("path", PATHS)
def test_other_organisations_and_strangers_are_denied(client, steps, path):
    assert client.get(f"{URL}{path}").status_code == 302
    htmx = {"HX-Request": "true"}
    assert client.get(f"{URL}{path}", headers=htmx)["HX-Redirect"].startswith("/accounts/login/")
    client.force_login(MembershipFactory().user)
    assert client.get(f"{URL}{path}", headers=htmx).status_code == 404
    client.force_login(UserFactory())
    assert client.get(f"{URL}{path}", headers=htmx).status_code == 404
    assert client.post(f"{URL}deletion/").status_code == 404


@pytest.mark.parametrize("path", PATHS[1:])
def test_trace_of_another_project_is_unknown_here(reader, project, path):
    stranger = TraceFactory(trace_id="t1", name="theirs")
    SpanFactory(trace=stranger, span_id="plan")
    response = reader.get(f"{URL}{path}", headers={"HX-Request": "true"})
    assert response.status_code in (200, 404)
    assert b"theirs" not in response.content
    assert reader.get(URL).status_code == 404


def test_short_link_finds_the_project_among_the_readers_own(reader, project, trace):
    TraceFactory(trace_id="t1")
    assert reader.get("/traces/t1/?step=a")["Location"] == f"{URL}?step=a"
    assert reader.get("/traces/elsewhere/").status_code == 404


def test_short_link_to_a_foreign_trace_equals_unknown(reader, trace):
    TraceFactory(trace_id="theirs")
    foreign = reader.get("/traces/theirs/")
    unknown = reader.get("/traces/absent/")
    assert foreign.status_code == unknown.status_code == 404
    bodies = [
        re.sub(rb"theirs|absent|[\w]{64}", b"", answer.content) for answer in (foreign, unknown)
    ]
    assert bodies[0] == bodies[1]


def test_short_link_between_two_projects_of_one_name(client, project, trace):
    member = MembershipFactory(organization=project.organization)
    twin = ProjectFactory(slug="shop")
    MembershipFactory(organization=twin.organization, user=member.user)
    TraceFactory(project=twin, trace_id="t9")
    client.force_login(member.user)
    assert client.get("/traces/t9/")["Location"] == f"/projects/{twin.pk}/traces/t9/"


def test_polling_answers_204_until_something_changes_then_a_frame(reader, steps):
    assert reader.get(f"{URL}changes/?after=1").status_code == 204
    frame = reader.get(f"{URL}changes/?after=0").content.decode()
    assert 'data-from="0" data-seq="1"' in frame
    assert frame.count('class="wf-row') == 3
    assert reader.get(f"{URL}changes/?after=x{'9' * 30}").status_code == 200


def test_first_trace_panel_waits_then_sends_the_reader_there(reader, project):
    url = "/projects/shop/setup/first-trace/"
    assert reader.get(url, headers={"HX-Request": "true"}).status_code == 204
    old = TraceFactory(
        project=project, trace_id="old", created_at=timezone.now() - dt.timedelta(minutes=5)
    )
    assert (
        reader.get(url, headers={"HX-Request": "true"})["HX-Redirect"]
        == f"/projects/shop/traces/{old.trace_id}/"
    )
    since = {"since": (timezone.now() - dt.timedelta(minutes=1)).isoformat()}
    assert reader.get(url, since, headers={"HX-Request": "true"}).status_code == 204
    TraceFactory(project=project, trace_id="fresh")
    assert (
        reader.get(url, since, headers={"HX-Request": "true"})["HX-Redirect"]
        == "/projects/shop/traces/fresh/"
    )
    assert reader.get(url, {"since": "yesterday"}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_test_trace_is_real_priced_and_opens(reader, project):
    response = reader.post("/projects/shop/setup/test-trace/", headers={"HX-Request": "true"})
    trace = Trace.objects.get(project=project)
    assert response["HX-Redirect"] == f"/projects/shop/traces/{trace.trace_id}/"
    assert (trace.span_count, trace.call_count, trace.unpriced_calls) == (4, 2, 0)
    assert trace.cost_usd > 0
    assert CostAggregate.objects.filter(project=project, dimension="all").count() >= 1
    assert "umbrella" in reader.get(response["HX-Redirect"]).content.decode()


def test_test_trace_by_a_viewer_or_into_an_archive_is_denied(client, project, member):
    client.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    assert client.post("/projects/shop/setup/test-trace/").status_code == 403
    Project.objects.filter(pk=project.pk).update(status=Project.Status.ARCHIVED)
    client.force_login(member.user)
    assert client.post("/projects/shop/setup/test-trace/").status_code == 409
    assert not Trace.objects.filter(project=project).exists()
