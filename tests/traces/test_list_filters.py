"""What each operator of the query language finds, exactly; facets, suggestions and counts under it; tenants."""

import datetime as dt
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.models import Role
from costs.models import CostRecord
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import SpanFactory, TraceFactory
from traces.filters import parse_filters
from traces.models import Comment, Score
from traces.selectors import covered, facets, listing

pytestmark = pytest.mark.django_db


def ago(minutes: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(minutes=minutes)


def parsed(q: str, **params: str):
    return parse_filters(QueryDict(urlencode({"q": q, **params})), now=timezone.now())


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def viewer(project: Project, client: Client) -> Client:
    member = MembershipFactory(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


@pytest.fixture
def three(project: Project) -> None:
    """a failed, b dear and slow, c running and unpriced; and a stranger's trace that matches everything."""
    for owner in (project, ProjectFactory(organization=project.organization)):
        a = TraceFactory(
            project=owner, trace_id="aaa-1", name="refund policy", failed=True, model_names=["claude-haiku"],
            providers=["anthropic"], environment="production", tags=["gold", "eu_1"], user_id="cus_1", release="v2",
            cost_usd=Decimal("0.05"), duration_ms=800, input_tokens=100, output_tokens=20, span_count=2, call_count=1,
            metadata={"plan": "gold", "n": 3}, started_at=ago(5),
        )  # fmt: skip
        TraceFactory(
            project=owner, trace_id="bbb-1", name="Triage*", model_names=["gpt-4o", "claude-opus"],
            providers=["openai"], environment="dev",
            session_id="s 1", agent="planner", cost_usd=Decimal("1.5"), duration_ms=30_000,
            input_tokens=9_000, output_tokens=1_000, span_count=40, call_count=9, started_at=ago(70),
        )  # fmt: skip
        TraceFactory(
            project=owner, trace_id="ccc-1", name="nightly", running=True, cost_usd=0, unpriced_calls=1, call_count=1,
            input_tokens=5, output_tokens=0, span_count=1, started_at=ago(200),
        )  # fmt: skip
        SpanFactory(trace=a, status="error", error_type="RateLimitError", error_message="slow down")
        Score.objects.create(
            project=owner, score_id="s1", trace_id="aaa-1", name="helpful", data_type="numeric", value=0.7,
            source="api", scored_at=ago(1),
        )  # fmt: skip
        Score.objects.create(
            project=owner, score_id="s2", trace_id="bbb-1", name="tone", data_type="categorical", text="rude",
            source="api", scored_at=ago(1),
        )  # fmt: skip
        Comment.objects.create(project=owner, trace_id="bbb-1", author_label="x", text="look")
        CostRecord.objects.create(
            project=owner, record_id=f"r-{owner.pk}", trace_id="bbb-1", occurred_at=ago(70), feature="checkout",
            price_status="priced", cost_usd=1, recorded_at=ago(1),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("status:error", "a"),
        ("status:(error OR running)", "ac"),
        ("-status:error", "bc"),
        ("name:nightly", "c"),
        ("name:NIGHT*", "c"),
        ('name:"Triage*"', "b"),
        ("name:*ria*", "b"),
        ("model:claude-*", "ab"),
        ("model:gpt-4o", "b"),
        ('model:""', "c"),
        ("-model:claude-*", "c"),
        ("provider:open*", "b"),
        ("env:production", "a"),
        ('env:""', "c"),
        ("-env:dev", "ac"),
        ("agent:planner", "b"),
        ("user:cus_1", "a"),
        ("user:cus*", "a"),
        ('session:"s 1"', "b"),
        ("tag:gold", "a"),
        ("tag:eu_*", "a"),
        ("tag:eu?1", ""),
        ("-tag:gold", "bc"),
        ("release:v2", "a"),
        ("version:v*", "a"),
        ("id:bbb*", "b"),
        ("trace:ccc-1", "c"),
        ("cost:>0.05", "b"),
        ("cost:>=0.05", "ab"),
        ("cost:<1", "a"),
        ("cost:=0.05", "a"),
        ("cost:0.01..2", "ab"),
        ("cost:0", ""),
        ("duration:>2s", "b"),
        ("duration:<1s", "a"),
        ("duration:800ms", "a"),
        ("duration:0.5m", "b"),
        ("-duration:>2s", "ac"),
        ("tokens:>1k", "b"),
        ("tokens:120", "a"),
        ("tokens:1..200", "ac"),
        ("input_tokens:>=9k", "b"),
        ("output_tokens:<20", "c"),
        ("steps:>2", "b"),
        ("calls:9", "b"),
        ("errors:>0", "a"),
        ("started:>-30m", "a"),
        ("started:<-100m", "c"),
        ("started:-90m", "ab"),
        ("has:error", "a"),
        ("has:score", "ab"),
        ("has:comment", "b"),
        ("-has:comment", "ac"),
        ("has:unpriced", "c"),
        ("has:(user OR session)", "ab"),
        ("has:tag", "a"),
        ("score.helpful:>0.5", "a"),
        ("score.helpful:<0.5", ""),
        ("score.helpful:0.5..0.9", "a"),
        ("score.tone:rude", "b"),
        ("score.tone:r*", "b"),
        ("-score.tone:rude", "ac"),
        ("error:RateLimitError", "a"),
        ("error:Rate*", "a"),
        ("error:Timeout", ""),
        ('error:""', "bc"),
        ("feature:checkout", "b"),
        ("feature:check*", "b"),
        ('feature:""', "ac"),
        ("metadata.plan:gold", "a"),
        ("metadata.n:3", "a"),
        ("-metadata.plan:gold", "bc"),
        ('metadata.plan:""', "bc"),
        ("metadata.plan:g*", "a"),
        ('"refund policy"', "a"),
        ('"policy refund"', ""),
        ("policy refund", "a"),
        ("-refund", "bc"),
        ("(status:error OR cost:>1)", "ab"),
        ("(status:error cost:>1 OR env:dev)", "b"),
        ("-(status:error OR env:dev)", "c"),
        ("status:error model:gpt-4o", ""),
        ("status:melted tag:gold", "a"),
    ],
)
def test_each_operator_finds_exactly_these(three, project, q, expected):
    found = {trace.trace_id[0] for trace in listing.matching(project, parsed(q))}
    assert found == set(expected)


def test_facet_parameters_and_query_are_one_state(project):
    plain = parse_filters(
        QueryDict("status=error&environment=(none)&q=cost:>1"), now=timezone.now()
    )
    assert plain.text == 'status:error env:"" cost:>1'
    assert plain.query() == "range=24h&status=error&environment=%28none%29&q=cost%3A%3E1"
    typed = parsed(plain.text)
    assert typed.nodes == plain.nodes
    assert typed.query() == plain.query()
    assert (
        parse_filters(QueryDict("min_cost=0.05&unpriced=1"), now=timezone.now()).text
        == "cost:>0.05 has:unpriced"
    )


def test_a_facet_click_toggles_narrows_and_rules_out(project):
    state = parsed("status:error tag:x")
    assert state.toggled("status", "ok").text == "status:(error OR ok) tag:x"
    assert state.toggled("status", "error").text == "tag:x"
    assert state.toggled("env", "dev").text == "status:error tag:x env:dev"
    assert state.excluding("status", "error").text == "tag:x -status:error"
    assert (
        state.excluding("status", "error").toggled("status", "error").text == "tag:x status:error"
    )


def test_facets_count_under_the_others_and_name_what_is_excluded(three, project):
    counted, is_sample = facets.facet_counts(project, parsed("-env:dev"))
    found = {facet.key: {one.value: one.count for one in facet.values} for facet in counted}
    assert found["env"] == {"dev": 1, "production": 1}
    assert found["name"] == {"nightly": 1, "refund policy": 1}
    assert found["release"] == {"v2": 1}
    assert found["error"] == {"RateLimitError": 1}
    assert found["cost"] == {"0.01": 1, "0.1": 0, "1": 0}
    assert found["duration"] == {"1000": 0, "5000": 0, "30000": 0}
    assert found["has"] == {"score": 1, "unpriced": 1}
    assert not is_sample
    excluded = [
        one for facet in counted if facet.key == "env" for one in facet.values if one.is_excluded
    ]
    assert [one.value for one in excluded] == ["dev"]


def test_a_facet_is_searched_under_the_other_filters(viewer, three):
    response = viewer.get(
        "/projects/shop/traces/panels/facet/?key=model&find=CLAUDE&q=status:error"
    )
    assert [option["label"] for option in response.context["options"]] == ["claude-haiku"]
    assert viewer.get("/projects/shop/traces/panels/facet/?key=colour").status_code == 400


def offers(viewer: Client, q: str, at: int | None = None) -> list[tuple[str, int | None, str]]:
    params = {"q": q, **({} if at is None else {"at": at})}
    response = viewer.get("/projects/shop/traces/panels/suggestions/", params)
    assert response.status_code == 200
    return [(one.label, one.count, one.text) for one in response.context["suggestions"]]


def test_suggestions_are_keys_then_values_with_counts(viewer, three):
    assert offers(viewer, "sta") == [("status:", None, "status:"), ("started:", None, "started:")]
    assert offers(viewer, "status:") == [
        ("ok", 1, "status:ok "), ("error", 1, "status:error "), ("running", 1, "status:running "),
    ]  # fmt: skip
    assert offers(viewer, "env:prod") == [("production", 1, "env:production ")]
    assert offers(viewer, "-session:s") == [("s 1", 1, '-session:"s 1" ')]
    assert offers(viewer, "model:c status:error", 7) == [
        ("claude-haiku", 1, "model:claude-haiku status:error")
    ]
    assert ("score.helpful:", 1, "score.helpful:") in offers(viewer, "score.h")
    assert ("metadata.plan:", 1, "metadata.plan:") in offers(viewer, "metadata.")
    assert offers(viewer, "error:") == [("RateLimitError", 1, "error:RateLimitError ")]
    for noise in ("(", '"', "nonsense:x", "\\", "cost:>", "score:", "\x00", "name:*"):
        offers(viewer, noise)


def test_unreadable_parts_are_underlined_with_the_reason_and_not_run(viewer, three):
    response = viewer.get("/projects/shop/traces/", {"q": "status:melted tag:gold"})
    text = response.content.decode()
    assert "<u>status:melted</u>" in text
    assert "must be one of ok, error, running" in text
    assert [line["trace"].trace_id for line in response.context["rows"]] == ["aaa-1"]
    assert 'value="status:melted tag:gold"' in text


def test_suggestions_and_facets_stay_in_their_query_budget(
    viewer, three, django_assert_max_num_queries
):
    viewer.get("/projects/shop/traces/")  # the session remembers the project
    with django_assert_max_num_queries(7):
        viewer.get("/projects/shop/traces/panels/facets/?q=-env:dev refund")
    with django_assert_max_num_queries(6):
        viewer.get("/projects/shop/traces/panels/suggestions/?q=user:")


@pytest.mark.parametrize("few", [0, 1, 500])
def test_naming_few_traces_first_changes_no_answer(project, three, monkeypatch, few):
    monkeypatch.setattr(covered, "FEW", few)
    for q in (
        "status:error model:claude-haiku",
        "-status:error model:gpt*",
        "(status:error or env:none) tag:gold",
        "status:ok status:error model:x",
        "has:error user:u1",
        "cost:>0 model:*",
        "refund status:error",
    ):
        filters = parsed(q)
        expected = set(listing.matching(project, filters).values_list("trace_id", flat=True))
        page = listing.trace_page(project, filters)
        assert {row.trace_id for row in page.rows} == expected, q
        assert page.snapshot
        assert listing.trace_totals(project, filters).count == len(expected), q
        assert listing.trace_volume(project, filters).total == len(expected), q


def test_what_an_index_answers_is_asked_first(project, three, django_assert_num_queries):
    assert not covered.is_mixed(parsed("status:error env:prod has:error"))
    assert not covered.is_mixed(parsed("model:a"))
    assert covered.is_mixed(parsed("status:error model:a"))
    assert covered.is_mixed(parsed("has:score has:error"))
    with django_assert_num_queries(1):
        assert listing.trace_page(project, parsed("cost:>90000 model:a")).rows == []
    with django_assert_num_queries(0):
        assert covered.few(project, parsed("model:a")) is None
