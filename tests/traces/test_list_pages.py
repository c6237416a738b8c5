"""Peek, compare, tail and facets without JavaScript: what they show, to whom, and that links lead on."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Role
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory, payload_for
from traces.query_language import parse_query

pytestmark = pytest.mark.django_db
LIST = "/projects/shop/traces/"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def viewer(project: Project, client: Client) -> Client:
    client.force_login(MembershipFactory(organization=project.organization, role=Role.VIEWER).user)
    return client


def test_the_peek_shows_facts_and_steps_and_names_itself_in_the_address(viewer, project):
    trace = TraceFactory(
        project=project, trace_id="t1", name="refund-agent", said="Where is it?", span_count=2
    )
    SpanFactory(trace=trace, span_id="root", name="refund-agent", kind="agent")
    SpanFactory(trace=trace, span_id="call", parent_span_id="root", name="plan")
    response = viewer.get(
        f"{LIST}panels/peek/t1/?range=24h&q=cost:>0", headers={"HX-Request": "true"}
    )
    text = response.content.decode()
    assert "$0.0121" in text
    assert "Where is it?" in text
    assert "/projects/shop/traces/t1/?step=call" in text
    assert response["HX-Push-Url"] == f"{LIST}?range=24h&q=cost%3A%3E0&peek=t1"
    walked = viewer.get(f"{LIST}panels/peek/t1/?range=24h&walk=1", headers={"HX-Request": "true"})
    assert walked["HX-Replace-Url"] == f"{LIST}?range=24h&peek=t1"
    page = viewer.get(f"{LIST}?range=24h&peek=t1").content.decode()
    assert page.count("Close peek") == 1
    assert "Where is it?" in page
    assert "has not arrived, or it was deleted" in viewer.get(f"{LIST}?peek=nope").content.decode()
    assert "Where is it?" not in viewer.get(f"{LIST}panels/peek/t2/").content.decode()


def test_a_peek_of_another_project_shows_nothing(viewer, project):
    other = TraceFactory(
        project=ProjectFactory(organization=project.organization),
        trace_id="t9",
        name="secret-agent",
    )
    assert "secret-agent" not in viewer.get(f"{LIST}panels/peek/{other.trace_id}/").content.decode()


@pytest.fixture
def pair(project: Project) -> None:
    one = TraceFactory(
        project=project,
        trace_id="a",
        name="before",
        cost_usd=Decimal("0.5"),
        duration_ms=1000,
        span_count=3,
    )
    two = TraceFactory(
        project=project,
        trace_id="b",
        name="after",
        cost_usd=Decimal("0.25"),
        duration_ms=1500,
        span_count=3,
    )
    for trace, middle, said in ((one, "search", "old words"), (two, "rerank", "new words")):
        root = SpanFactory(trace=trace, span_id="root", name="agent", kind="agent")
        SpanFactory(trace=trace, span_id="mid", parent_span_id="root", name=middle, kind="tool")
        SpanFactory(
            trace=trace,
            span_id="end",
            parent_span_id="root",
            name="answer",
            cost_usd=trace.cost_usd,
            has_cost_record=True,
        )
        payload_for(root, input=[{"role": "user", "content": "the question"}], output=said)


def test_compare_says_what_differs(viewer, pair):
    response = viewer.get(f"{LIST}compare/?a=a&b=b")
    facts = {
        fact["name"]: (fact["a"], fact["b"], fact["delta"], fact["tone"])
        for fact in response.context["facts"]
    }
    assert facts["Cost"] == ("$0.50", "$0.25", "−$0.25 (−50.0%)", "better")
    assert facts["Duration"] == ("1.00 s", "1.50 s", "+500 ms (+50.0%)", "worse")
    assert facts["Steps"] == ("3", "3", "", "")
    pairs = [
        (one.a and one.a.step.name, one.b and one.b.step.name, one.state, one.extra_cost)
        for one in response.context["pairs"]
    ]
    assert sorted(pairs, key=str) == sorted(
        [
            ("agent", "agent", "same", None),
            ("search", None, "removed", None),
            (None, "rerank", "added", None),
            ("answer", "answer", "same", Decimal("-0.25")),
        ],
        key=str,
    )
    texts = {
        one["name"]: [(line.sign, line.text) for line in one["lines"]]
        for one in response.context["texts"]
    }
    assert texts == {"Input": [], "Output": [("-", "old words"), ("+", "new words")]}
    assert "The same in both" in response.content.decode()


def test_compare_of_what_is_missing_asks_for_two(viewer, pair, project):
    response = viewer.get(f"{LIST}compare/?a=a&b=nope")
    assert response.status_code == 200
    assert "Not found" in response.content.decode()
    assert "First trace id" in viewer.get(f"{LIST}compare/").content.decode()
    other = TraceFactory(
        project=ProjectFactory(organization=project.organization), trace_id="foreign", name="secret"
    )
    assert "secret" not in viewer.get(f"{LIST}compare/?a=a&b={other.trace_id}").content.decode()


def test_a_trace_named_compare_keeps_its_page(viewer, project):
    trace = TraceFactory(project=project, trace_id="compare", name="odd-name")
    SpanFactory(trace=trace)
    assert "odd-name" in viewer.get(f"{LIST}compare/").content.decode()


def test_unpriced_is_not_a_difference_of_cost(viewer, project):
    TraceFactory(project=project, trace_id="a", cost_usd=0, unpriced_calls=1)
    TraceFactory(project=project, trace_id="b")
    response = viewer.get(f"{LIST}compare/?a=a&b=b")
    (cost,) = (fact for fact in response.context["facts"] if fact["name"] == "Cost")
    assert (cost["a"], cost["b"], cost["delta"]) == ("Unpriced", "$0.0121", "")


@pytest.mark.django_db(transaction=True)
def test_the_tail_gives_each_new_trace_once(viewer, project):
    def xid() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            return int(cursor.fetchone()[0])

    TraceFactory(project=project, created_xid=xid())
    page = viewer.get(f"{LIST}?tail=1")
    assert "New traces appear on top" in page.content.decode()
    asked = {
        "snapshot": page.context["page"].snapshot,
        "since": timezone.now().isoformat(),
        "q": "status:ok",
    }
    first = viewer.get(f"{LIST}panels/tail/", asked)
    assert first.context["rows"] == []
    TraceFactory(project=project, created_xid=xid(), name="fresh")
    TraceFactory(project=project, created_xid=xid(), name="failed", failed=True)
    TraceFactory(created_xid=xid(), name="stranger")
    second = viewer.get(f"{LIST}panels/tail/", asked)
    assert [line["trace"].name for line in second.context["rows"]] == ["fresh"]
    third = viewer.get(f"{LIST}panels/tail/", {**asked, "snapshot": second.context["snapshot"]})
    assert third.context["rows"] == []
    assert viewer.get(f"{LIST}panels/tail/", {"snapshot": "x"}).status_code == 400


def test_counts_are_there_without_javascript(viewer, project):
    TraceFactory(project=project, environment="production", cost_usd=Decimal("2"))
    text = viewer.get(f"{LIST}?range=24h&counts=1").content.decode()
    assert re.search(r'1 trace\s+·\s+<span class="num" title="\$2">\$2.00</span>', text)
    response = viewer.get(f"{LIST}?range=24h&counts=1")
    (env,) = (facet for facet in response.context["facets"] if facet["key"] == "env")
    assert [(option["label"], option["count"]) for option in env["options"]] == [("production", 1)]
    follow = viewer.get(env["options"][0]["href"])
    assert follow.context["filters"].text == "env:production"
    assert viewer.get(env["options"][0]["not_href"]).context["filters"].text == "-env:production"


@pytest.mark.parametrize("text", ["[]", "\U0001f600", "()", '""'])
def test_a_text_without_words_counts_nothing(viewer, project, text):
    TraceFactory(project=project, environment="production")
    response = viewer.get(f"{LIST}panels/facets/", {"range": "24h", "q": text})
    assert response.status_code in (200, 400)


def test_query_budgets(viewer, pair, django_assert_max_num_queries):
    viewer.get(LIST)  # the session remembers the project
    with django_assert_max_num_queries(5):
        viewer.get(f"{LIST}panels/peek/a/")
    with django_assert_max_num_queries(14):
        viewer.get(f"{LIST}compare/?a=a&b=b")
    with django_assert_max_num_queries(12):
        viewer.get(f"{LIST}?peek=a")


@pytest.mark.parametrize(
    ("text", "caret", "shown"),
    [
        ("status:", "7", 0),
        ("status:err", "10", 0),
        ("status:err", "0", 1),
        ("status:err run", "14", 1),
        ("status:err cost:>", "17", 1),
        ('run "refund po', "14", 0),
        ("status:err", "", 1),
        ("status:err", "-1", 1),
        ("status:err", "²", 1),
    ],
)
def test_the_part_being_written_is_not_warned_about(viewer, project, text, caret, shown):
    headers = {"HX-Request": "true", "X-Typing-At": caret.encode().decode("latin-1")}
    answer = viewer.get(f"/projects/{project.slug}/traces/", {"q": text}, headers=headers)
    reasons = [part for part in answer.context["problems"] if part["reason"]]
    assert len(reasons) == shown
    assert ("data-unfinished" in answer.content.decode()) == (
        shown < len(parse_query(text).problems)
    )
