"""A process sees changes within a second, keeps what it read, and never another tenant's."""

import time

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from gateway import snapshot
from gateway.models import Connection, GatewaySettings
from tests.factories.feedback import ScoreFactory
from tests.factories.gateway import ConnectionFactory, LimitFactory, RouteFactory
from tests.factories.projects import ProjectFactory
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> None:
    snapshot.forget()


def test_only_what_the_project_may_use() -> None:
    project = ProjectFactory.create()
    other = ProjectFactory.create(organization=project.organization)
    mine = ConnectionFactory.create(organization=project.organization)
    ConnectionFactory.create(organization=project.organization, project=other)
    ConnectionFactory.create(organization=project.organization, is_enabled=False)
    ConnectionFactory.create()
    RouteFactory.create(project=project, name="Smart", rules={"timeout_s": 9})
    RouteFactory.create(project=other)
    RouteFactory.create(project=project, is_enabled=False)
    limit = LimitFactory.create(organization=project.organization)
    LimitFactory.create(organization=project.organization, project=other)
    GatewaySettings.objects.create(project=project, rules={"deadline_s": 30})
    found = snapshot.snapshot_of(project.organization_id, project.pk, now=1.0)
    assert list(found.connections) == [mine.pk.hex]
    assert {name: one.rules.timeout_s for name, one in found.routes.items()} == {"smart": 9.0}
    assert [one.id for one in found.limits] == [limit.pk.hex]
    assert found.rules.deadline_s == 30
    assert found.data_key == bytes(project.organization.data_key)


def test_a_change_is_seen_after_a_second(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    project, now = ProjectFactory.create(), time.monotonic()
    first = snapshot.snapshot_of(project.organization_id, project.pk, now=now)
    ConnectionFactory.create(organization=project.organization)
    snapshot.touch(project.organization_id)
    with django_assert_num_queries(0):
        assert snapshot.snapshot_of(project.organization_id, project.pk, now=now + 0.9) is first
    second = snapshot.snapshot_of(project.organization_id, project.pk, now=now + 1.1)
    assert (len(first.connections), len(second.connections)) == (0, 1)
    with django_assert_num_queries(1):
        assert snapshot.snapshot_of(project.organization_id, project.pk, now=now + 2.2) is second
    Connection.objects.all().delete()
    snapshot.touch(project.organization_id)
    assert not snapshot.snapshot_of(project.organization_id, project.pk, now=now + 3.3).connections


def test_scores_are_read_where_a_route_goes_by_them_and_not_each_time(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    project = ProjectFactory.create()
    RouteFactory.create(project=project, rules={"choose": "quality"})
    for _ in range(3):
        ScoreFactory.create(project=project, trace_id="t1", value=0.5)
    write_spans(
        context_for(project),
        [llm("a", request_model="m", started_at=timezone.now())],
        now=timezone.now(),
    )

    def quality(now: float) -> dict[str, float]:
        found = snapshot.snapshot_of(project.organization_id, project.pk, now=now)
        return found.quality

    assert quality(0.0) == {"m": 0.5}
    ScoreFactory.create(project=project, trace_id="t1", value=1.0)
    with django_assert_num_queries(1):
        assert quality(200.0) == {"m": 0.5}
    assert quality(301.0) == {"m": 0.625}
