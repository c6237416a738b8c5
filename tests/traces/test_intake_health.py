"""Ingestion health: the tallies as page, CSV and API; sent = stored + updated + duplicate + rejected."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.ranges import parse_range
from projects.models import Project
from tests.traces.langfuse_events import created, ended, send
from tests.traces.uploads import call_span, key_for, login_as, otlp, send_otlp
from traces.ingest import tally
from traces.selectors.intake import ingestion_health

pytestmark = pytest.mark.django_db


def fill(client: Client, project: Project, key: str) -> None:
    """8 sent: 5 stored, 1 updated, 1 seen before, 1 rejected; and one request refused whole."""
    send_otlp(
        client, key, otlp(call_span(1), call_span(2), call_span(2), call_span(3, trace_id=b"x"))
    )
    send(client, key, created(), ended(), created("g2"), created("g3"))
    send_otlp(client, key, b"garbage")


def test_the_api_says_what_became_of_everything(client: Client, project: Project, key: str) -> None:
    fill(client, project, key)
    reader = key_for(project, scopes=["read"])[1]
    answer = client.get(
        f"/api/v1/projects/{project.slug}/ingestion?range=1h", headers={"Authorization": f"Bearer {reader}"}
    ).json()  # fmt: skip
    totals = {"sent": 8, "stored": 5, "updated": 1, "duplicate": 1, "rejected": 1}
    assert answer["totals"] == totals
    assert {name: sum(one[name] for one in answer["series"]) for name in totals} == totals
    assert {(one["door"], one["dialect"]): one["sent"] for one in answer["sources"]} == {
        ("langfuse", "langfuse"): 4, ("otlp", "gen_ai"): 3, ("otlp", ""): 1,
    }  # fmt: skip
    assert [(one["reason"], one["items"], one["requests"]) for one in answer["refusals"]] == [
        ("invalid_trace_id", 1, 1), ("invalid_body", 0, 1),
    ]  # fmt: skip
    assert answer["last_received_at"] is not None
    only = client.get(
        f"/api/v1/projects/{project.slug}/ingestion?door=otlp", headers={"Authorization": f"Bearer {reader}"}
    ).json()  # fmt: skip
    assert only["totals"]["sent"] == 4


@pytest.mark.parametrize("query", ["range=x", "door=x", "what=1"])
def test_the_api_names_what_is_wrong(
    client: Client, project: Project, key: str, query: str
) -> None:
    reader = key_for(project, scopes=["read"])[1]
    response = client.get(
        f"/api/v1/projects/{project.slug}/ingestion?{query}", headers={"Authorization": f"Bearer {reader}"}
    )  # fmt: skip
    assert response.status_code == 400
    assert response.json()["fields"] == [query.partition("=")[0]]


def test_minutes_that_became_hours_count_once(client: Client, project: Project) -> None:
    now = timezone.now()
    with connection.cursor() as cursor:
        for minutes in (0, 7, 59):
            moment = (now - dt.timedelta(days=4)).replace(minute=minutes)
            counts = tally.Counts({("gen_ai", "stored", ""): 3})
            tally.write(cursor, project_id=project.pk, door="otlp", counts=counts, now=moment)
    for _ in range(2):
        health = ingestion_health(project, parse_range("7d", now=now), now=now)
        assert (health.sent, sum(health.series("stored"))) == (9, 9)
        assert len(health.starts) <= 90
        tally.compact(project_id=project.pk, now=now)


def test_the_page_shows_the_equation_and_what_to_do(
    client: Client, project: Project, key: str
) -> None:
    fill(client, project, key)
    login_as(client, project)
    page = client.get(f"/projects/{project.slug}/ingestion/").content.decode()
    text = " ".join(page.split())
    assert 'Sent <b class="t2">8</b> = 5 stored + 1 updated + 1 seen before + 1 rejected' in text
    assert "A trace id has 16 bytes" in text
    rows = list(
        csv.reader(
            io.StringIO(b"".join(client.get(f"/projects/{project.slug}/ingestion.csv")).decode())
        )
    )
    assert rows[0] == ["start", "door", "dialect", "outcome", "reason", "items", "requests"]
    assert sum(int(row[5]) for row in rows[1:]) == 8
    for query in (
        "range=nonsense",
        "door=nonsense",
        "start=x&end=y",
        "range=2026-01-01..2025-01-01",
    ):
        assert client.get(f"/projects/{project.slug}/ingestion/?{query}").status_code == 200


def test_an_empty_project_is_told_what_to_do(client: Client, project: Project) -> None:
    login_as(client, project)
    page = client.get(f"/projects/{project.slug}/ingestion/").content.decode()
    assert "Nothing was sent yet" in page
    assert f"/projects/{project.slug}/setup/" in page


def test_queries(
    client: Client, project: Project, key: str, django_assert_max_num_queries: Any
) -> None:
    fill(client, project, key)
    login_as(client, project)
    client.get(f"/projects/{project.slug}/ingestion/")
    with django_assert_max_num_queries(9):
        client.get(f"/projects/{project.slug}/ingestion/")
