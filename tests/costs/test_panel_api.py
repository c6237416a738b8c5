"""Series, breakdowns and percentiles for programs: exact, bounded, refused clearly, walled."""

import datetime as dt
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import Role
from costs.histogram import histogram_of
from costs.models import CostAggregate
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.costs import HOUR, ProjectUsageFactory, add_hour
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

pytestmark = pytest.mark.django_db
COSTS = "/api/v1/projects/copilot/costs"
DAYS = "start_date=2026-11-19&end_date=2026-11-20"
PATHS = ("series", "breakdown", "percentiles")


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


def test_series_by_group_with_other_and_the_period_before(
    reader: Client, project: Project, django_assert_max_num_queries
) -> None:
    day = dt.timedelta(days=1)
    for number in range(4):
        add_hour(project.pk, HOUR, model=f"m{number}", cost_usd=Decimal(number + 1))
    add_hour(project.pk, HOUR - day, model="m3", calls=2, unpriced_calls=2, cost_usd=0)
    add_hour(project.pk, HOUR - 2 * day, cost_usd=Decimal("0.5"))
    with django_assert_max_num_queries(8):
        body = reader.get(
            f"{COSTS}/series?{DAYS}&bin=day&group_by=model&top=2&compare=previous"
        ).json()
    assert [one["start"] for one in body["bins"]] == [
        "2026-11-19T00:00:00Z",
        "2026-11-20T00:00:00Z",
    ]
    assert body["group_count"] == 4
    assert [(one["group"], one["is_other"], one["values"]) for one in body["results"]] == [
        ("m3", False, [None, "4"]),
        ("m2", False, ["0", "3"]),
        (None, True, ["0", "3"]),
    ]
    assert body["previous"]["values"] == ["0", "0.5"]
    assert body["previous"]["range"]["start"] == "2026-11-17T00:00:00Z"


def test_series_of_a_count_and_a_share(reader: Client, project: Project) -> None:
    add_hour(project.pk, HOUR, calls=8, errors=2, input_tokens=100, cache_read_input_tokens=25)
    calls = reader.get(f"{COSTS}/series?{DAYS}&measure=calls&bin=hour").json()
    assert calls["bin"] == "hour"
    assert calls["results"][0]["group"] is None
    assert (len(calls["bins"]), sum(calls["results"][0]["values"])) == (48, 8)
    shares = reader.get(f"{COSTS}/series?{DAYS}&measure=cache_share&bin=day").json()
    assert shares["results"][0]["values"] == [None, "0.25"]
    assert calls["previous"] is None


def test_breakdown_is_ranked_and_bounded(reader: Client, project: Project) -> None:
    for number in range(5):
        add_hour(
            project.pk, dimension="user", value=f"u{number}", calls=10 - number, cost_usd=Decimal(number)
        )  # fmt: skip
    add_hour(project.pk, HOUR - dt.timedelta(days=2), dimension="user", value="u1", cost_usd=9)
    body = reader.get(
        f"{COSTS}/breakdown?{DAYS}&group_by=user&limit=2&order=calls&compare=previous"
    ).json()
    assert body["group_count"] == 5
    assert [(one["group"], one["calls"], one["cost_usd"]) for one in body["results"]] == [
        ("u0", 10, "0"),
        ("u1", 9, "1"),
    ]
    assert body["results"][1]["previous"]["cost_usd"] == "9"
    assert body["results"][0]["p95_ms"] is None


def test_percentiles_per_day_and_in_all(reader: Client, project: Project) -> None:
    add_hour(
        project.pk, HOUR, latency_calls=3, latency_counts=histogram_of([100, 100, 1000]),
        first_token_calls=1, first_token_counts=histogram_of([50]),
    )  # fmt: skip
    body = reader.get(f"{COSTS}/percentiles?{DAYS}&bin=day").json()
    assert [(one["start"], one["calls"]) for one in body["results"]] == [
        ("2026-11-20T00:00:00Z", 3)
    ]
    assert body["total"]["p50_ms"] == pytest.approx(100, rel=0.1)
    assert body["total"]["p99_ms"] == pytest.approx(1000, rel=0.1)
    first = reader.get(f"{COSTS}/percentiles?{DAYS}&metric=first_token&bin=hour").json()
    assert first["total"]["calls"] == 1
    assert first["results"][0]["start"] == "2026-11-20T10:00:00Z"
    nothing = reader.get(f"{COSTS}/percentiles?{DAYS}&model=other").json()
    assert (nothing["total"]["p50_ms"], nothing["results"]) == (None, [])


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("series", "bin=minute", "bin is 'minute'"),
        ("series", "bin=hour&start_date=2026-01-01&end_date=2026-03-01", "at most 31 days"),
        ("series", "measure=gold", "measure is 'gold'"),
        ("series", "top=0", "top is '0'; it must be a whole number from 1 to 50."),
        ("series", "group_by=user&tag=x", "cannot be combined with the filter tag"),
        ("series", "colour=red", "colour: no such parameter"),
        ("breakdown", "limit=201", "from 1 to 200"),
        ("breakdown", "compare=always", "compare is 'always'"),
        ("percentiles", "user=ada", "user cannot filter percentiles"),
        ("percentiles", "metric=joy", "metric is 'joy'"),
    ],
)
def test_bad_questions_are_refused(reader: Client, path: str, query: str, words: str) -> None:
    answer = reader.get(f"{COSTS}/{path}?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_walls(client: Client, project: Project, path: str) -> None:
    add_hour(project.pk)
    before = CostAggregate.objects.count()
    assert Client().get(f"{COSTS}/{path}").status_code == 401
    client.force_login(MembershipFactory.create().user)
    assert client.get(f"{COSTS}/{path}").status_code == 404
    viewer = Client()
    viewer.force_login(
        MembershipFactory.create(organization=project.organization, role=Role.VIEWER).user
    )
    assert viewer.get(f"{COSTS}/{path}").status_code == 200
    assert viewer.post(f"{COSTS}/{path}").status_code == 405
    assert CostAggregate.objects.count() == before
