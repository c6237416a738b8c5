"""The trace list: filters, order, pages, panels, CSV, tenants."""

import datetime as dt
import re
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Role
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.projects import ProjectFactory
from tests.factories.traces import TraceFactory
from traces.models import Trace
from traces.selectors import facets as facets_of
from traces.selectors import listing

pytestmark = pytest.mark.django_db

NASTY = "\"><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7|add:7 }}' hx-get=/evil"


@pytest.fixture
def project() -> Project:
    return ProjectFactory(slug="shop")


@pytest.fixture
def viewer(project: Project, client: Client) -> Client:
    member = MembershipFactory(organization=project.organization, role=Role.VIEWER)
    client.force_login(member.user)
    return client


def names(response) -> list[str]:
    return [line["trace"].name for line in response.context["rows"]]


def ago(minutes: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(minutes=minutes)


def test_newest_first_with_preview_cost_and_status(viewer, project):
    TraceFactory(project=project, name="older", started_at=ago(30))
    TraceFactory(
        project=project, name="newer", started_at=ago(3), said="I was charged twice", failed=True
    )
    response = viewer.get("/projects/shop/traces/")
    assert names(response) == ["newer", "older"]
    text = response.content.decode()
    assert "I was charged twice" in text
    assert "$0.0121" in text
    assert "Error" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=error", {"a"}),
        ("status=error&status=running", {"a", "c"}),
        ("name=a&name=b", {"a", "b"}),
        ("model=gpt-4o", {"a", "b"}),
        ("model=gpt-4o&provider=anthropic", {"b"}),
        ("environment=production", {"a"}),
        ("environment=(none)", {"b", "c"}),
        ("tag=gold", {"a"}),
        ("tag=(none)", {"b", "c"}),
        ("user=cus_1", {"a"}),
        ("session=s_1", {"b"}),
        ("agent=refund", {"c"}),
        ("min_cost=0.05", {"b"}),
        ("unpriced=1", {"c"}),
        ("q=CUS_", {"a"}),
        ("q=gpt-4", {"a", "b"}),
        ("q=gol", {"a"}),
        ("q=trace-of-c", {"c"}),
        ("q=100%25", set()),
        ("environment=", {"a", "b", "c"}),
        ("range=15m", {"a", "b"}),
    ],
)
def test_filters(viewer, project, query, expected):
    TraceFactory(
        project=project, name="a", failed=True, model_names=["gpt-4o"], providers=["openai"],
        environment="production", tags=["gold", "eu"], user_id="cus_1",
    )  # fmt: skip
    TraceFactory(
        project=project, name="b", model_names=["claude-haiku", "gpt-4o"], providers=["anthropic"],
        session_id="s_1", cost_usd=Decimal("0.0501"),
    )  # fmt: skip
    TraceFactory(
        project=project, name="c", trace_id="trace-of-c", running=True, agent="refund", unpriced_calls=1,
        started_at=ago(20),
    )  # fmt: skip
    assert set(names(viewer.get(f"/projects/shop/traces/?{query}"))) == expected


def test_default_range_is_a_day_and_an_empty_one_offers_a_longer_look(viewer, project):
    TraceFactory(project=project, name="old", started_at=ago(60 * 48))
    response = viewer.get("/projects/shop/traces/")
    assert names(response) == []
    assert "No traces in this range" in response.content.decode()
    assert response.context["wider"]["href"] == "/projects/shop/traces/?range=7d"
    assert names(viewer.get(response.context["wider"]["href"])) == ["old"]


@pytest.mark.parametrize(
    "query",
    [
        "range=yesterday", "range=2026-11-02..2026-11-01", "range=0001-01-01T00:00%2B14:00..9999-12-31",
        "status=melted",
        "min_cost=NaN", "min_cost=1e999", "min_cost=%D9%A1", "sort=cost_usd;drop", "sort=project__name", "after=zzz",
        "before=AAAA", "after=WyJzdGFydGVkIiwgMSwgMl0", "colour=blue", "start=x&end=y", "unpriced=maybe",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_ignored_with_a_note(viewer, project, query):
    TraceFactory(project=project, name="here")
    response = viewer.get(f"/projects/shop/traces/?{query}")
    assert response.status_code == 200
    assert names(response) == ["here"]
    assert response.context["notes"]


@pytest.mark.parametrize(
    "query", ["q=%00a", "name=%00", "tag=%ED%A0%80", "q=%5C%25_", "model=" + "x" * 5000]
)
def test_hostile_values_are_just_values(viewer, project, query):
    assert viewer.get(f"/projects/shop/traces/?{query}").status_code == 200


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-cost", ["mid", "low", "run"]),
        ("cost", ["run", "low", "mid"]),
        ("-duration", ["run", "low", "mid"]),
        ("duration", ["mid", "low", "run"]),
        ("-tokens", ["low", "mid", "run"]),
        ("steps", ["run", "mid", "low"]),
        ("started", ["run", "low", "mid"]),
    ],
)
def test_every_order_pages_through_all_rows_both_ways(viewer, project, sort, expected):
    TraceFactory(
        project=project,
        name="mid",
        cost_usd=2,
        duration_ms=5,
        input_tokens=5,
        span_count=2,
        started_at=ago(1),
    )
    TraceFactory(
        project=project,
        name="low",
        cost_usd=1,
        duration_ms=9,
        input_tokens=9,
        span_count=3,
        started_at=ago(2),
    )
    TraceFactory(
        project=project,
        name="run",
        cost_usd=0,
        running=True,
        input_tokens=1,
        span_count=1,
        started_at=ago(3),
    )
    filters = parsed(f"sort={sort}")
    seen, pages, after = [], [], ""
    while True:
        page = listing.trace_page(project, filters, after=after, limit=1)
        seen += [row.name for row in page.rows]
        pages.append(page)
        after = page.after
        if not after:
            break
    assert seen == expected
    back = listing.trace_page(project, filters, before=pages[-1].before, limit=2)
    assert [row.name for row in back.rows] == expected[:2]
    assert back.before == ""
    assert back.after


def parsed(query: str):
    from django.http import QueryDict

    from traces.filters import parse_filters

    return parse_filters(QueryDict(query), now=timezone.now())


def test_ties_are_broken_by_id_so_no_row_is_lost_or_shown_twice(project):
    at = ago(1)
    for n in range(7):
        TraceFactory(
            project=project, trace_id=f"t{n}", started_at=at, duration_ms=None if n % 2 else 1.0
        )
    for sort in ("-started", "started", "-duration", "duration", "-cost", "tokens"):
        seen, after = [], ""
        while True:
            page = listing.trace_page(project, parsed(f"sort={sort}"), after=after, limit=2)
            seen += [row.trace_id for row in page.rows]
            after = page.after
            if not after:
                break
        assert sorted(seen) == [f"t{n}" for n in range(7)], sort


def test_pages_do_not_shift_when_traces_arrive(viewer, project):
    for n in range(60):
        TraceFactory(project=project, name=f"t{n:02d}", started_at=ago(100 - n))
    first = viewer.get("/projects/shop/traces/")
    TraceFactory(project=project, name="late", started_at=ago(0.1))
    older = viewer.get(first.context["older_href"])
    assert names(first) + names(older) == [f"t{n:02d}" for n in reversed(range(60))]
    newer = viewer.get(older.context["newer_href"])
    assert names(newer) == names(first)


def test_cursor_of_another_order_is_refused_with_a_note(viewer, project):
    for n in range(60):
        TraceFactory(project=project, cost_usd=n)
    after = parse_qs(urlsplit(viewer.get("/projects/shop/traces/").context["older_href"]).query)[
        "after"
    ][0]
    response = viewer.get(f"/projects/shop/traces/?sort=cost&after={after}")
    assert len(names(response)) == 50
    assert "cursor" in response.context["notes"][0]


def test_htmx_gets_the_results_and_a_clean_address(viewer, project):
    response = viewer.get(
        "/projects/shop/traces/?q=&range=24h&status=ok", headers={"HX-Request": "true"}
    )
    assert b"<html" not in response.content
    assert response["HX-Push-Url"] == "/projects/shop/traces/?range=24h&status=ok"
    assert "HX-Request" in response["Vary"]


def test_exact_id_outside_the_range_is_offered(viewer, project):
    TraceFactory(project=project, trace_id="abc", started_at=ago(60 * 50))
    response = viewer.get("/projects/shop/traces/?q=abc")
    assert names(response) == []
    assert "/projects/shop/traces/abc/" in response.content.decode()


def test_unpriced_is_never_shown_as_zero(viewer, project):
    TraceFactory(
        project=project, name="some", cost_usd=Decimal("0.5"), call_count=3, unpriced_calls=1
    )
    TraceFactory(project=project, name="all", cost_usd=0, call_count=2, unpriced_calls=2)
    text = viewer.get("/projects/shop/traces/").content.decode()
    assert "+ 1 unpriced" in re.sub(r"<[^>]*>", "", text)
    assert ">Unpriced<" in text
    assert ">$0<" not in text


def test_nothing_a_program_sent_becomes_markup(viewer, project):
    TraceFactory(
        project=project, name=NASTY[:200], said=NASTY, model_names=[NASTY], tags=[NASTY], environment=NASTY[:60],
        user_id=NASTY, session_id=NASTY, agent=NASTY, providers=[NASTY[:60]], strip=[[0, 1, NASTY], NASTY, [1]],
    )  # fmt: skip
    for path in ("", "panels/facets/", "panels/volume/", "panels/total/"):
        text = viewer.get(
            f"/projects/shop/traces/{path}", {"name": NASTY, "q": "img"}
        ).content.decode()
        assert "<img src=x" not in text
        assert "<script>alert" not in text


def test_preview_that_cannot_be_opened_says_so(viewer, project):
    TraceFactory(project=project, preview=b"x" * 40)
    assert listing.UNREADABLE in viewer.get("/projects/shop/traces/").content.decode()


def test_facets_count_under_the_other_filters_only(viewer, project):
    TraceFactory(project=project, name="a", environment="production", model_names=["m1", "m2"])
    TraceFactory(project=project, name="a", environment="staging", model_names=["m1"])
    TraceFactory(project=project, name="b", environment="production", failed=True, cost_usd=2)
    TraceFactory(name="other tenant", environment="production")
    facets, is_sample = facets_of.facet_counts(project, parsed("environment=production"))
    counts = {facet.key: {one.value: one.count for one in facet.values} for facet in facets}
    assert counts["env"] == {"production": 2, "staging": 1}
    assert counts["name"] == {"a": 1, "b": 1}
    assert counts["model"] == {"m1": 1, "m2": 1}
    assert counts["status"] == {"ok": 1, "error": 1, "running": 0}
    assert counts["cost"] == {"0.01": 2, "0.1": 1, "1": 1}
    assert counts["has"] == {"score": 0, "unpriced": 0}
    assert not is_sample


def test_facet_sample_is_bounded_and_says_so(viewer, project, monkeypatch):
    monkeypatch.setattr(facets_of, "FACET_SAMPLE", 2)
    for n in range(4):
        TraceFactory(project=project, started_at=ago(n + 1))
    response = viewer.get("/projects/shop/traces/panels/facets/")
    assert response.context["is_sample"]
    assert b"newest 2 traces" in response.content


def test_total_is_exact_until_the_cap_then_says_so(viewer, project, monkeypatch):
    for _ in range(3):
        TraceFactory(project=project, cost_usd=Decimal("0.1"), unpriced_calls=1)
    text = viewer.get("/projects/shop/traces/panels/total/").content.decode()
    assert "3 traces" in text
    assert "$0.30" in text
    assert "+ 3 unpriced calls" in text
    monkeypatch.setattr(listing, "COUNT_CAP", 2)
    totals = listing.trace_totals(project, parsed(""))
    assert (totals.count, totals.is_capped) == (2, True)


def test_volume_counts_ok_and_errors_in_round_intervals(project):
    day = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(
        days=1
    )
    for minute in (1, 2, 31):
        TraceFactory(
            project=project,
            started_at=day + dt.timedelta(minutes=minute),
            status="error" if minute == 2 else "ok",
        )
    span = f"{day:%Y-%m-%dT%H:%M}Z..{day + dt.timedelta(days=1):%Y-%m-%dT%H:%M}Z"
    volume = listing.trace_volume(project, parsed(f"range={span}"))
    assert volume.step == dt.timedelta(minutes=30)
    assert len(volume.starts) == 48
    assert volume.starts[0] == day
    assert (volume.ok[:3], volume.errors[:3]) == ([1, 1, 0], [1, 0, 0])


@pytest.mark.django_db(transaction=True)
def test_new_counts_what_the_snapshot_could_not_see(viewer, project):
    from django.db import connection

    def xid() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            return cursor.fetchone()[0]

    TraceFactory(project=project, created_xid=xid())
    page = viewer.get("/projects/shop/traces/").context["page"]
    url = "/projects/shop/traces/panels/new/"
    asked = {"snapshot": page.snapshot, "since": timezone.now().isoformat()}
    assert viewer.get(url, asked).context["count"] == 0
    TraceFactory(project=project, created_xid=xid(), name="fresh")
    TraceFactory(created_xid=xid())
    response = viewer.get(url, asked)
    assert response.context["count"] == 1
    assert "1 new" in response.content.decode()
    assert viewer.get(url, {**asked, "name": "something else"}).context["count"] == 0


@pytest.mark.parametrize(
    "snapshot",
    ["", "x", "1:2", "5:4:", "1:2:9", "99999999999999999999:99999999999999999999:", "1:2:3;"],
)
def test_snapshot_of_our_making_only(viewer, project, snapshot):
    assert (
        viewer.get("/projects/shop/traces/panels/new/", {"snapshot": snapshot}).status_code == 400
    )


def test_csv_has_the_filtered_rows_and_runs_no_formula(viewer, project):
    TraceFactory(
        project=project, name="=HYPERLINK(1)", user_id="+1", tags=["@x"], model_names=["-m"]
    )
    TraceFactory(project=project, name="other", environment="staging")
    response = viewer.get("/projects/shop/traces/panels/traces.csv?environment=(none)")
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert "'=HYPERLINK(1)" in lines[1]
    assert ",'+1," in lines[1]
    assert ",'@x" in lines[1]
    assert ",0.012100000000," in lines[1]
    assert "attachment" in response["Content-Disposition"]


def test_csv_is_capped_and_says_so(viewer, project, monkeypatch):
    from traces.views import export as views

    monkeypatch.setattr(views, "CSV_CAP", 2)
    for _ in range(3):
        TraceFactory(project=project)
    lines = (
        b"".join(viewer.get("/projects/shop/traces/panels/traces.csv").streaming_content)
        .decode()
        .splitlines()
    )
    assert len(lines) == 4
    assert "Cut after 2 rows" in lines[-1]


PATHS = [
    "",
    "panels/facets/",
    "panels/volume/",
    "panels/total/",
    "panels/new/?snapshot=1:2:",
    "panels/traces.csv",
]


@pytest.mark.parametrize("path", PATHS)
def test_other_organisations_and_strangers_are_denied(client, project, path):
    url = f"/projects/shop/traces/{path}"
    assert client.get(url).status_code == 302
    assert client.get(url, headers={"HX-Request": "true"})["HX-Redirect"].startswith(
        "/accounts/login/"
    )
    client.force_login(MembershipFactory().user)
    assert client.get(url).status_code == 404
    client.force_login(UserFactory())
    assert client.get(url).status_code == 404


def test_another_projects_traces_never_show(viewer, project):
    sibling = ProjectFactory(organization=project.organization)
    TraceFactory(project=sibling, name="sibling")
    TraceFactory(name="stranger")
    assert names(viewer.get("/projects/shop/traces/?range=30d")) == []


def test_query_budget_does_not_grow_with_rows(viewer, project, django_assert_max_num_queries):
    TraceFactory(project=project)
    with django_assert_max_num_queries(10):
        viewer.get("/projects/shop/traces/")
    for _ in range(50):
        TraceFactory(project=project, tags=["a", "b"], model_names=["m"])
    with django_assert_max_num_queries(10):
        assert len(names(viewer.get("/projects/shop/traces/?q=a&status=ok"))) == 50
    with django_assert_max_num_queries(9):
        viewer.get("/projects/shop/traces/panels/facets/")


def test_list_page_is_empty_handed_without_a_trace(viewer, project):
    assert Trace.objects.filter(project=project).count() == 0
    assert viewer.get("/projects/shop/traces/?after=&before=").status_code == 200
