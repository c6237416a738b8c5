"""Deleting a project: batch by batch, resumable, the project last."""

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from core import outbox
from core.errors import ConflictError
from core.models import Job, OutboxItem
from projects import purge, services
from projects.models import ApiKey, Project
from tests.factories.accounts import UserFactory
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


def begun() -> dt.datetime:
    """Just after the time in which a deletion can be cancelled."""
    return timezone.now() + purge.GRACE


def later() -> dt.datetime:
    return begun() + purge.LATE_WRITES


def test_purge_deletes_everything_and_the_project_last(rows: Rows, bot: Project) -> None:
    other = ProjectFactory()
    rows.left = {bot.pk: 47_000, other.pk: 3}
    job = services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    outbox.drain(now=begun)
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
    first = outbox.claim(now=begun())
    assert first is not None
    outbox.run(first.pk, now=begun())
    assert rows.left[bot.pk] == 10_000
    # The worker dies holding the second step: its lease runs out and another worker takes it.
    assert outbox.claim(now=begun()) is not None
    assert outbox.claim(now=begun()) is None
    after_lease = begun() + outbox.LEASE + dt.timedelta(seconds=1)
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
    outbox.drain(now=begun)
    client = client_of(acme.viewer)  # type: ignore[operator]
    url = f"/projects/deletions/{job.pk}/"
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "10 of 10 rows deleted (100 %)" in part
    assert 'hx-trigger="every 2s"' in part
    outbox.drain(now=later)
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "all its data are deleted" in part
    assert "hx-trigger" not in part


def test_nothing_is_deleted_while_it_can_be_cancelled(rows: Rows, bot: Project) -> None:
    rows.left = {bot.pk: 10}
    services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    assert outbox.drain(now=timezone.now) == 0
    assert rows.left[bot.pk] == 10


def test_a_cancelled_deletion_brings_the_project_back(
    rows: Rows, acme: SimpleNamespace, client_of: object
) -> None:
    project = ProjectFactory(organization=acme.organization, slug="bot", archived=True)
    rows.left = {project.pk: 10}
    job = services.request_project_deletion(project=project, actor=None, now=timezone.now())
    page = f"/projects/deletions/{job.pk}/"
    admin = client_of(acme.admin)  # type: ignore[operator]
    assert "Cancel the deletion" in admin.get(page).content.decode()
    member = client_of(acme.member)  # type: ignore[operator]
    assert "Cancel the deletion" not in member.get(page).content.decode()
    assert member.post(f"{page}cancellation/").status_code == 403

    assert admin.post(f"{page}cancellation/")["Location"] == "/projects/"

    project.refresh_from_db()
    job.refresh_from_db()
    assert (project.slug, project.status) == ("bot", Project.Status.ARCHIVED)
    assert job.state == Job.State.CANCELLED
    outbox.drain(now=later)
    assert rows.left[project.pk] == 10
    again = services.request_project_deletion(project=project, actor=None, now=timezone.now())
    outbox.drain(now=begun)
    assert (again.pk != job.pk, rows.left[project.pk]) == (True, 0)


def test_a_begun_deletion_cannot_be_cancelled(rows: Rows, bot: Project) -> None:
    rows.left = {bot.pk: 10}
    job = services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    outbox.drain(now=begun)
    with pytest.raises(ConflictError):
        services.cancel_project_deletion(job=job, actor=UserFactory())
    bot.refresh_from_db()
    assert bot.status == Project.Status.DELETING


def test_a_cancelled_project_whose_slug_was_taken_gets_another(bot: Project) -> None:
    job = services.request_project_deletion(project=bot, actor=None, now=timezone.now())
    ProjectFactory(organization=bot.organization, slug="bot")
    back = services.cancel_project_deletion(job=job, actor=UserFactory())
    assert back.slug.startswith("bot-")
    assert len(back.slug) == 8
