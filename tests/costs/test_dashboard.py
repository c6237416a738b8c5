"""The dashboard: exact figures, links to the traces behind them, state in the address, walls between tenants."""

import datetime as dt
import html
import re
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from costs import views
from projects.models import Project
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.costs import ProjectUsageFactory, add_hour
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
PANELS = (*views.OTHERS, *views.CHARTS)
HTMX = {"HX-Request": "true"}
NOW = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _within_the_hour() -> Iterator[None]:
    """A run that began in the hour before ends in it, too."""
    with time_machine.travel(NOW + dt.timedelta(minutes=20)):
        yield


@pytest.fixture
def project() -> Project:
    found = ProjectFactory.create(slug="copilot", name="Copilot")
    ProjectUsageFactory.create(project=found)
    return found


@pytest.fixture
def viewer(client: Client, project: Project) -> Client:
    client.force_login(
        MembershipFactory.create(organization=project.organization, role=Role.VIEWER).user
    )
    client.get("/projects/copilot/dashboard/")  # the session remembers the project
    return client


def text_of(response: object) -> str:
    """What a person reads, in one line."""
    content = re.sub(r"<script.*?</script>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def test_figures_are_exact_and_never_hide_unpriced_calls(viewer: Client, project: Project) -> None:
    add_hour(
        project.pk, NOW, calls=8, errors=2, unpriced_calls=2, cost_usd=Decimal("12.3456"),
        input_tokens=120_000, output_tokens=5_000,
    )  # fmt: skip
    add_hour(project.pk, NOW - dt.timedelta(hours=30), calls=4, cost_usd=Decimal("6.1728"))
    words = text_of(viewer.get("/projects/copilot/dashboard/?range=24h&full=1"))
    assert "Spend, last 24 hours $12.35" in words
    assert "vs $6.17" in words
    assert "Cost per call $2.06" in words
    assert "Tokens 125K 120K in · 5,000 out" in words
    assert "Error rate 25.0%" in words
    assert "2 failed" in words
    assert "Unpriced calls 25.0% 2 not in the spend" in words
    assert "2 calls unpriced (25.0%)" in words


def test_every_figure_and_bar_links_to_its_traces(viewer: Client, project: Project) -> None:
    add_hour(project.pk, NOW, cost_usd=Decimal(1), unpriced_calls=1, calls=2, agent="a")
    page = viewer.get(
        "/projects/copilot/dashboard/?range=24h&environment=production&full=1"
    ).content.decode()
    links = [
        html.unescape(link)
        for link in re.findall(r'href="(/projects/copilot/traces/\?[^"]+)"', page)
    ]
    queries = [parse_qs(urlsplit(link).query, keep_blank_values=True) for link in links]
    assert all(query["environment"] == ["production"] for query in queries)
    whole = f"{NOW - dt.timedelta(hours=23):%Y-%m-%dT%H:%M}Z..{NOW + dt.timedelta(hours=1):%Y-%m-%dT%H:%M}Z"
    last = f"{NOW:%Y-%m-%dT%H:%M}Z..{NOW + dt.timedelta(hours=1):%Y-%m-%dT%H:%M}Z"
    assert {"range": [whole], "environment": ["production"], "status": ["error"]} in queries
    assert {"range": [whole], "environment": ["production"], "unpriced": ["1"]} in queries
    assert {"range": [last], "environment": ["production"], "provider": ["openai"]} in queries
    assert {
        "range": [whole], "environment": ["production"], "provider": ["openai"], "model": ["gpt-4o"]
    } in queries  # fmt: skip
    assert {"range": [whole], "environment": ["production"], "agent": ["a"]} in queries


def test_chart_shows_five_and_other(viewer: Client, project: Project) -> None:
    for number in range(7):
        add_hour(project.pk, NOW, model=f"model-{number}", cost_usd=Decimal(number + 1))
    words = text_of(
        viewer.get("/projects/copilot/dashboard/panels/spend/?group=model&range=24h", headers=HTMX)
    )
    assert "Hourly spend" in words
    assert "model-6 model-5 model-4 model-3 model-2 Other (2)" in words
    assert "$28.00 in 7 calls · every call has a price" in words


def test_models_can_be_sorted_and_unfolded(viewer: Client, project: Project) -> None:
    for number in range(10):
        add_hour(
            project.pk, NOW, model=f"model-{number}", cost_usd=Decimal(number), calls=20 - number
        )
    top = text_of(viewer.get("/projects/copilot/dashboard/panels/models/?range=24h", headers=HTMX))
    assert top.index("model-9") < top.index("model-2")
    assert "model-1 " not in top
    assert "All 10 models" in top
    every = text_of(
        viewer.get(
            "/projects/copilot/dashboard/panels/models/?range=24h&models=all&sort=-calls",
            headers=HTMX,
        )
    )
    assert every.index("model-0") < every.index("model-9")


@pytest.mark.parametrize("sort", ["spend", "-spend", "per_call", "-per_call", "share"])
def test_a_model_of_unknown_cost_is_never_the_cheapest(
    viewer: Client, project: Project, sort: str
) -> None:
    add_hour(project.pk, NOW, provider="vllm", model="llama", calls=3, unpriced_calls=3, cost_usd=0)
    for name, cost in (("cheap", 1), ("dear", 5)):
        add_hour(project.pk, NOW, model=name, calls=2, cost_usd=Decimal(cost))
    address = f"/projects/copilot/dashboard/panels/models/?range=24h&sort={sort}"
    words = text_of(viewer.get(address, headers=HTMX))
    order = ["dear", "cheap"] if sort.startswith("-") else ["cheap", "dear"]
    assert sorted(("llama", "cheap", "dear"), key=words.index) == [*order, "llama"]


def test_unpriced_model_says_so_and_needs_attention(viewer: Client, project: Project) -> None:
    add_hour(project.pk, NOW, provider="vllm", model="llama", calls=3, unpriced_calls=3, cost_usd=0)
    add_hour(project.pk, NOW, calls=100, errors=5, cost_usd=Decimal(1), agent="refunds")
    models = text_of(
        viewer.get("/projects/copilot/dashboard/panels/models/?range=24h", headers=HTMX)
    )
    assert "llama vLLM Unpriced" in models
    attention = text_of(
        viewer.get("/projects/copilot/dashboard/panels/attention/?range=24h", headers=HTMX)
    )
    assert "llama No price is known · vLLM · left out of the spend 3 unpriced" in attention
    assert "gpt-4o OpenAI · 5 of 100 calls failed 5.0%" in attention
    assert "refunds Agent · 5 of 100 calls failed 5.0%" in attention


def test_nothing_to_attend_to_says_so(viewer: Client, project: Project) -> None:
    add_hour(project.pk, NOW, calls=500, errors=4)
    words = text_of(
        viewer.get("/projects/copilot/dashboard/panels/attention/?range=24h", headers=HTMX)
    )
    assert "Nothing: every call has a price" in words


def test_a_panel_keeps_the_state_the_browser_shows(viewer: Client, project: Project) -> None:
    shown = "http://testserver/projects/copilot/dashboard/?range=7d&agent=a&group=agent"
    response = viewer.get(
        "/projects/copilot/dashboard/panels/mix/?mix=model",
        headers={**HTMX, "HX-Current-URL": shown},
    )
    assert (
        response["HX-Push-Url"]
        == "/projects/copilot/dashboard/?range=7d&agent=a&group=agent&mix=model"
    )


def test_refresh_of_a_panel_pushes_nothing(viewer: Client) -> None:
    shown = "http://testserver/projects/copilot/dashboard/?range=7d"
    response = viewer.get(
        "/projects/copilot/dashboard/panels/mix/", headers={**HTMX, "HX-Current-URL": shown}
    )
    assert "HX-Push-Url" not in response


def test_a_panel_opened_as_a_page_is_the_dashboard(viewer: Client) -> None:
    response = viewer.get("/projects/copilot/dashboard/panels/mix/?mix=model&range=7d")
    assert (response.status_code, response["Location"]) == (
        302,
        "/projects/copilot/dashboard/?range=7d&mix=model",
    )


def test_custom_range_form_lands_on_its_address(viewer: Client) -> None:
    response = viewer.get(
        "/projects/copilot/dashboard/?start=2026-11-01T00:00&end=2026-11-03T00:00&group=model"
    )
    assert response["Location"] == (
        "/projects/copilot/dashboard/?range=2026-11-01T00%3A00Z..2026-11-03T00%3A00Z&group=model"
    )


def test_filter_chips_can_be_removed(viewer: Client, project: Project) -> None:
    page = viewer.get("/projects/copilot/dashboard/?agent=a&agent=(none)&range=7d").content.decode()
    assert 'aria-label="Remove filter Agent No agent"' in page
    assert 'href="/projects/copilot/dashboard/?range=7d&amp;agent=a"' in page
    assert 'href="/projects/copilot/dashboard/?range=7d&amp;agent=%28none%29"' in page


def test_filter_form_offers_what_was_seen_and_keeps_the_rest(
    viewer: Client, project: Project
) -> None:
    add_hour(project.pk, NOW, agent="", environment="staging", calls=12)
    page = viewer.get(
        "/projects/copilot/dashboard/filters/?range=24h&agent=(none)&group=model"
    ).content.decode()
    assert 'name="agent" value="(none)" checked' in page
    assert 'name="environment" value="staging"' in page
    assert '<input type="hidden" name="group" value="model">' in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=yesterday", "range is 'yesterday'"),
        ("group=colour", "group is 'colour'; it must be one of provider"),
        ("sort=size", "sort is 'size'"),
        ("start=2026-11-01", "needs both start and end"),
        ("start=2026-11-02&end=2026-11-01", "must be after the start"),
        ("model=%00", "no NUL"),
        ("user=a&tag=b", "Only one of user"),
    ],
)
def test_bad_address_is_a_clear_400(viewer: Client, query: str, words: str) -> None:
    response = viewer.get(f"/projects/copilot/dashboard/?{query}")
    assert response.status_code == 400
    assert words in text_of(response)


def test_project_without_calls_shows_the_way_to_the_first(client: Client) -> None:
    member = MembershipFactory.create()
    ProjectFactory.create(organization=member.organization, slug="new")
    client.force_login(member.user)
    page = client.get("/projects/new/dashboard/").content.decode()
    assert "No calls yet" in page
    assert 'href="/projects/new/setup/"' in page
    assert "NaN" not in page


def test_export_is_what_the_chart_shows(viewer: Client, project: Project) -> None:
    add_hour(
        project.pk,
        NOW,
        model="=cmd()",
        calls=2,
        unpriced_calls=1,
        cost_usd=Decimal("0.000000012345"),
    )
    response = viewer.get("/projects/copilot/dashboard/export.csv?range=24h&group=model")
    lines = response.content.decode().split("\r\n")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert lines[0].startswith("start,end,model,calls,errors,unpriced_calls")
    end = NOW + dt.timedelta(hours=1)
    assert (
        lines[1] == f"{NOW.isoformat()},{end.isoformat()},'=cmd(),2,0,1,0,0,0,0,0,0,0.000000012345"
    )


def test_pulse_is_silent_until_the_ledger_moves(viewer: Client, project: Project) -> None:
    address = "/projects/copilot/dashboard/pulse/"
    assert viewer.get(f"{address}?version=1", headers=HTMX).status_code == 204
    moved = viewer.get(f"{address}?version=0", headers=HTMX)
    assert "llmlab:refresh" in moved["HX-Trigger-After-Settle"]
    assert 'name="version" value="1"' in moved.content.decode()
    assert viewer.get(f"{address}?version=0&reload=1", headers=HTMX)["HX-Refresh"] == "true"


def test_dashboard_shows_a_new_call_at_once(viewer: Client, project: Project) -> None:
    add_hour(project.pk, NOW, cost_usd=Decimal(1))
    assert "last 24 hours $1.00" in text_of(viewer.get("/projects/copilot/dashboard/?range=24h"))
    add_hour(project.pk, NOW, agent="other", cost_usd=Decimal(1))
    project.usage.version = 2
    project.usage.save()
    assert "last 24 hours $2.00" in text_of(viewer.get("/projects/copilot/dashboard/?range=24h"))


def test_query_budgets(viewer: Client, project: Project, django_assert_max_num_queries) -> None:
    for number in range(20):
        add_hour(
            project.pk, NOW - dt.timedelta(hours=number), model=f"m{number}", agent=f"a{number}"
        )
    with django_assert_max_num_queries(10):
        viewer.get("/projects/copilot/dashboard/?range=7d")
    project.usage.version = 2
    project.usage.save()
    for name in PANELS:
        with django_assert_max_num_queries(8):
            response = viewer.get(
                reverse(f"costs:{name}_panel", args=["copilot"]) + "?range=7d", headers=HTMX
            )
        assert response.status_code == 200


def test_whole_page_without_javascript(viewer: Client, project: Project) -> None:
    add_hour(project.pk, NOW, cost_usd=Decimal(1), agent="a")
    lazy = viewer.get("/projects/copilot/dashboard/?range=24h").content.decode()
    assert '<a class="link" href="?range=24h&amp;full=1">Show every panel on this page</a>' in lazy
    page = viewer.get("/projects/copilot/dashboard/?range=24h&full=1").content.decode()
    for heading in ("Hourly spend", "Spend mix", "All models", "Top agents", "Needs attention"):
        assert f">{heading}</h2>" in page.replace("Top models", "All models")
    assert "/projects/copilot/dashboard/?range=24h&amp;group=model&amp;full=1" in page


def test_others_see_nothing(client: Client, project: Project) -> None:
    client.force_login(MembershipFactory.create().user)
    names = [
        "dashboard",
        "dashboard_export",
        "usage_pulse",
        "filters_panel",
        *(f"{name}_panel" for name in PANELS),
    ]
    for name in names:
        assert client.get(reverse(f"costs:{name}", args=["copilot"])).status_code == 404


def test_anonymous_goes_to_login(client: Client, project: Project) -> None:
    response = client.get("/projects/copilot/dashboard/")
    assert (response.status_code, urlsplit(response["Location"]).path) == (302, "/accounts/login/")
    panel = client.get("/projects/copilot/dashboard/panels/mix/", headers=HTMX)
    assert panel["HX-Redirect"] == "/accounts/login/"


def test_project_list_cells_hold_own_projects_only(client: Client, project: Project) -> None:
    member = MembershipFactory.create(user=UserFactory.create())
    mine = ProjectFactory.create(organization=member.organization)
    add_hour(mine.pk, NOW, cost_usd=Decimal("3.5"))
    add_hour(project.pk, NOW, cost_usd=Decimal("99"))
    client.force_login(member.user)
    page = client.get(f"/projects/spend/?ids={mine.pk},{project.pk},nonsense").content.decode()
    assert f'id="spend-{mine.pk}"' in page
    assert f'id="activity-{mine.pk}"' in page
    assert "$3.50" in page
    assert str(project.pk) not in page
