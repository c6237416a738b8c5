"""From stored calls to the page: a day is looked through once it changed, and others see nothing."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core import outbox
from projects.models import Project
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans
from traces.models import WasteDay, WasteFinding
from traces.waste import sweep
from traces.waste.scan import pending_days, scan_project

pytestmark = pytest.mark.django_db
PAGE = "/projects/checkout/waste/"
COST = Decimal("0.00045")
ASKED = [{"role": "user", "content": [{"type": "text", "text": "How late are you open?"}]}]


@pytest.fixture
def project(acme: Any) -> Project:
    """One day: a duplicate prompt, a paid failure and an answer cut off."""
    project = ProjectFactory(organization=acme.organization, slug="checkout")
    at = timezone.now().replace(hour=0, minute=0, second=5, microsecond=0)
    spans = [
        llm("a", trace_id="t1", started_at=at, input=ASKED),
        llm("b", trace_id="t2", started_at=at + dt.timedelta(seconds=1), input=ASKED),
        llm("c", trace_id="t3", started_at=at, status="error", error_type="timeout"),
        llm("d", trace_id="t4", started_at=at, finish_reason="length"),
    ]
    write_spans(context_for(project), spans, now=timezone.now())
    return project


def _scan(project: Project) -> int:
    return scan_project(project, now=timezone.now, for_s=10)


def test_day_is_looked_through_once_until_it_changes(project: Project) -> None:
    assert _scan(project) == 1
    assert sorted(
        WasteFinding.objects.filter(project=project).values_list("kind", "calls", "wasted_usd")
    ) == [("duplicate", 1, COST), ("paid_failure", 1, COST), ("truncated", 1, COST)]
    day = WasteDay.objects.get(project=project)
    assert (day.calls, day.cost_usd, day.unread_calls) == (4, 4 * COST, 2)
    assert _scan(project) == 0
    at = timezone.now().replace(hour=0, minute=0, second=9, microsecond=0)
    more = [llm("e", trace_id="t5", started_at=at, finish_reason="length")]
    write_spans(context_for(project), more, now=timezone.now())
    # Today grows all day: it is looked through again an hour later, or when somebody asks.
    assert pending_days(project.pk, now=timezone.now()) == []
    assert len(pending_days(project.pk, now=timezone.now() + dt.timedelta(hours=1))) == 1
    assert scan_project(project, now=timezone.now, for_s=10, is_asked=True) == 1
    assert WasteFinding.objects.get(project=project, kind="truncated").calls == 2


def test_clock_looks_at_every_project(project: Project) -> None:
    assert sweep.scan_projects(now=timezone.now, for_s=10) == 1


def test_page_shows_kinds_reasons_and_calls(
    acme: Any, client_of: Any, project: Project, django_assert_max_num_queries: Any
) -> None:
    client = client_of(acme.viewer)
    assert "The days are being looked through" in client.get(PAGE).content.decode()
    _scan(project)
    with django_assert_max_num_queries(14):
        page = client.get(PAGE).content.decode()
    assert 'title="$0.00135"' in page  # three calls
    assert page.count("data-row-link") == 3
    assert client.get(f"{PAGE}?kind=truncated").content.decode().count("data-row-link") == 1
    assert "Nothing of the kind" in client.get(f"{PAGE}?q=nothing").content.decode()
    one = WasteFinding.objects.get(project=project, kind="duplicate")
    detail = client.get(f"{PAGE}duplicate/{one.fingerprint}/").content.decode()
    assert "/projects/checkout/traces/t2/?step=b" in detail
    assert client.get(f"{PAGE}duplicate/none/").status_code == 404


@pytest.mark.parametrize("query", ["kind=moon", "sort=up", "after=x", "q=%00", "range=moon"])
def test_bad_questions_are_refused(acme: Any, client_of: Any, project: Project, query: str) -> None:
    assert client_of(acme.viewer).get(f"{PAGE}?{query}").status_code == 400


def test_export_and_pages_go_through_all_reasons(
    acme: Any, client_of: Any, project: Project
) -> None:
    _scan(project)
    client = client_of(acme.viewer)
    rows = list(
        csv.DictReader(io.StringIO(client.get("/projects/checkout/waste.csv").getvalue().decode()))
    )
    assert sum(Decimal(row["wasted_usd"]) for row in rows) == 3 * COST
    seen, after = [], ""
    while True:
        body = client.get(
            "/api/v1/projects/checkout/waste", {"limit": 1, **({"after": after} if after else {})}
        ).json()
        seen += [one["kind"] for one in body["results"]]
        if body["next"] is None:
            break
        after = body["next"]
    assert sorted(seen) == ["duplicate", "paid_failure", "truncated"]
    assert (body["calls"], body["unread_calls"], body["days_pending"]) == (4, 2, 0)


def test_asking_looks_at_once(acme: Any, client_of: Any, project: Project) -> None:
    assert client_of(acme.viewer).post(f"{PAGE}scan/").status_code == 403
    assert not WasteDay.objects.filter(project=project).exists()
    assert client_of(acme.member).post(f"{PAGE}scan/").status_code == 302
    outbox.drain(now=timezone.now)
    assert WasteDay.objects.get(project=project).calls == 4


def test_others_see_nothing(acme: Any, globex: Any, client_of: Any, project: Project) -> None:
    _scan(project)
    stranger = client_of(globex.owner)
    for path in (PAGE, "/projects/checkout/waste.csv", "/api/v1/projects/checkout/waste"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"{PAGE}scan/").status_code == 404
    assert Client().get(PAGE).status_code == 302
    raw = raw_key(7)
    ApiKeyFactory(project=project, raw=raw, scopes=["ingest"])
    key = Client(headers={"Authorization": f"Bearer {raw}"})
    assert key.get("/api/v1/projects/checkout/waste").status_code == 403
