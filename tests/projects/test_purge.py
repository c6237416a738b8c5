"""Deleting a project: batch by batch, resumable, the project last."""

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from core import outbox
from core.models import Job, OutboxItem
from projects import purge, services
from projects.models import ApiKey, Project
from tests.factories.projects import ApiKeyFactory, ProjectFactory

pytestmark = pytest.mark.django_db


class Rows:
    """A domain's rows, counted in memory."""

    def __init__(self, **left: int) -> None:
        self.left: dict[UUID, int] = {}
        self.batches: list[int] = []

    def count(self, project_id: UUID) -> int:
        return self.left.get(project_id, 0)

    def delete_batch(self, project_id: UUID, limit: int) -> int:
        taken = min(limit, self.count(project_id))
        self.left[project_id] = self.count(project_id) - taken
        if taken:
            self.batches.append(taken)
        return taken


@pytest.fixture
def rows() -> Iterator[Rows]:
    made = Rows()
    purge.register("test rows", count=made.count, delete_batch=made.delete_batch)
    yield made
    purge.unregister("test rows")


@pytest.fixture
def bot() -> Project:
    key = ApiKeyFactory(project__slug="bot", project__name="Bot")
    return key.project


def later() -> dt.datetime:
    return timezone.now() + purge.LATE_WRITES


def test_purge_deletes_everything_and_the_project_last(rows: Rows, bot: Project) -> None:
    other = ProjectFactory()
    rows.left = {bot.pk: 47_000, other.pk: 3}
    job = services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    outbox.drain(now=timezone.now)
    job.refresh_from_db()
    assert (job.total, job.done, job.state) == (47_000, 47_000, Job.State.RUNNING)
    assert max(rows.batches) == purge.BATCH
    assert Project.objects.filter(pk=bot.pk).exists()  # late writers are waited for

    rows.left[bot.pk] = 2  # one of them arrived
    outbox.drain(now=later)
    job.refresh_from_db()
    assert (job.state, rows.left[bot.pk], rows.left[other.pk]) == (Job.State.DONE, 0, 3)
    assert (Project.objects.get(), ApiKey.objects.count()) == (other, 0)
    actions = AuditEvent.objects.order_by("created_at").values_list("action", flat=True)
    assert list(actions) == ["project.deletion_requested", "project.deleted"]
    assert OutboxItem.objects.filter(done_at=None).count() == 0


def test_purge_goes_on_after_a_crash(rows: Rows, bot: Project) -> None:
    rows.left = {bot.pk: 30_000}
    services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    first = outbox.claim(now=timezone.now())
    assert first is not None
    outbox.run(first.pk, now=timezone.now())
    assert rows.left[bot.pk] == 10_000
    # The worker dies holding the second step: its lease runs out and another worker takes it.
    assert outbox.claim(now=timezone.now()) is not None
    assert outbox.claim(now=timezone.now()) is None
    after_lease = timezone.now() + outbox.LEASE + dt.timedelta(seconds=1)
    outbox.drain(now=lambda: after_lease)
    outbox.drain(now=lambda: after_lease + purge.LATE_WRITES)
    assert Job.objects.get().state == Job.State.DONE
    assert Project.objects.count() == 0


def test_deletion_asked_twice_is_one_job(bot: Project) -> None:
    now = timezone.now()
    first = services.request_project_deletion(project=bot, actor=None, now=now)
    again = services.request_project_deletion(project=bot, actor=None, now=now)
    assert first.pk == again.pk
    assert OutboxItem.objects.count() == 1


def test_purge_of_a_gone_project_ends_its_job(bot: Project) -> None:
    job = services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    payload = {"project_id": str(bot.pk), "job_id": str(job.pk)}
    ApiKey.objects.all().delete()
    Project.objects.all().delete()
    purge.handle_purge(payload=payload, now=timezone.now())
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def test_progress_part_stops_polling_at_the_end(
    rows: Rows, acme: SimpleNamespace, client_of: object
) -> None:
    project = ProjectFactory(organization=acme.organization, slug="bot")
    rows.left = {project.pk: 10}
    job = services.request_project_deletion(project=project, actor=None, now=timezone.now())
    outbox.drain(now=timezone.now)
    client = client_of(acme.viewer)  # type: ignore[operator]
    url = f"/projects/deletions/{job.pk}/"
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "10 of 10 rows deleted (100 %)" in part
    assert 'hx-trigger="every 2s"' in part
    outbox.drain(now=later)
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "all its data are deleted" in part
    assert "hx-trigger" not in part
