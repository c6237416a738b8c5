"""What the storage panel says a project holds: estimated where statistics know, counted where they do not."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.test_retention import write
from traces import retention, storage

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(
        organization=acme.organization, slug="checkout", content_capture="plain"
    )
    return made


def month() -> dt.datetime:
    return timezone.now() - dt.timedelta(days=30)


def analyzed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE traces_span, traces_spanpayload")


def test_small_days_are_counted_exactly(project: Project) -> None:
    other = ProjectFactory(organization=project.organization)
    for days in (0.001, 3, 9, 50):
        write(project, f"t{days}", days, text="word " * 400)
    write(other, "theirs", 3)
    analyzed()
    found = storage.held(project.pk, since=month())
    exact = retention.stored(project.pk, since=month())
    assert (found.steps, found.is_estimate) == (6, False)
    assert found.total_bytes == exact.total_bytes
    assert storage.held(ProjectFactory().pk, since=month()) == storage.Held(0, 0, False)


def test_days_with_statistics_are_estimated_by_the_projects_part(
    project: Project, client_of: Any, acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "ENOUGH_ROWS", 1)
    other = ProjectFactory(organization=project.organization)
    for number in range(6):
        write(project, f"t{number}", 3)
    for number in range(2):
        write(other, f"o{number}", 3)
    analyzed()
    ours, theirs = (storage.held(one.pk, since=month()) for one in (project, other))
    assert (ours.steps, theirs.steps) == (12, 4)
    assert ours.is_estimate
    assert theirs.is_estimate
    assert ours.total_bytes == pytest.approx(3 * theirs.total_bytes, abs=2)
    # A day that came after the statistics is counted on top.
    write(project, "new", 5)
    assert storage.held(project.pk, since=month()).steps == 14
    page = client_of(acme.viewer).get("/projects/checkout/settings/data/storage/").content.decode()
    assert "14 steps, indexes included; estimated from table statistics" in page


def test_as_many_queries_for_many_days(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    for days in range(0, 20, 2):
        write(project, f"t{days}", days + 0.001)
    with django_assert_max_num_queries(4):
        assert storage.held(project.pk, since=month()).steps == 20
