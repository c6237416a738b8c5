"""The other views of a trace: messages, log, graph, other models; and their API."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Role
from costs.models import CostRecord
from projects.models import Project
from tests.costs.repricing import discount, override, save
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.graph import MAX_NODES, graph_of
from traces.models import Trace
from traces.transcript import Call, transcript_of
from traces.waterfall import StepFacts, lay_out

URL = "/projects/shop/traces/t1/"
API = "/api/v1/projects/shop/traces/t1/"
START = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "Refund?"}
CALL = {
    "role": "assistant",
    "parts": [{"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"n": 1}}],
}
# The same call as the next request's history spells it.
CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"n": 1}'}}
]}  # fmt: skip
RESULT = {"role": "tool", "tool_call_id": "c1", "content": '{"state": "paid"}'}


def facts(span_id: str, parent: str = "", at: int = 0, **more: Any) -> StepFacts:
    started = START + dt.timedelta(seconds=at)
    return StepFacts(
        span_id, parent, more.pop("name", span_id), more.pop("kind", "llm"), more.pop("status", "ok"), started,
        started + dt.timedelta(seconds=1), "openai", "", more.pop("model", ""), more.pop("cost", None),
        more.pop("charged", False),
    )  # fmt: skip


def said(*calls: tuple[str, Any, Any], earlier: int = 0) -> list[tuple[Any, ...]]:
    made = [
        Call(facts(name, at=n), {"input": i, "output": o}) for n, (name, i, o) in enumerate(calls)
    ]
    told = transcript_of(made[earlier:], earlier=made[:earlier])
    return [
        (
            turn.message.words,
            turn.said_by.span_id if turn.said_by else None,
            [step.span_id for step in turn.sent_by],
        )
        for turn in told.turns
    ]


def test_repeated_history_is_shown_once_with_the_calls_that_sent_it():
    answer = {"role": "assistant", "content": "Yes."}
    assert said(
        ("plan", [SYSTEM, ASK], [CALL]), ("answer", [SYSTEM, ASK, CALLED, RESULT], [answer])
    ) == [
        ("System", None, ["plan", "answer"]),
        ("User", None, ["plan", "answer"]),
        ("Assistant", "plan", ["answer"]),
        ("Tool result", None, ["answer"]),
        ("Assistant", "answer", []),
    ]


def test_the_same_words_twice_in_one_conversation_are_two_turns():
    yes = {"role": "user", "content": "yes"}
    ok = {"role": "assistant", "content": "ok"}
    assert len(said(("a", [yes], [ok]), ("b", [yes, ok, yes], [ok]))) == 4


def test_what_an_earlier_page_showed_is_not_repeated():
    assert said(("a", [SYSTEM, ASK], "Yes."), ("b", [SYSTEM, ASK], "No."), earlier=1) == [
        ("Assistant", "b", [])
    ]


@pytest.mark.parametrize(
    ("value", "roles"),
    [
        ({"system": "S", "messages": [ASK]}, ["System", "User"]),
        ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, ["User"]),
        ({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}]}, ["Assistant"]),
        ({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}, ["Assistant"]),
        ({"instructions": "S", "input": [ASK, {"type": "function_call", "name": "f", "arguments": "{}"},
                                         {"type": "function_call_output", "call_id": "x", "output": "1"}]},
         ["System", "User", "Assistant", "Tool result"]),
        ("just words", ["User"]),
    ],
)  # fmt: skip
def test_whole_requests_of_every_provider_are_conversations(value, roles):
    assert [turn[0] for turn in said(("a", value, None))] == roles


def test_graph_sums_calls_between_names_and_survives_cycles():
    steps = [
        facts("root", name="planner", kind="agent"),
        facts("w1", "root", 1, name="worker", kind="agent"),
        facts("w2", "root", 2, name="worker", kind="agent"),
        facts("back", "w1", 3, name="planner", kind="agent"),
        facts("c1", "w1", 4, model="gpt-5", cost=Decimal("0.1"), charged=True),
        facts("c2", "back", 5, model="gpt-5", cost=Decimal("0.2"), charged=True),
        facts("c3", "w2", 6, model="gpt-5", status="error", charged=True),
        facts("t", "w2", 7, name="search", kind="tool"),
    ]
    graph = graph_of(lay_out(steps, now=START).rows)
    edges = {(e.source, e.target): (e.calls, e.errors, e.cost_usd, e.unpriced) for e in graph.edges}
    assert edges == {
        ("agent:planner", "agent:worker"): (2, 0, Decimal("0.3"), 1),
        ("agent:worker", "agent:planner"): (1, 0, Decimal("0.2"), 0),
        ("agent:worker", "model:gpt-5"): (2, 1, Decimal("0.1"), 1),
        ("agent:planner", "model:gpt-5"): (1, 0, Decimal("0.2"), 0),
        ("agent:worker", "tool:search"): (1, 0, None, 0),
    }
    assert {n.key: n.layer for n in graph.nodes}["model:gpt-5"] == 2
    assert len({(n.x, n.y) for n in graph.nodes}) == 4


def test_graph_of_many_names_is_bounded_and_loses_no_call():
    steps = [
        facts("root", kind="agent"),
        *(facts(f"t{n}", "root", n, kind="tool") for n in range(500)),
    ]
    graph = graph_of(lay_out(steps, now=START).rows)
    assert len(graph.nodes) <= MAX_NODES
    assert sum(node.calls for node in graph.nodes) == 501
    assert sum(edge.calls for edge in graph.edges) == 500
    assert graph_of(()).nodes == []


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def reader(project: Project, client: Client) -> Client:
    member: Membership = MembershipFactory(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


@pytest.fixture
def trace(project: Project) -> Trace:
    trace = TraceFactory(project=project, trace_id="t1", cost_usd=Decimal("0.5"))
    at = trace.started_at
    SpanFactory(trace=trace, span_id="root", name="agent-x", kind="agent", duration_ms=9000)
    for n, name in enumerate(("plan", "answer")):
        span = SpanFactory(
            trace=trace, span_id=name, parent_span_id="root", name=name, response_model="gpt-5-mini", provider="openai",
            started_at=at + dt.timedelta(seconds=n + 1), cost_usd=Decimal("0.25"), has_cost_record=True,
            price_status="priced", duration_ms=100.0 * (2 - n),
        )  # fmt: skip
        payload_for(span, input=[SYSTEM, ASK], output="<script>alert(1)</script> **yes**")
        CostRecord.objects.create(
            project=project, record_id=f"t1:{name}", trace_id="t1", span_id=name, occurred_at=span.started_at,
            provider="openai", model="gpt-5-mini", price_status="priced", cost_usd=Decimal("0.25"),
            recorded_at=timezone.now(), input_tokens=1_000_000, output_tokens=100_000,
        )  # fmt: skip
    SpanFactory(
        trace=trace, span_id="fail", parent_span_id="root", name="=cmd", kind="tool", status="error",
        error_type="Boom", started_at=at + dt.timedelta(seconds=5), duration_ms=50.0,
    )  # fmt: skip
    return trace


def test_messages_view_is_text_and_has_an_address(reader, trace, django_assert_max_num_queries):
    with django_assert_max_num_queries(16):
        response = reader.get(f"{URL}?view=messages&step=plan")
    text = response.content.decode()
    assert [t.turn.message.words for t in response.context["turns"]] == [
        "System",
        "User",
        "Assistant",
    ]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; **yes**" in text
    assert "<script>alert" not in text
    part = reader.get(f"{URL}?view=messages", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="trace-view"')


def test_log_sorts_filters_and_pages_by_cursor(reader, trace):
    def names(query: str) -> list[str]:
        return [line.span.span_id for line in reader.get(f"{URL}?view=log&{query}").context["log"]]

    assert names("") == ["root", "plan", "answer", "fail"]
    assert names("sort=-duration") == ["root", "plan", "answer", "fail"]
    assert names("sort=duration") == ["fail", "answer", "plan", "root"]
    assert names("sort=-cost")[:2] == ["plan", "answer"]
    assert names("kind=tool") == ["fail"]
    assert names("status=error&q=boom") == ["fail"]
    assert names("q=gpt-5") == ["plan", "answer"]
    assert "No step matches" in reader.get(f"{URL}?view=log&q=zzz").content.decode()
    assert reader.get(f"{URL}?view=log&kind=nope").context["filters"].notes
    assert reader.get(f"{URL}?view=log&after=junk").status_code == 400


def test_log_of_many_steps_walks_both_ways_without_repeats(reader, trace):
    for n in range(230):
        SpanFactory(trace=trace, span_id=f"n{n:03d}", name="same")
    seen, response = [], reader.get(f"{URL}?view=log&sort=name")
    while True:
        seen += [line.span.span_id for line in response.context["log"]]
        if not response.context["log_after"]:
            break
        response = reader.get(f"{URL}?view=log&sort=name&after={response.context['log_after']}")
    assert len(seen) == len(set(seen)) == 234
    back = reader.get(f"{URL}?view=log&sort=name&before={response.context['log_before']}")
    assert [line.span.span_id for line in back.context["log"]] == seen[100:200]


def test_log_as_csv_is_complete_and_inert(reader, trace):
    text = b"".join(reader.get(f"{URL}log.csv?kind=tool").streaming_content).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[1] for row in rows] == ["step", "'=cmd"]


def test_graph_view_draws_and_says_the_same_as_a_table(reader, trace):
    text = reader.get(f"{URL}?view=graph").content.decode()
    assert "agent-x calls gpt-5-mini 2 times, $0.50" in text
    assert "<caption" in text


def test_same_tokens_on_another_model_is_exact_and_labelled(reader, trace):
    response = reader.get(
        f"{URL}models/?model=openai/gpt-5&model=openai/nobody-knows", headers={"HX-Request": "true"}
    )
    found = response.context["whatif"]
    assert (found.calls, found.own_cost_usd) == (2, Decimal("0.5"))
    first, second = found.models
    assert (first.name, first.cost_usd, first.priced) == ("openai/gpt-5", Decimal("4.50"), 2)
    assert (second.cost_usd, second.unpriced, second.reasons) == (None, 2, ("unknown_model",))
    text = response.content.decode()
    assert "Arithmetic only" in text
    assert "Unpriced" in text
    assert (
        len(reader.get(f"{URL}models/", headers={"HX-Request": "true"}).context["whatif"].models)
        >= 3
    )
    assert "<h1>Same tokens on another model</h1>" in reader.get(f"{URL}models/").content.decode()


def test_api_gives_subtrees_in_pages_with_their_sums(reader, trace):
    (root,) = reader.get(f"{API}spans?parent=").json()["results"]
    assert (root["id"], root["descendants"], root["subtree_cost_usd"]) == ("root", 3, "0.5")
    first = reader.get(f"{API}spans?under=root&limit=2").json()
    assert [one["id"] for one in first["results"]] == ["plan", "answer"]
    second = reader.get(first["next"]).json()
    assert [one["id"] for one in second["results"]] == ["fail"]
    assert second["next"] is None
    assert [one["id"] for one in reader.get(second["previous"]).json()["results"]] == [
        "plan",
        "answer",
    ]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("spans?limit=0", 400, "limit"), ("spans?sort=x", 400, "sort"), ("spans?kind=x", 400, "kind"),
        ("spans?cursor=a.junk", 400, "after"), ("spans?cursor=junk", 400, "cursor"),
        ("spans?colour=red", 400, "colour"),
        ("spans?under=nobody", 404, None), ("messages?cursor=nobody", 400, "cursor"),
        ("messages?limit=51", 400, "limit"),
        ("graph?x=1", 400, "x"),
    ],
)  # fmt: skip
def test_api_refuses_what_it_does_not_know(reader, trace, path, status, field):
    answer = reader.get(f"{API}{path}")
    assert answer.status_code == status
    if field:
        assert answer.json()["fields"] == [field]


def test_api_tells_the_conversation_and_the_graph(reader, trace):
    talk = reader.get(f"{API}messages").json()
    assert [one["role"] for one in talk["results"]] == ["system", "user", "assistant"]
    assert talk["results"][0]["sent_by"] == ["plan", "answer"]
    assert (talk["calls"], talk["next"]) == (2, None)
    graph = reader.get(f"{API}graph").json()
    assert {node["key"] for node in graph["nodes"]} == {
        "agent:agent-x",
        "model:gpt-5-mini",
        "tool:=cmd",
    }
    assert graph["edges"][0] == {
        "source": "agent:agent-x", "target": "model:gpt-5-mini", "calls": 2, "errors": 0, "cost_usd": "0.5",
        "unpriced_calls": 0, "duration_ms": 2000.0,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["spans", "messages", "graph"])
def test_api_of_another_organisation_and_of_nobody_is_denied(client, trace, path):
    assert client.get(f"{API}{path}").status_code == 401
    client.force_login(MembershipFactory().user)
    assert client.get(f"{API}{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["?view=log", "?view=messages", "?view=graph", "models/", "log.csv"]
)
def test_views_of_another_organisation_and_of_nobody_are_denied(client, trace, path):
    assert client.get(f"{URL}{path}").status_code == 302
    client.force_login(MembershipFactory().user)
    assert client.get(f"{URL}{path}").status_code == 404


def test_other_models_cost_what_the_organisation_pays_for_them(reader, trace, project):
    own = {"input": "1", "output": "2", "provider": "openai"}
    save(project, override("gpt-5", **own))
    save(project, discount("50", "gpt-5-*", provider="openai"))
    found = reader.get(
        f"{URL}models/?model=openai/gpt-5&model=openai/gpt-5-mini", headers={"HX-Request": "true"}
    ).context["whatif"]
    # Twice 1M in and 100k out: at $1 and $2 a million; at half of $0.25 and $2.
    assert {one.name: one.cost_usd for one in found.models} == {
        "openai/gpt-5": Decimal("2.4"),
        "openai/gpt-5-mini": Decimal("0.45"),
    }
