"""What the command palette finds: by id, by name, sessions, users, models, in this project only."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.spans import context_for, llm, span
from traces.ingest.write import write_spans
from traces.models import SessionRow, UserRow
from traces.selectors.palette import palette_groups

pytestmark = pytest.mark.django_db


def fill(project: Project, mark: str) -> None:
    now = timezone.now()
    at = now - dt.timedelta(minutes=5)
    spans = [
        span("root", trace_id=f"{mark}0001", name=f"Refund {mark}", started_at=at),
        llm("call", trace_id=f"{mark}0001", parent_span_id="root", started_at=at),
        span("root", trace_id=f"{mark}0002", name="Other", started_at=at),
    ]
    write_spans(context_for(project), spans, now=now)
    common = {"project": project, "first_at": at, "last_at": at, "computed_at": now}
    SessionRow.objects.create(session_id=f"chat/{mark}?", **common)
    UserRow.objects.create(user_id=f"mina@{mark}.example", **common)


@pytest.fixture
def project(acme: SimpleNamespace, globex: SimpleNamespace) -> Project:
    mine = ProjectFactory(organization=acme.organization, slug="checkout")
    mine.ref = mine.slug
    fill(mine, "abc")
    fill(ProjectFactory(organization=globex.organization), "abc")
    return mine


def found(project: Project, text: str) -> dict[str, list[str]]:
    groups = palette_groups(project, text, now=timezone.now())
    return {group.heading: [row.label for row in group.rows] for group in groups}


def test_each_kind_is_found_by_a_part_of_its_name(project: Project) -> None:
    assert found(project, "refund") == {"Traces": ["Refund abc"]}
    assert found(project, "abc0002") == {"Traces": ["Other"]}
    assert found(project, "abc") == {
        "Traces": ["Refund abc", "Other"],
        "Sessions": ["chat/abc?"],
        "Users": ["mina@abc.example"],
    }
    assert found(project, "GPT-5") == {"Models": ["gpt-5-mini"]}


@pytest.mark.parametrize("text", ["", "  ", "\x00", "nothing here", "%", "_", "\U0010ffff"])
def test_nothing_is_found_for_nothing(project: Project, text: str) -> None:
    assert found(project, text) == {}


def test_links_lead_to_the_trace_and_to_filtered_lists(project: Project) -> None:
    groups = palette_groups(project, "abc", now=timezone.now())
    hrefs = {group.heading: group.rows[0].href for group in groups}
    assert hrefs == {
        "Traces": "/projects/checkout/traces/abc0001/",
        "Sessions": "/projects/checkout/traces/?range=30d&session=chat%2Fabc%3F",
        "Users": "/projects/checkout/traces/?range=30d&user=mina%40abc.example",
    }


def test_the_panel_answers_a_member_and_nobody_else(
    project: Project,
    acme: SimpleNamespace,
    globex: SimpleNamespace,
    client_of: Any,
    django_assert_max_num_queries: Any,
) -> None:
    client = client_of(acme.viewer)
    with django_assert_max_num_queries(11):
        page = client.get("/projects/checkout/palette/?q=abc").content.decode()
    assert "Refund abc" in page
    assert "mina@abc.example" in page
    empty = client.get("/projects/checkout/palette/?q=zzz").content.decode()
    assert "matches “zzz”" in empty
    assert client_of(globex.owner).get("/projects/checkout/palette/?q=abc").status_code == 404
