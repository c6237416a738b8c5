"""Pages and API of forecasts and anomalies: what they show, how they are narrowed, who may act."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from core.models import Job
from costs.models import AnomalyState, SpendAnomaly, SpendForecast
from tests.factories.costs import ProjectUsageFactory, add_hour
from tests.factories.forecasts import SpendAnomalyFactory, SpendForecastFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: Any) -> Any:
    return ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")


@pytest.fixture
def member(acme: Any, client_of: Any) -> Any:
    return client_of(acme.member)


@pytest.fixture
def viewer(acme: Any, client_of: Any) -> Any:
    return client_of(acme.viewer)


def forecast(acme: Any, **values: Any) -> SpendForecast:
    month = timezone.now().date().replace(day=1)
    row: SpendForecast = SpendForecastFactory.create(
        organization=acme.organization,
        **{"month": month, "from_day": month + dt.timedelta(days=15)} | values,
    )
    return row


def anomaly(acme: Any, **values: Any) -> SpendAnomaly:
    row: SpendAnomaly = SpendAnomalyFactory.create(organization=acme.organization, **values)
    return row


def url(name: str, acme: Any, *args: Any, **query: Any) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"costs:{name}", args=[acme.organization.slug, *args]) + (
        f"?{text}" if text else ""
    )


def titles(response: Any) -> list[str]:
    return [one["title"] for one in response.context["rows"]]


def test_the_list_shows_interval_error_and_what_has_no_forecast(acme, project, viewer):
    forecast(acme)
    forecast(acme, kind="model", value="gpt-5", project=project, expected_usd=None, error_share=None,
             reason="Not enough history: 9 of the 21 days it takes to learn the week and be tested.")  # fmt: skip
    page = viewer.get(url("forecast_list", acme))
    text = page.content.decode()
    assert titles(page) == ["Everything", "gpt-5"]
    assert "$200.25" in text
    assert "$180" in text
    assert "±8.1%" in text
    assert "Not enough history: 9 of the 21 days" in text
    assert "url(#hatch-s)" in text
    assert "Make again" not in text


def test_the_list_is_narrowed_sorted_paged_and_exported(acme, project, viewer, monkeypatch):
    for number in range(3):
        forecast(acme, kind="model", value=f"m{number}", expected_usd=Decimal(100 + number))
    forecast(acme, kind="provider", value="openai", project=project)
    assert titles(viewer.get(url("forecast_list", acme, kind="model"))) == ["m2", "m1", "m0"]
    assert titles(viewer.get(url("forecast_list", acme, kind="model", sort="name"))) == [
        "m0",
        "m1",
        "m2",
    ]
    assert titles(viewer.get(url("forecast_list", acme, project=project.pk))) == ["OpenAI"]
    assert titles(viewer.get(url("forecast_list", acme, q="check"))) == ["OpenAI"]
    monkeypatch.setattr("costs.forecasting.views.PAGE", 2)
    first = viewer.get(url("forecast_list", acme, kind="model", sort="expected"))
    following = viewer.get(
        url("forecast_list", acme, kind="model", sort="expected", after=first.context["after"])
    )
    assert titles(first) + titles(following) == ["m0", "m1", "m2"]
    assert following.context["after"] == ""
    lines = viewer.get(url("forecast_export", acme, kind="provider")).content.decode().splitlines()
    assert lines[1].split(",")[1:9] == [
        "provider",
        "openai",
        "OpenAI",
        "Checkout",
        "100.5",
        "200.25",
        "180",
        "230.123456",
    ]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("forecast_list", {"kind": "feature"}),
        ("forecast_list", {"sort": "day"}),
        ("forecast_list", {"project": "x"}),
        ("forecast_list", {"q": "a%00"}),
        ("forecast_list", {"after": "nothing"}),
        ("anomaly_list", {"state": "lost"}),
        ("anomaly_list", {"after": "WyItZGF5IiwibW9yZ2VuIiwiMSJd"}),
        ("anomaly_export", {"sort": "name"}),
    ],
)
def test_bad_addresses_name_the_parameter(acme, viewer, name, query):
    answer = viewer.get(url(name, acme, **query))
    assert answer.status_code == 400
    said = "cursor" if "after" in query else next(iter(query))
    assert said in answer.content.decode()


def test_a_forecast_shows_its_back_test(acme, project, viewer):
    row = forecast(acme, project=project)
    text = viewer.get(url("forecast_detail", acme, row.pk)).content.decode()
    assert "Mean of the three best methods" in text
    assert "20 of 24" in text
    assert "±20.0%" in text or "±20%" in text


def test_anomalies_are_listed_by_state_and_day_with_their_cause(acme, project, viewer):
    anomaly(acme, project=project)
    anomaly(acme, kind="model", value="gpt-5", day=dt.date(2026, 11, 3), excess_usd=Decimal(90))
    anomaly(acme, day=dt.date(2026, 11, 2), state="expected")
    page = viewer.get(url("anomaly_list", acme))
    assert titles(page) == ["Checkout", "gpt-5"]
    assert "nightly" in page.content.decode()
    assert titles(viewer.get(url("anomaly_list", acme, sort="-excess"))) == ["gpt-5", "Checkout"]
    assert titles(viewer.get(url("anomaly_list", acme, state="expected"))) == ["Everything"]
    assert len(titles(viewer.get(url("anomaly_list", acme, state="all")))) == 3
    lines = viewer.get(url("anomaly_export", acme)).content.decode().splitlines()
    assert lines[1].startswith("2026-11-15,total,,Checkout,30,10,20,9.5,open")


def test_an_anomaly_adds_up_and_leads_to_its_traces(acme, project, viewer):
    row = anomaly(acme, project=project)
    text = viewer.get(url("anomaly_detail", acme, row.pk)).content.decode()
    assert "$18.50" in text
    assert (
        "range=2026-11-15T00%3A00Z..2026-11-16T00%3A00Z&amp;model=gpt-5&amp;feature=nightly" in text
    )
    assert "41 calls, usually 4" in text
    assert "Mark as expected" not in text


def test_members_mark_and_reopen_and_it_is_on_record(acme, project, member):
    row = anomaly(acme, project=project)
    there = url("anomaly_expectation", acme, row.pk)
    member.post(there, {"note": "Launch of the bot"})
    row.refresh_from_db()
    assert (row.state, row.note, row.marked_by) == (
        AnomalyState.EXPECTED,
        "Launch of the bot",
        acme.member.user,
    )
    text = member.get(url("anomaly_detail", acme, row.pk)).content.decode()
    assert "Launch of the bot" in text
    member.post(there, {"reopen": "1"})
    row.refresh_from_db()
    assert (row.state, row.note) == (AnomalyState.OPEN, "")
    actions = AuditEvent.objects.filter(organization=acme.organization).values_list(
        "action", flat=True
    )
    assert {"costs.anomaly.marked_expected", "costs.anomaly.reopened"} <= set(actions)
    assert member.post(there, {"note": "x" * 501}).status_code == 400


def test_viewers_and_strangers_change_nothing(acme, globex, project, viewer, client_of):
    row = anomaly(acme, project=project)
    stranger = client_of(globex.owner)
    assert viewer.post(url("anomaly_expectation", acme, row.pk)).status_code == 403
    assert viewer.post(url("forecast_refresh", acme)).status_code == 403
    assert stranger.post(url("anomaly_expectation", acme, row.pk)).status_code == 404
    assert stranger.get(url("anomaly_detail", acme, row.pk)).status_code == 404
    assert stranger.get(url("forecast_list", acme)).status_code == 404
    row.refresh_from_db()
    assert row.state == AnomalyState.OPEN
    assert not Job.objects.exists()


def test_another_organisations_rows_are_not_there(acme, member):
    other = ProjectFactory()
    strange = SpendAnomalyFactory.create(organization=other.organization)
    made = SpendForecastFactory.create(organization=other.organization)
    assert member.get(url("anomaly_detail", acme, strange.pk)).status_code == 404
    assert member.get(url("forecast_detail", acme, made.pk)).status_code == 404
    assert member.post(url("anomaly_expectation", acme, strange.pk)).status_code == 404
    strange.refresh_from_db()
    assert strange.state == AnomalyState.OPEN


def test_a_member_makes_forecasts_again_once(acme, member):
    answer = member.post(url("forecast_refresh", acme))
    assert answer.url.startswith("/jobs/")
    assert member.post(url("forecast_refresh", acme)).url == url("forecast_list", acme)
    assert Job.objects.get().kind == "costs.forecast"


def test_lists_ask_the_same_queries_for_many_rows(
    acme, project, viewer, django_assert_max_num_queries
):
    forecast(acme)
    for number in range(20):
        forecast(acme, kind="model", value=f"m{number}", project=project)
        anomaly(acme, kind="model", value=f"m{number}", project=project)
    viewer.get(url("forecast_list", acme))
    with django_assert_max_num_queries(18):
        viewer.get(url("forecast_list", acme))
    with django_assert_max_num_queries(14):
        viewer.get(url("anomaly_list", acme))


def test_the_api_tells_keys_of_their_project_and_people_of_all(
    acme, project, client, viewer, member
):
    other = ProjectFactory(organization=acme.organization)
    forecast(acme, project=project)
    forecast(acme, project=other)
    row = anomaly(acme, project=project)
    anomaly(acme, project=other)
    whole = viewer.get(f"/api/v1/organizations/{acme.organization.slug}/forecasts").json()
    assert len(whole["results"]) == 2
    assert whole["results"][0]["expected_usd"] == "200.25"
    assert whole["next"] is None
    mine = viewer.get(f"/api/v1/projects/{project.slug}/forecasts").json()["results"]
    assert [one["project"] for one in mine] == [str(project.pk)]
    strange = viewer.get(f"/api/v1/projects/{project.slug}/anomalies").json()["results"]
    assert [one["causes"][0]["usd"] for one in strange] == ["18.5"]
    base = f"/api/v1/organizations/{acme.organization.slug}/anomalies/{row.pk}"
    assert (
        member.post(f"{base}/expectation", {"note": "Meant"}, "application/json").json()["state"]
        == "expected"
    )
    assert member.post(f"{base}/expectation", {}, "application/json").status_code == 409
    assert member.post(f"{base}/expectation", {"nite": ""}, "application/json").status_code == 400
    assert member.delete(f"{base}/expectation").json()["state"] == "open"
    assert (
        viewer.get(
            f"/api/v1/organizations/{acme.organization.slug}/forecasts?month=soon"
        ).status_code
        == 400
    )
    assert viewer.get(f"/api/v1/organizations/{acme.organization.slug}/anomalies?limit=1").json()[
        "next"
    ]


def test_the_dashboard_of_this_month_shows_the_days_to_come(acme, project, viewer):
    today = timezone.now().date()
    add_hour(project.pk, dt.datetime.combine(today, dt.time(), dt.UTC), cost_usd=Decimal(5))
    ProjectUsageFactory.create(project=project)
    end = (today.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    days = [today + dt.timedelta(days=place) for place in range((end - today).days)]
    path = [{"day": day.isoformat(), "usd": "9.75", "low": "7", "high": "12.5"} for day in days]
    forecast(acme, project=project, from_day=today, path=path)
    panel = reverse("costs:spend_panel", args=["checkout"])
    text = viewer.get(panel, headers={"HX-Request": "true"}).content.decode()
    assert text.count('class="whisk"') == len(days) - 1
    assert "±8.1% in back-test" in text
    assert reverse("costs:forecast_of_project", args=["checkout"]) in text
    figures = viewer.get(
        reverse("costs:figures_panel", args=["checkout"]), headers={"HX-Request": "true"}
    )
    assert "$200.25 by month&#x27;s end" in figures.content.decode()
    filtered = viewer.get(f"{panel}?model=gpt-4o", headers={"HX-Request": "true"}).content.decode()
    assert "whisk" not in filtered
    lines = viewer.get(
        reverse("costs:dashboard_export", args=["checkout"]) + "?panel=spend"
    ).content.decode()
    assert len(lines.splitlines()) == 1 + today.day
    detail = viewer.get(reverse("costs:forecast_of_project", args=["checkout"]))
    assert detail.url.startswith(url("forecast_list", acme))


def test_what_needs_attention_names_the_strange_day_and_its_cause(acme, project, viewer):
    today = timezone.now().date()
    ProjectUsageFactory.create(project=project)
    add_hour(project.pk, dt.datetime.combine(today, dt.time(), dt.UTC))
    row = anomaly(acme, project=project, day=today)
    anomaly(acme, project=project, day=today, kind="model", value="calm", state="expected")
    there = reverse("costs:attention_panel", args=["checkout"])
    text = viewer.get(there, headers={"HX-Request": "true"}).content.decode()
    assert url("anomaly_detail", acme, row.pk) in text
    assert "moved by gpt-5, nightly" in text
    assert "calm" not in text
