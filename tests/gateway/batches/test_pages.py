"""The list of batches: what it shows and hides, its order and pages, CSV, API, and cancelling."""

import csv
import datetime as dt
import io
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditEvent
from core.ids import uuid7
from gateway.batches import looking, owned
from gateway.models import Batch
from projects.models import Project
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/batches/"
API = "/api/v1/projects/checkout/gateway/batches"


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory.create(organization=acme.organization, slug="checkout")
    return made


@pytest.fixture
def viewer(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.viewer)
    return client


def made(project: Project, ago_s: float = 60, **values: Any) -> Batch:
    given = {
        "id": uuid7(), "created_at": timezone.now() - dt.timedelta(seconds=ago_s), "state": "open",
        "wire": "openai", "provider_id": f"batch_{uuid7().hex}", "connection_id": uuid7(), "total": 3,
        "dialect": "openai.chat", "provider": "openai", "model_names": ["gpt-4o-mini"], "most_usd": Decimal("0.5"),
    }  # fmt: skip
    return Batch.objects.create(project=project, **(given | values))


def test_an_empty_list_says_what_to_do(viewer: Client, project: Project) -> None:
    page = viewer.get(ROOT).content
    assert b"No batches yet" in page
    assert b'aria-current="page">Batches</a>' in page


def test_filters_keep_what_they_name(viewer: Client, project: Project) -> None:
    plain = made(project, 5)
    done = made(
        project, 4, state="recorded", wire="anthropic", model_names=["claude-opus-4-6"],
        succeeded=2, failed=1, cost_usd=Decimal("0.0125"), recorded_at=timezone.now(),
    )  # fmt: skip
    made(ProjectFactory.create(organization=project.organization))
    for query, rows in (
        ({}, [done, plain]),
        ({"sort": "at"}, [plain, done]),
        ({"state": "recorded"}, [done]),
        ({"wire": "openai"}, [plain]),
        ({"q": "claude-opus-4-6"}, [done]),
        ({"q": plain.provider_id[:20].upper(), "wire": "openai"}, [plain]),
    ):
        page = viewer.get(ROOT, query)
        assert [row["batch"].id for row in page.context["rows"]] == [one.id for one in rows], query
        results = viewer.get(API, query).json()["results"]
        assert [row["id"] for row in results] == [str(one.id) for one in rows], query
    assert b"$0.0125" in viewer.get(ROOT).content
    lines = b"".join(viewer.get(f"{ROOT}export.csv").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert [row["provider_id"] for row in rows] == [done.provider_id, plain.provider_id]
    assert rows[0]["cost_usd"].rstrip("0") == "0.0125"
    assert viewer.get(f"{API}/{done.id}").json()["failed"] == 1
    for query in ({"state": "x"}, {"wire": "x"}, {"sort": "x"}, {"q": "\x00"}, {"after": "x"}):
        assert viewer.get(ROOT, query).status_code == 400, query
        assert viewer.get(API, query).status_code == 400, query


def test_pages_follow_each_other_and_cost_the_same(
    viewer: Client, project: Project, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [made(project, 100 - number) for number in range(5)][::-1]
    seen, url = [], f"{API}?limit=2"
    while url:
        answer = viewer.get(url).json()
        seen += [row["id"] for row in answer["results"]]
        url = answer["next"]
    assert seen == [str(row.id) for row in rows]
    viewer.get(ROOT)
    with django_assert_max_num_queries(9):
        viewer.get(ROOT)


def test_members_cancel_what_is_under_way(
    viewer: Client, project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    row = made(project, poll_at=timezone.now() + dt.timedelta(minutes=5))
    path = f"{ROOT}{row.id}/cancel/"
    assert b"/cancel/" not in viewer.get(ROOT).content
    assert viewer.post(path).status_code == 403
    member = client_of(acme.member)
    assert path.encode() in member.get(ROOT).content
    assert member.post(path).status_code == 302
    row.refresh_from_db()
    assert row.state == "cancelling"
    assert row.poll_at is not None
    assert row.poll_at <= timezone.now()
    assert AuditEvent.objects.filter(action="gateway.batch.cancelled").count() == 1
    member.post(path)
    assert AuditEvent.objects.filter(action="gateway.batch.cancelled").count() == 1
    other = made(ProjectFactory.create())
    assert member.post(f"{ROOT}{other.id}/cancel/").status_code == 404


def test_an_older_answer_undoes_nothing(project: Project) -> None:
    """A worker and a client ask at once, and somebody cancels: whose answer comes last must not matter."""
    now = timezone.now()
    going, done = ({"status": one, "output_file_id": one} for one in ("in_progress", "completed"))
    row, late = made(project), Batch.objects.get()
    Batch.objects.update(state="cancelling")
    assert owned.note(late, going, now=now).state == "cancelling"
    owned.note(row, done, now=now)
    early = owned.note(late, going, now=now)
    assert (early.state, early.document) == ("ended", done)
    assert Batch.objects.get().document == done
    Batch.objects.update(state="recorded", poll_at=None)
    looking._later(row, "It broke off.", now)
    looking._lose(row, "It is not there.", now)
    found = Batch.objects.get()
    assert (found.state, found.poll_at, found.error) == ("recorded", None, "")
