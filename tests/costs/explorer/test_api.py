"""The explorer for programs: exact, comparable, refused in words."""

import csv
import datetime as dt
import io
import random
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.test import Client

from costs.explorer.facts import memory
from costs.services.record_costs import forget_partitions, record_costs
from tests.costs.explorer.oracle import START, random_call
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db
RAW = "llmlab_sk_explorer_00000000000000000000000"
RANGE = "2026-11-03..2026-11-04"


@pytest.fixture
def place(acme: SimpleNamespace) -> SimpleNamespace:
    memory.clear()
    forget_partitions()
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    other = ProjectFactory(organization=acme.organization, slug="search")
    foreign = ProjectFactory(slug="foreign")
    chance = random.Random(3)
    for one in (project, other, foreign):
        calls = [random_call(chance, number) for number in range(50)]
        record_costs(project_id=one.pk, calls=calls, now=START + dt.timedelta(days=3))
    ApiKeyFactory(project=project, raw=RAW, scopes=["read"])
    viewer = Client()
    viewer.force_login(acme.viewer.user)
    key = Client(headers={"Authorization": f"Bearer {RAW}"})
    return SimpleNamespace(
        project=project, other=other, viewer=viewer, key=key, slug=acme.organization.slug
    )


def explore(client: Client, path: str, **query: str) -> dict:
    answer = client.get(f"/api/v1/{path}/costs/explore", {"range": RANGE, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def amount(values: dict) -> Decimal:
    return Decimal(values["cost_usd"] or 0)


def test_groups_and_the_rest_add_up_to_the_total(place) -> None:
    found = explore(place.key, "projects/checkout", by="model,user", limit="2", bin="hour")
    rows = found["results"]
    assert any(row["key"] is None for row in rows)
    assert len({tuple(row["key"].values()) for row in rows if row["key"]}) == 2
    assert sum(amount(row["values"]) for row in rows) == amount(found["total"]["values"])
    assert sum(row["values"]["calls"] for row in rows) == found["total"]["values"]["calls"]
    assert sum(amount(row["values"]) for row in found["totals"]) == amount(found["total"]["values"])
    assert rows[0]["start"].endswith("Z") and rows[0]["end"] > rows[0]["start"]  # noqa: PT018


def test_an_organisation_sees_its_projects_together_and_no_other(place) -> None:
    found = explore(place.viewer, f"organizations/{place.slug}", by="project")
    ids = {row["key"]["project"]: row["values"]["calls"] for row in found["results"]}
    assert set(ids) == {str(place.project.pk), str(place.other.pk)}
    own = explore(place.key, "projects/checkout")
    assert ids[str(place.project.pk)] == own["total"]["values"]["calls"]


def test_the_period_before_stands_beside_each_group(place) -> None:
    found = explore(place.key, "projects/checkout", by="agent", compare="previous", limit="1")
    before = explore(place.key, "projects/checkout", by="agent", range="2026-11-01..2026-11-02")
    past = {row["key"]["agent"]: row["values"] for row in before["results"]}
    first, rest = found["results"]
    assert first["previous"] == past[first["key"]["agent"]]
    assert found["total"]["previous"] == before["total"]["values"]
    assert amount(first["previous"]) + amount(rest["previous"]) == amount(
        found["total"]["previous"]
    )


def test_csv_has_the_same_lines_and_runs_nothing(place) -> None:
    call = random_call(random.Random(1), 900, days=1)
    call.occurred_at, call.user_id = START + dt.timedelta(days=1, hours=1), "=SUM(A1)"
    record_costs(project_id=place.project.pk, calls=[call], now=START)
    query = {"range": RANGE, "by": "user", "format": "csv", "compare": "previous"}
    answer = place.key.get("/api/v1/projects/checkout/costs/explore", query)
    assert answer["Content-Type"].startswith("text/csv")
    head, *rows = csv.reader(io.StringIO(answer.content.decode()))
    assert head[:2] == ["user", "cost_usd"]
    assert head[-1] == "previous_total_tokens"
    assert "'=SUM(A1)" in {row[0] for row in rows}
    *groups, total = rows
    assert total[0] == "(total)"
    assert sum(Decimal(row[1] or 0) for row in groups) == Decimal(total[1])


def test_an_answer_is_kept_until_a_call_arrives(place, django_assert_max_num_queries) -> None:
    first = explore(place.key, "projects/checkout", by="feature")
    with django_assert_max_num_queries(4):
        again = explore(place.key, "projects/checkout", by="feature")
    assert again["results"] == first["results"]
    late = random_call(random.Random(1), 901, days=1)
    late.occurred_at = START + dt.timedelta(days=1, hours=1)
    record_costs(project_id=place.project.pk, calls=[late], now=START)
    after = explore(place.key, "projects/checkout", by="feature")
    assert after["total"]["values"]["calls"] == first["total"]["values"]["calls"] + 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "city"}, "by"),
        ({"by": "model,user,agent"}, "by"),
        ({"measures": "joy"}, "measures"),
        ({"sort": "joy"}, "sort"),
        ({"bin": "minute"}, "bin"),
        ({"bin": "hour", "range": "90d"}, "bin"),
        ({"range": "soon"}, "range"),
        ({"limit": "0"}, "limit"),
        ({"compare": "always"}, "compare"),
        ({"format": "xml"}, "format"),
        ({"city": "Bonn"}, "city"),
        ({"user": "\x00"}, "user"),
        ({"measures": ",".join(["calls"] * 90)}, "measures"),
    ],
)
def test_bad_questions_name_the_field(place, query, field) -> None:
    answer = place.key.get("/api/v1/projects/checkout/costs/explore", query)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_others_are_denied(place) -> None:
    stranger, nobody = Client(), Client()
    stranger.force_login(MembershipFactory().user)
    for path in ("projects/checkout", f"organizations/{place.slug}"):
        assert stranger.get(f"/api/v1/{path}/costs/explore").status_code == 404
        assert nobody.get(f"/api/v1/{path}/costs/explore").status_code in (401, 403)
    assert place.key.get(f"/api/v1/organizations/{place.slug}/costs/explore").status_code == 403
    assert place.key.get("/api/v1/projects/foreign/costs/explore").status_code == 404
