"""Operators: a read-only ledger bounded by time, outbox replay, jobs, and the system page."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import outbox, system
from core.ids import uuid7
from core.models import Job, OutboxItem
from costs.models import CostRecord
from tests.factories.accounts import UserFactory
from tests.factories.costs import CostRecordFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
LEDGER = "/admin/costs/costrecord/"
PAGES = [LEDGER, "/admin/core/outboxitem/", "/admin/core/job/", "/admin/system/"]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(UserFactory.create(operator=True))
    return client


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_for_staff_only(client: Client, address: str) -> None:
    assert client.get(address).status_code == 302
    client.force_login(UserFactory.create())
    assert client.get(address).status_code in (302, 403)


@pytest.mark.parametrize("address", PAGES)
def test_operator_sees_each_page(operator: Client, address: str) -> None:
    assert operator.get(address).status_code == 200


def test_ledger_is_found_by_trace_and_shown_read_only(operator: Client) -> None:
    project = ProjectFactory.create()
    now = timezone.now()
    mine = CostRecordFactory.create(
        project=project, occurred_at=now, trace_id="t-1", cost_usd=Decimal("0.0421")
    )
    CostRecordFactory.create(project=project, occurred_at=now, trace_id="t-2", model="other-model")
    page = operator.get(f"{LEDGER}?q=t-1").content.decode()
    assert "t-1" in page
    assert "other-model" not in page
    address = f"{LEDGER}{mine.pk}/change/"
    assert "0.0421" in operator.get(address, {"at": now.isoformat()}).content.decode()
    assert operator.get(f"{LEDGER}add/").status_code == 403
    assert operator.post(address, {"cost_usd": "0"}).status_code == 403
    assert operator.post(f"{address[:-7]}delete/", {"post": "yes"}).status_code in (403, 302, 404)
    assert CostRecord.objects.get(pk=mine.pk).cost_usd == Decimal("0.0421")


def test_ledger_queries_are_bounded_by_time(operator: Client) -> None:
    CostRecordFactory.create(project=ProjectFactory.create(), occurred_at=timezone.now())
    for query in (
        "",
        "?q=t-1",
        "?days=30",
        "?days=x",
        "?price_status__exact=priced",
        "?project=nonsense",
        "?q=%00",
    ):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert operator.get(LEDGER + query).status_code == 200
        ledger = [row["sql"] for row in captured if 'FROM "costs_costrecord"' in row["sql"]]
        assert ledger
        assert all('"occurred_at" >=' in sql for sql in ledger), query


def test_dead_work_is_replayed_and_open_work_left_alone(operator: Client) -> None:
    now = timezone.now()
    dead = OutboxItem.objects.create(
        topic="t", key="dead", available_at=now, attempts=3, dead_at=now, error="boom"
    )
    done = OutboxItem.objects.create(
        topic="t", key="done", available_at=now, attempts=1, done_at=now
    )
    page = operator.get("/admin/core/outboxitem/?state=dead").content.decode()
    assert "boom" in page
    operator.post(
        "/admin/core/outboxitem/",
        {"action": "replay", "_selected_action": [str(dead.pk), str(done.pk)]},
    )
    dead.refresh_from_db()
    done.refresh_from_db()
    assert (dead.dead_at, dead.attempts, dead.error) == (None, 0, "")
    assert (done.attempts, done.done_at) == (1, now)


def test_staff_without_the_right_cannot_replay(client: Client) -> None:
    now = timezone.now()
    dead = OutboxItem.objects.create(
        topic="t", key="dead", available_at=now, attempts=3, dead_at=now
    )
    client.force_login(UserFactory.create(is_staff=True))
    answer = client.post(
        "/admin/core/outboxitem/", {"action": "replay", "_selected_action": [str(dead.pk)]}
    )
    assert answer.status_code == 403
    dead.refresh_from_db()
    assert dead.dead_at == now


def test_job_shows_its_progress(operator: Client) -> None:
    Job.objects.create(
        kind="purge", title="Purge Copilot", organization_id=uuid7(), done=250, total=1000
    )
    assert "250 of 1,000 (25%)" in operator.get("/admin/core/job/").content.decode()


def test_system_page_says_what_waits(operator: Client) -> None:
    now = timezone.now()
    OutboxItem.objects.create(topic="t", key="late", available_at=now - dt.timedelta(minutes=9))
    CostRecordFactory.create(project=ProjectFactory.create(), occurred_at=now)
    found = {section.title: section for section in system.sections(now=now)}
    assert found["Outbox"].rows == [
        ("Open", "1"),
        ("Oldest open, due", "9 min ago"),
        ("Given up", "0"),
    ]
    assert "more than five minutes" in found["Outbox"].warning
    assert ("ingest", "0") in found["Queues"].rows
    assert ("Records written in the last hour", "1") in found["Ledger"].rows
    assert any(row[0] == "costs_costrecord" for row in found["Partitions"].rows)
    assert found["Partitions"].warning == ""
    assert found["Database"].rows[0][0] == "Whole database"
    assert {row[0] for row in found["Versions"].rows} >= {"LLMLab", "PostgreSQL", "Redis", "Django"}
    assert "No worker answered" in found["Workers"].warning or found["Workers"].error
    assert outbox.depth()["open"] == 1


def test_system_page_stands_when_redis_is_away(operator: Client, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    page = operator.get("/admin/system/")
    assert page.status_code == 200
    words = page.content.decode()
    assert "Redis does not answer" in words
    assert "Whole database" in words
