"""A new data key: readable before, during and after, and afterwards the old key opens nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import AuditEvent, Organization
from core import crypto, outbox
from core.errors import ConflictError
from core.models import Job, OutboxItem
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.said import said_in
from tests.traces.test_retention import write
from traces import rotation
from traces.models import Trace
from traces.payloads import open_text, payload_context

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory(organization=acme.organization, slug="checkout")
    for number in range(5):
        write(made, f"t{number}", number, text=f"said {number}")
    return made


def said(project: Project) -> set[str]:
    """What is read with the organisation's key as it is now."""
    key = Organization.objects.get(pk=project.organization_id).data_key
    return read_with(project, crypto.data_cipher(key))


def read_with(project: Project, cipher: crypto.Cipher) -> set[str]:
    texts = {
        content["output"]
        for (_, span_id), content in said_in(project, cipher=cipher).items()
        if span_id == "call"
    }
    for trace in Trace.objects.filter(project=project):
        context = payload_context(project.pk, trace.trace_id, "preview")
        assert open_text(cipher, trace.preview, context).startswith("said")
    return texts


def step() -> None:
    item = OutboxItem.objects.get(topic="core.job_step", done_at=None)
    outbox.run(item.pk, now=item.available_at)


def run_to_end(job: Job) -> None:
    for _ in range(500):
        step()
        job.refresh_from_db()
        if not job.is_open:
            return
    raise AssertionError("The rotation does not end.")


ALL = {f"said {number}" for number in range(5)}


def test_everything_is_sealed_again_and_stays_readable(
    project: Project, acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    old = bytes(acme.organization.data_key)
    job = rotation.start_rotation(
        organization=acme.organization, actor=acme.owner.user, now=timezone.now()
    )
    assert said(project) == ALL
    with pytest.raises(ConflictError):
        rotation.start_rotation(
            organization=acme.organization, actor=acme.owner.user, now=timezone.now()
        )
    step()
    assert said(project) == ALL  # half way
    # A writer that still holds the old key: the second pass finds it.
    stale = Project.objects.get(pk=project.pk)
    stale.organization.data_key = old
    run_to_pass_two(job)
    write(stale, "late", 0.5, text="said late")
    run_to_end(job)
    assert job.state == "done"
    assert said(project) == ALL | {"said late"}
    key = Organization.objects.get(pk=acme.organization.pk).data_key
    assert crypto.key_count(key) == 1
    assert bytes(key) != old
    with pytest.raises(crypto.DecryptionError):
        read_with(project, crypto.data_cipher(old))
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"encryption_key.rotation_started", "encryption_key.rotation_done"} <= actions


def run_to_pass_two(job: Job) -> None:
    while job.cursor.get("pass") != 2:
        step()
        job.refresh_from_db()


def test_a_cancelled_rotation_keeps_both_keys_and_can_be_finished(
    project: Project, acme: SimpleNamespace
) -> None:
    from core import jobs

    job = rotation.start_rotation(
        organization=acme.organization, actor=acme.owner.user, now=timezone.now()
    )
    step()
    jobs.request_cancel(job.pk, now=timezone.now())
    step()
    assert said(project) == ALL
    assert crypto.key_count(Organization.objects.get(pk=acme.organization.pk).data_key) == 2
    again = rotation.start_rotation(
        organization=acme.organization, actor=acme.owner.user, now=timezone.now()
    )
    run_to_end(again)
    assert said(project) == ALL
    assert crypto.key_count(Organization.objects.get(pk=acme.organization.pk).data_key) == 1


def test_an_owner_starts_it_from_the_organisation(
    project: Project, acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    path = "/organizations/acme/key-rotation/"
    for membership, status in ((acme.viewer, 403), (acme.admin, 403), (globex.owner, 404)):
        assert client_of(membership).post(path).status_code == status
    assert not Job.objects.filter(kind=rotation.KIND).exists()
    answer = client_of(acme.owner).post(path)
    job = Job.objects.get(kind=rotation.KIND)
    assert answer["Location"] == f"/jobs/{job.pk}/"
    assert client_of(acme.owner).post(path).status_code == 409


def test_master_keys_are_replaced_without_touching_contents(
    project: Project, acme: SimpleNamespace, settings: Any
) -> None:
    new = "bmV3LW1hc3Rlci1rZXktbmV3LW1hc3Rlci1rZXktMTI="
    settings.LLMLAB_ENCRYPTION_KEYS = [new, *settings.LLMLAB_ENCRYPTION_KEYS]
    call_command("rewrap_data_keys")
    settings.LLMLAB_ENCRYPTION_KEYS = [new]
    assert said(project) == ALL
