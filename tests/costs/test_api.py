"""Costs for programs: exact decimal strings, clear refusals, pages, prices, the raw ledger, walls between tenants."""

import datetime as dt
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import Role
from costs.api import CostListView
from costs.models import PriceStatus
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.costs import HOUR, CostRecordFactory, ProjectUsageFactory, add_hour
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

pytestmark = pytest.mark.django_db
COSTS = "/api/v1/projects/copilot/costs"
RECORDS = f"{COSTS}/records"
MODELS = "/api/v1/projects/copilot/models"
DAYS = "start_date=2026-11-19&end_date=2026-11-20"


@pytest.fixture
def project() -> Project:
    found = ProjectFactory.create(slug="copilot")
    ProjectUsageFactory.create(project=found)
    return found


@pytest.fixture
def reader(project: Project) -> Client:
    """A program with a key that may read."""
    raw = raw_key(4242)
    ApiKeyFactory.create(project=project, raw=raw, scopes=["read"])
    return Client(headers={"Authorization": f"Bearer {raw}"})


def test_an_unknown_spend_is_null_and_never_zero(reader: Client, project: Project) -> None:
    add_hour(project.pk, HOUR, provider="acme", calls=3, unpriced_calls=2, cost_usd=Decimal(0))
    body = reader.get(f"{COSTS}?{DAYS}&group_by=provider").json()
    assert [(row["group"], row["cost_usd"]) for row in body["results"]] == [("acme", None)]
    assert (body["total"]["cost_usd"], body["total"]["unpriced_calls"]) == (None, 2)


def test_daily_spend_by_provider_is_exact(reader: Client, project: Project) -> None:
    add_hour(
        project.pk,
        HOUR,
        calls=3,
        unpriced_calls=1,
        cost_usd=Decimal("0.100000000001"),
        input_tokens=5,
    )
    add_hour(project.pk, HOUR + dt.timedelta(hours=1), calls=1, errors=1, cost_usd=Decimal("0.2"))
    add_hour(project.pk, HOUR - dt.timedelta(days=1), provider="anthropic", cost_usd=Decimal("7"))
    add_hour(project.pk, HOUR + dt.timedelta(days=1), cost_usd=Decimal("1000"))
    body = reader.get(f"{COSTS}?{DAYS}&group_by=provider").json()
    assert body["currency"] == "USD"
    assert body["granularity"] == "daily"
    assert body["range"] == {"start": "2026-11-19T00:00:00Z", "end": "2026-11-21T00:00:00Z"}
    assert (body["total"]["cost_usd"], body["total"]["calls"], body["total"]["unpriced_calls"]) == (
        "7.300000000001",
        5,
        1,
    )
    assert [
        (
            row["start"],
            row["end"],
            row["group"],
            row["calls"],
            row["errors"],
            row["unpriced_calls"],
            row["cost_usd"],
        )
        for row in body["results"]
    ] == [
        ("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", "anthropic", 1, 0, 0, "7"),
        ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "openai", 4, 1, 1, "0.300000000001"),
    ]
    assert body["next"] is None


def test_total_without_group_and_partial_hours(reader: Client, project: Project) -> None:
    add_hour(project.pk, HOUR, cost_usd=Decimal("1.10"))
    query = "start_date=2026-11-20T10:20:00&end_date=2026-11-20T12:40:00%2B02:00&granularity=total"
    body = reader.get(f"{COSTS}?{query}").json()
    assert body["range"] == {"start": "2026-11-20T10:00:00Z", "end": "2026-11-20T11:00:00Z"}
    assert [(row["group"], row["cost_usd"]) for row in body["results"]] == [(None, "1.1")]


def test_groups_and_filters_of_an_extra_dimension(reader: Client, project: Project) -> None:
    add_hour(project.pk, calls=5, cost_usd=Decimal(5))
    add_hour(project.pk, dimension="user", value="ada", calls=2, cost_usd=Decimal(2))
    add_hour(project.pk, dimension="user", value="bob", calls=3, cost_usd=Decimal(3))
    body = reader.get(f"{COSTS}?{DAYS}&group_by=user&granularity=total").json()
    assert [(row["group"], row["calls"]) for row in body["results"]] == [("bob", 3), ("ada", 2)]
    assert body["total"]["calls"] == 5
    one = reader.get(f"{COSTS}?{DAYS}&user=ada&group_by=model&granularity=total").json()
    assert (one["total"]["calls"], [row["calls"] for row in one["results"]]) == (2, [2])


@pytest.mark.parametrize("granularity", ["hourly", "total"])
def test_pages_hold_every_line_once(reader: Client, project: Project, granularity: str) -> None:
    for number in range(7):
        add_hour(
            project.pk,
            HOUR + dt.timedelta(hours=number % 2),
            model=f"m{number}",
            cost_usd=Decimal(number % 3),
        )
    address, seen = f"{COSTS}?{DAYS}&group_by=model&granularity={granularity}&limit=3", []
    while address:
        body = reader.get(address).json()
        assert len(body["results"]) <= 3
        seen += [row["group"] for row in body["results"]]
        address = body["next"]
    assert sorted(seen) == [f"m{number}" for number in range(7)]


def test_the_whole_range_without_a_group_is_one_line(reader: Client, project: Project) -> None:
    for number in range(3):
        add_hour(project.pk, HOUR, model=f"m{number}", calls=2, cost_usd=Decimal("0.5"))
    body = reader.get(f"{COSTS}?{DAYS}&granularity=total&limit=1").json()
    assert [(row["group"], row["calls"], row["cost_usd"]) for row in body["results"]] == [
        (None, 6, "1.5")
    ]
    assert body["next"] is None


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("start_date=2026-13-01", "start_date", "start_date is '2026-13-01'; it must be a date"),
        ("end_date=soon", "end_date", "end_date is 'soon'"),
        ("start_date=2026-11-20&end_date=2026-11-19T00:00Z", "end_date", "must be after the start"),
        ("start_date=2025-01-01&end_date=2026-11-01", "end_date", "at most 400 days"),
        (
            "start_date=2026-09-01&end_date=2026-11-01&granularity=hourly",
            "granularity",
            "at most 31 days",
        ),
        ("granularity=weekly", "granularity", "must be one of hourly, daily, total"),
        ("group_by=colour", "group_by", "must be one of provider, model"),
        ("group_by=tag&user=a", "group_by", "cannot be combined"),
        ("limit=0", "limit", "from 1 to 2000"),
        ("limit=99999999999999999999", "limit", "from 1 to 2000"),
        ("cursor=nonsense", "cursor", "not one this server gave out"),
        ("cursor=WyJOYU4iLCAiIl0&granularity=total", "cursor", "not one this server gave out"),
        ("modle=gpt-4o", "modle", "no such parameter"),
        ("model=%00", "model", "no NUL"),
    ],
)
def test_bad_question_is_a_400_naming_the_field(
    reader: Client, query: str, field: str, words: str
) -> None:
    response = reader.get(f"{COSTS}?{query}")
    assert response.status_code == 400
    body = response.json()
    assert field in body["fields"]
    assert words in body["detail"]
    assert body["code"]


def test_a_recorded_call_is_in_the_next_answer(reader: Client, project: Project) -> None:
    add_hour(project.pk, cost_usd=Decimal(1))
    address = f"{COSTS}?{DAYS}&granularity=total"
    assert reader.get(address).json()["total"]["cost_usd"] == "1"
    add_hour(project.pk, agent="new", cost_usd=Decimal(1))
    project.usage.version += 1
    project.usage.save()
    assert reader.get(address).json()["total"]["cost_usd"] == "2"


def test_models_come_with_price_and_source(reader: Client, project: Project) -> None:
    add_hour(project.pk, HOUR, calls=2, cost_usd=Decimal("0.5"))
    add_hour(project.pk, HOUR + dt.timedelta(hours=3), calls=1, cost_usd=Decimal("0.25"))
    add_hour(
        project.pk, HOUR, provider="vllm", model="llama", calls=4, unpriced_calls=4, cost_usd=0
    )
    body = reader.get(f"{MODELS}?{DAYS}").json()
    gpt, llama = body["results"]
    assert (gpt["provider"], gpt["model"], gpt["calls"], gpt["cost_usd"]) == (
        "openai",
        "gpt-4o",
        3,
        "0.75",
    )
    assert (gpt["first_seen_at"], gpt["last_seen_at"]) == (
        "2026-11-20T10:00:00Z",
        "2026-11-20T13:00:00Z",
    )
    assert gpt["price"]["status"] == "priced"
    assert gpt["price"]["matched_model"] == "openai/gpt-4o"
    assert gpt["price"]["source"].startswith("genai-prices ")
    prices = {one["token_class"]: (one["price_usd"], one["per"]) for one in gpt["price"]["classes"]}
    assert prices["input"] == ("2.5", 1_000_000)
    assert prices["output"] == ("10", 1_000_000)
    assert (llama["unpriced_calls"], llama["price"]["status"], llama["price"]["classes"]) == (
        4,
        "unpriced",
        [],
    )
    assert llama["price"]["reason"] == "A self-hosted server has no list price."


def test_ledger_pages_newest_first(reader: Client, project: Project) -> None:
    made = [
        CostRecordFactory.create(
            project=project,
            record_id=f"r{number}",
            occurred_at=HOUR + dt.timedelta(minutes=number // 2),
        )
        for number in range(5)
    ]
    CostRecordFactory.create(project=ProjectFactory.create(), record_id="foreign")
    address, seen = f"{RECORDS}?{DAYS}&limit=2", []
    while address:
        body = reader.get(address).json()
        seen += [row["record_id"] for row in body["results"]]
        address = body["next"]
    # Of the same moment by id, which is random within a millisecond.
    made.sort(key=lambda record: (record.occurred_at, record.id), reverse=True)
    assert seen == [record.record_id for record in made]


def test_ledger_row_never_turns_unknown_into_zero(reader: Client, project: Project) -> None:
    CostRecordFactory.create(
        project=project, trace_id="t1", price_status=PriceStatus.UNPRICED, cost_usd=None
    )
    CostRecordFactory.create(
        project=project, trace_id="t2", cost_usd=Decimal("0.000000000001"), tags=["gold"]
    )
    rows = reader.get(f"{RECORDS}?{DAYS}&price_status=unpriced").json()["results"]
    assert [(row["trace_id"], row["cost_usd"]) for row in rows] == [("t1", None)]
    rows = reader.get(f"{RECORDS}?{DAYS}&tag=gold&trace_id=t2").json()["results"]
    assert [(row["cost_usd"], row["tags"]) for row in rows] == [("0.000000000001", ["gold"])]
    assert "project" not in rows[0]


@pytest.mark.parametrize("address", [COSTS, RECORDS, MODELS])
def test_who_may_read(address: str, project: Project) -> None:
    assert Client().get(address).status_code == 401
    viewer = Client()
    viewer.force_login(
        MembershipFactory.create(organization=project.organization, role=Role.VIEWER).user
    )
    assert viewer.get(address).status_code == 200
    stranger = Client()
    stranger.force_login(MembershipFactory.create().user)
    assert stranger.get(address).status_code == 404
    assert stranger.get(address.replace("copilot", "unknown")).status_code == 404
    ApiKeyFactory.create(project=project, raw=raw_key(77), scopes=["ingest"])
    writer = Client(headers={"Authorization": f"Bearer {raw_key(77)}"})
    assert (writer.get(address).status_code, writer.get(address).json()["code"]) == (
        403,
        "missing_scope",
    )
    ApiKeyFactory.create(raw=raw_key(78), scopes=["read"])
    other = Client(headers={"Authorization": f"Bearer {raw_key(78)}"})
    assert other.get(address).status_code == 404


def test_query_budget(reader: Client, project: Project, django_assert_max_num_queries) -> None:
    reader.get(COSTS)  # notes the key's use
    add_hour(project.pk)
    project.usage.version += 1
    project.usage.save()
    with django_assert_max_num_queries(5):
        assert reader.get(f"{COSTS}?{DAYS}&group_by=model").status_code == 200


def test_openapi_describes_the_endpoints_without_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    from costs import api_urls

    GENERATOR_STATS.reset()
    schema = SchemaGenerator(patterns=api_urls.urlpatterns).get_schema(request=None, public=True)
    # The rooms of costs (budgets, billing, …) have more; the whole document is checked in tests/projects.
    assert set(schema["paths"]) >= {
        "/projects/{project}/costs",
        "/projects/{project}/costs/records",
        "/projects/{project}/costs/series",
        "/projects/{project}/costs/breakdown",
        "/projects/{project}/costs/percentiles",
        "/projects/{project}/models",
        "/projects/{project}/prices",
        "/organizations/{organization}/prices",
        "/organizations/{organization}/prices/{number}",
        "/organizations/{organization}/prices/previews",
        "/organizations/{organization}/prices/previews/{job}",
        "/organizations/{organization}/prices/previews/{job}/application",
    }
    assert (
        CostListView.get.__doc__.split(".")[0]
        in schema["paths"]["/projects/{project}/costs"]["get"]["description"]
    )
    printed = capsys.readouterr().err
    assert "Warning" not in printed
    assert "Error" not in printed
