"""The calculator as a page and an API: filled from real traffic, exported, walled."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from costs.models import CostRecord
from projects.models import Project
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db
PAGE = "/organizations/acme/costs/calculator/"
PLAN = "tasks=1000&months=2&p0-model=openai/gpt-5-mini&p0-input=1000&p0-output=200"
BODY = {
    "tasks": 1000,
    "months": 2,
    "parts": [{"model": "openai/gpt-5-mini", "input_tokens": 1000, "output_tokens": 200}],
    "compare": ["nobody/nothing"],
}


@pytest.fixture
def project(acme: Any) -> Project:
    """Three calls of one trace, an hour ago: two on one model, one on another."""
    project = ProjectFactory(organization=acme.organization, slug="checkout", name="Checkout")
    at = timezone.now() - dt.timedelta(hours=1)
    spans = [
        llm("a", started_at=at),
        llm("b", started_at=at),
        llm("c", started_at=at, model="gpt-5"),
    ]
    write_spans(context_for(project), spans, now=timezone.now())
    return project


def test_page_calculates_what_the_address_says(
    acme: Any, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    client = client_of(acme.viewer)
    client.get(PAGE)
    with django_assert_max_num_queries(9):
        page = client.get(f"{PAGE}?{PLAN}&compare=openai/gpt-5").content.decode()
    assert 'title="$1.30"' in page  # two months of 1,000 tasks at $0.00065
    assert page.index("As planned") < page.index("openai/gpt-5</th>")


def test_form_keeps_what_was_wrong_and_says_why(acme: Any, client_of: Any) -> None:
    page = client_of(acme.viewer).get(f"{PAGE}?tasks=many&p0-model=a/b").content.decode()
    assert "Enter a whole number." in page
    assert 'value="many"' in page
    assert "The plan cannot be calculated yet" in page


def test_fresh_page_offers_what_runs(acme: Any, client_of: Any, project: Project) -> None:
    page = client_of(acme.viewer).get(PAGE).content.decode()
    assert f"from=project&amp;project={project.slug}" in page


def test_start_from_a_trace_costs_what_the_trace_did(
    acme: Any, client_of: Any, project: Project
) -> None:
    client = client_of(acme.viewer)
    answer = client.get(f"{PAGE}?from=trace&project=checkout&value=t1")
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert (query["p0-calls"], query["p1-calls"]) == (["2"], ["1"])
    spent = sum(
        (one.cost_usd or 0 for one in CostRecord.objects.filter(project=project)), Decimal(0)
    )
    assert query["origin_usd"] == [f"{spent.normalize():f}"]
    rows = _export(client, urlsplit(answer["Location"]).query)
    # Both calls of a model are alike here, so that the average is exact: 1,000 tasks like it.
    assert Decimal(rows[1]["models_usd"]) == spent * 1000


def test_start_from_a_project_takes_its_mix(acme: Any, client_of: Any, project: Project) -> None:
    answer = client_of(acme.viewer).get(f"{PAGE}?from=project&project=checkout")
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert query["tasks"] == ["3"]
    assert (query["p0-calls"], query["p1-calls"]) == (["0.666667"], ["0.333333"])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=feature&project=checkout&value=none", 404),
        ("from=trace&project=checkout&value=none", 404),
        ("from=moon&project=checkout", 400),
        ("from=project&project=foreign", 404),
    ],
)
def test_start_that_cannot_be_made_says_so(
    acme: Any, globex: Any, client_of: Any, project: Project, query: str, status: int
) -> None:
    ProjectFactory(organization=globex.organization, slug="foreign")
    assert client_of(acme.viewer).get(f"{PAGE}?{query}").status_code == status


def _export(client: Client, query: str) -> list[dict[str, str]]:
    answer = client.get(f"{PAGE}export.csv?{query}")
    assert answer.status_code == 200
    return [{}, *csv.DictReader(io.StringIO(answer.content.decode()))]


def test_export_is_every_month_of_every_plan(acme: Any, client_of: Any) -> None:
    rows = _export(
        client_of(acme.viewer), f"{PLAN}&compare==cmd()&l0-name=GPU&l0-usd=10&l0-per=month"
    )[1:]
    assert [(row["plan"], row["month"], row["total_usd"]) for row in rows] == [
        ("As planned", "1", "10.65"), ("As planned", "2", "10.65"),
        ("'=cmd()", "1", ""), ("'=cmd()", "2", ""),
    ]  # fmt: skip
    assert client_of(acme.viewer).get(f"{PAGE}export.csv").status_code == 400


def test_api_answers_with_exact_strings_and_null(acme: Any, client_of: Any) -> None:
    url = "/api/v1/organizations/acme/estimates"
    answer = client_of(acme.viewer).post(url, BODY, content_type="application/json")
    assert answer.status_code == 200
    own, other = answer.json()["plans"]
    assert (own["name"], own["per_task_usd"], own["total_usd"]) == ("As planned", "0.00065", "1.3")
    assert own["months"][0] == {
        "month": 1, "tasks": 1000, "models_usd": "0.65", "lines_usd": [], "total_usd": "0.65",
    }  # fmt: skip
    assert (other["total_usd"], other["notes"]) == (
        None,
        ["nobody/nothing: The price catalogue does not know this provider."],
    )


def test_api_for_a_projects_key(acme: Any, project: Project) -> None:
    raw = raw_key(99)
    ApiKeyFactory(project=project, raw=raw, scopes=["read"])
    client = Client(headers={"Authorization": f"Bearer {raw}"})
    url = "/api/v1/projects/checkout/estimates"
    assert client.post(url, BODY, content_type="application/json").status_code == 200
    at_organization = client.post(
        "/api/v1/organizations/acme/estimates", BODY, content_type="application/json"
    )
    assert (at_organization.status_code, at_organization.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tasks": 0}, "tasks"),
        ({"parts": []}, "parts"),
        ({"taks": 1}, "taks"),
        ({"growth_percent": "NaN"}, "growth_percent"),
        ({"parts": BODY["parts"] * 9}, "parts"),
    ],
)
def test_api_names_the_field_that_is_wrong(
    acme: Any, client_of: Any, change: dict[str, Any], field: str
) -> None:
    answer = client_of(acme.viewer).post(
        "/api/v1/organizations/acme/estimates", {**BODY, **change}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert field in str(answer.json()["fields"])


def test_others_see_nothing(acme: Any, globex: Any, client_of: Any) -> None:
    assert client_of(globex.owner).get(f"{PAGE}?{PLAN}").status_code == 404
    answer = client_of(globex.owner).post(
        "/api/v1/organizations/acme/estimates", BODY, content_type="application/json"
    )
    assert answer.status_code == 404
    assert Client().get(PAGE).status_code == 302
