"""Every list, panel and API list that benchmarks.read times: few queries, and no more with more rows."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.history import load
from benchmarks.read import panels_of
from benchmarks.read_pages import OTHERS, PAGES, api_paths
from core import outbox, partitions
from projects.keys import create_api_key
from projects.models import Project
from tests.factories.projects import ProjectFactory
from traces.search import schedule

pytestmark = pytest.mark.django_db

# Of one request, everything included: session, person, projects of the menu, the answer.
MOST = 20
# What more rows may bring: a next page to look for, contents to open.
MORE = 3


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(
        organization=acme.organization, slug="bench", content_capture="plain"
    )
    return made


def add_history(project: Project, *, traces: int, seed: int) -> None:
    """So many traces on each of the last days, read for search as a worker does."""
    days = [timezone.now().date() - dt.timedelta(days=back) for back in (1, 2, 3)]
    partitions.ensure_days(days)
    load(str(project.pk), traces_per_day=traces, seed=seed, days=days)
    schedule.announce(project_id=project.pk, now=timezone.now())
    later = dt.timedelta(minutes=3)
    while outbox.drain(now=lambda: timezone.now() + later):
        pass


def addresses(client: Client) -> dict[str, str]:
    """Every page and panel: its address and the page it is asked from."""
    pages = [f"/projects/bench/{path}" for path in PAGES.values()] + list(OTHERS.values())
    found = dict.fromkeys(pages, "")
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        for panel in panels_of(answer.content.decode(), page):
            if "snapshot=" not in panel:  # "n new": tests/traces/test_list.py
                found.setdefault(panel, page)
    return found


def queries_of(ask: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE costs_projectusage SET version = version + 1")
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
    assert answer.status_code == 200, answer.content[:300]
    return len(captured)


def test_no_list_asks_more_for_more_rows(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    viewer = client_of(acme.viewer)
    _, raw = create_api_key(project=project, name="Read", scopes=["read"], actor=acme.owner.user)

    def counted() -> dict[str, int]:
        found = {}
        for path, page in pages.items():
            headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
            found[path] = queries_of(
                lambda path=path, page=page, headers=headers: viewer.get(
                    path, headers=headers if page else {}
                )
            )
        for path in api_paths().values():
            url = f"/api/v1/projects/bench/{path}"
            found[url] = queries_of(
                lambda url=url: viewer.get(url, headers={"Authorization": f"Bearer {raw}"})
            )
        return found

    add_history(project, traces=2, seed=1)
    pages = addresses(viewer)
    few = counted()
    add_history(project, traces=8, seed=2)
    many = counted()
    assert len(many) > 100
    assert {path: n for path, n in many.items() if n > MOST} == {}
    assert {path: (few[path], n) for path, n in many.items() if n > few[path] + MORE} == {}
