"""The job pages: progress, cancel, and nobody else's jobs."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from core import jobs
from core.models import Job
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def endless() -> Iterator[None]:
    jobs.register("test.endless", lambda job, *, now: jobs.Step(1, {"at": 1}))
    yield
    del jobs._KINDS["test.endless"]


def start(acme: SimpleNamespace, by: Any = None) -> Job:
    project = ProjectFactory(organization=acme.organization)
    job = jobs.start(
        kind="test.endless",
        title="Export traces",
        organization_id=acme.organization.pk,
        project_id=project.pk,
        created_by_id=by.user_id if by else None,
        now=timezone.now(),
        total=8,
    )
    Job.objects.filter(pk=job.pk).update(state="running", done=2, message="At 2")
    return job


def test_progress_polls_and_can_be_cancelled(
    acme: SimpleNamespace, client_of: Any, endless: None
) -> None:
    job = start(acme, by=acme.member)
    client = client_of(acme.member)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "2 of 8 (25%)" in page
    assert f'hx-get="/jobs/{job.pk}/"' in page
    answer = client.post(f"/jobs/{job.pk}/cancellation/", follow=True)
    assert "ends after the step it is in" in answer.content.decode()
    job.refresh_from_db()
    assert job.cancel_requested_at is not None
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    ended = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert "What was done before stays" in ended
    assert "hx-get" not in ended


def test_only_who_started_it_and_admins_cancel(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any, endless: None
) -> None:
    job = start(acme, by=acme.owner)
    for membership, status in ((acme.member, 403), (acme.viewer, 403), (globex.owner, 404)):
        assert client_of(membership).post(f"/jobs/{job.pk}/cancellation/").status_code == status
    assert client_of(globex.owner).get(f"/jobs/{job.pk}/").status_code == 404
    job.refresh_from_db()
    assert job.cancel_requested_at is None
    assert client_of(acme.admin).post(f"/jobs/{job.pk}/cancellation/").status_code == 302


def test_the_list_shows_own_jobs_by_state(
    acme: SimpleNamespace,
    globex: SimpleNamespace,
    client_of: Any,
    endless: None,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(3):
        start(acme)
    client = client_of(acme.viewer)
    with django_assert_max_num_queries(10):
        page = client.get("/jobs/").content.decode()
    assert page.count("Export traces") == 3
    assert "Export traces" not in client.get("/jobs/?state=failed").content.decode()
    assert "Export traces" not in client_of(globex.owner).get("/jobs/").content.decode()
    assert client.get("/jobs/?state=never").status_code == 400
    assert client.get("/jobs/?before=x").status_code == 400
    assert "Export traces" not in client.get("/jobs/?kind=a%00b").content.decode()


def test_a_page_of_fifty_leads_to_the_older_ones(
    acme: SimpleNamespace, client_of: Any, endless: None
) -> None:
    for number in range(52):
        jobs.create_job(
            kind="test.endless", title=f"Job {number:02}", organization_id=acme.organization.pk
        )
    client = client_of(acme.viewer)
    page = client.get("/jobs/").content.decode()
    first = set(re.findall(r"Job \d\d", page))
    assert len(first) == 50
    older = page.split('href="?before=')[1].split('"')[0]
    rest = set(re.findall(r"Job \d\d", client.get(f"/jobs/?before={older}").content.decode()))
    assert len(rest) == 2
    assert not first & rest
