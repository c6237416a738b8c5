"""Jobs tell that they ended: signed, tried again, once each; only hosts that the project allows."""

import datetime as dt
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from core import crypto
from core.errors import ConflictError, DomainError
from gateway.models import AsyncJob, JobWebhook
from gateway.recording.writer import record
from gateway.requests import jobs, sweeping, telling, webhooks
from gateway.routing.services import By
from gateway.structs import Call, ProjectRules
from projects.models import Project
from tests.alerts.receiving import Clock, Receiver
from tests.factories.projects import ProjectFactory
from tests.fakes.http_server import FakeServer, running_server
from tests.gateway.recording import calls

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def server(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr("gateway.requests.bell.ring", lambda wait_s=0: None)
    with running_server(receiver) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield fake


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory.create(organization=acme.organization)
    return made


@pytest.fixture
def secret(project: Project, server: FakeServer) -> str:
    _, shown = webhooks.save_webhook(
        project=project, hosts=["127.0.0.1"], url=f"{server.url}/default/path/of-a-team",
        by=By(label="t"), now=timezone.now(),
    )  # fmt: skip
    return shown


def ended(project: Project, asked: str = "", **values: Any) -> tuple[Call, AsyncJob]:
    """A job that was made and answered."""
    call = calls.call(project, is_job=True, is_stream=False)
    cipher = crypto.data_cipher(project.organization.data_key)
    jobs.store_job(
        call=call, cipher=cipher, idempotency_key="", fingerprint="", rules=ProjectRules(),
        now=timezone.now(), webhook=webhooks.wanted(project.pk, asked),
    )  # fmt: skip
    jobs.claim_job(call, timezone.now())
    record([calls.finished(of=call, **values)], now=timezone.now())
    return call, row(call)


def row(call: Call) -> AsyncJob:
    return AsyncJob.objects.get(id=call.id)


def test_its_end_is_told_once_signed_and_thin(
    project: Project, secret: str, server: FakeServer
) -> None:
    call, _ = ended(project)
    assert telling.tell_due(now=timezone.now) == 1
    assert telling.tell_due(now=timezone.now) == 0
    (got,) = server.received
    event: Any = Webhook(secret).verify(got.body, got.headers)
    assert (got.path, got.headers["webhook-id"]) == ("/default/path/of-a-team", f"msg_{call.id}")
    assert (event["type"], event["data"]["id"]) == ("request.done", call.id)
    assert event["data"]["url"] == f"/api/v1/requests/{call.id}"
    assert b"Hello" not in got.body
    found = row(call)
    assert (found.webhook_state, found.webhook_attempts) == ("sent", 1)
    assert found.webhook_tries[0]["status"] == 200


def test_what_is_not_taken_is_tried_again_for_a_day(
    project: Project, secret: str, server: FakeServer, receiver: Receiver
) -> None:
    receiver.status = 503
    call, _ = ended(project)
    clock = Clock(timezone.now())
    assert telling.tell_due(now=clock) == 1
    assert telling.tell_due(now=clock) == 0
    assert row(call).webhook_state == "waiting"
    assert row(call).webhook_error == "The receiver answered 503."
    clock.forward(60)
    assert telling.tell_due(now=clock) == 1
    # A worker that died with it: its lease ends.
    claimed = telling.claim(now=clock.at + dt.timedelta(minutes=2))
    assert claimed is not None
    assert telling.claim(now=clock.at + dt.timedelta(minutes=2)) is None
    late = telling.claim(now=clock.at + dt.timedelta(minutes=4))
    assert late is not None
    taken = telling.Outcome(status=200, is_taken=True, is_final=True)
    assert not telling.record(claimed, taken, started=clock.at, ended=clock.at)  # not its any more
    clock.forward(25 * 3600)
    assert telling.tell_due(now=clock) == 1
    assert row(call).webhook_state == "dead"
    assert "24 hours" in row(call).webhook_error
    ids = {one.headers["webhook-id"] for one in server.received}
    receiver.status = 200
    assert telling.send_again(project=project, job_ids=[row(call).id], by="a@x", now=clock.at) == 1
    assert telling.tell_due(now=clock) == 1
    assert row(call).webhook_state == "sent"
    assert ids == {one.headers["webhook-id"] for one in server.received}
    assert [one["error"] for one in row(call).webhook_tries][-2:] == ["Sent again by a@x.", ""]
    other = ProjectFactory.create()
    with pytest.raises(ConflictError):
        telling.send_again(project=other, job_ids=[row(call).id], by="a@x", now=clock.at)


def test_a_receiver_that_is_gone_is_left_alone(
    project: Project, secret: str, receiver: Receiver, server: FakeServer
) -> None:
    receiver.status = 410
    call, _ = ended(project)
    telling.tell_due(now=timezone.now)
    assert (row(call).webhook_state, row(call).webhook_next_at) == ("dead", None)


def test_a_call_names_allowed_hosts_only(project: Project, secret: str, server: FakeServer) -> None:
    own = f"{server.url}/mine"
    call, job = ended(project, own)
    assert "/mine" not in job.webhook_url
    assert b"/mine" not in bytes(job.sealed_webhook or b"")
    telling.tell_due(now=timezone.now)
    assert server.received[0].path == "/mine"
    wrong = ("https://elsewhere.example/x", "https://127.0.0.1.evil.example/", "ftp://127.0.0.1/")
    for asked in (*wrong, "nonsense"):
        with pytest.raises(DomainError):
            webhooks.wanted(project.pk, asked)
    assert webhooks.wanted(project.pk, "none") is None
    assert webhooks.wanted(ProjectFactory.create().pk, "") is None
    with pytest.raises(DomainError, match="no webhook"):
        webhooks.wanted(ProjectFactory.create().pk, own)
    # Taken from the list later: what waits is given up.
    call, _ = ended(project, own)
    webhooks.save_webhook(project=project, hosts=[], url=None, by=By(), now=timezone.now())
    telling.tell_due(now=timezone.now)
    assert (row(call).webhook_state, len(server.received)) == ("dead", 1)


def test_hosts_are_hosts() -> None:
    given = [" Hooks.Example.com. ", "", "*.example.com", "hooks.example.com"]
    assert webhooks.clean_hosts(given) == ["hooks.example.com", "*.example.com"]
    for wrong in ("https://x.example", "*", "*.com", "a b", "x/y", "-x.example"):
        with pytest.raises(DomainError):
            webhooks.clean_hosts([wrong])
    assert webhooks.is_allowed("a.example.com", ["*.example.com"])
    assert not webhooks.is_allowed("example.com", ["*.example.com"])
    assert not webhooks.is_allowed("aexample.com", ["*.example.com"])


def test_after_a_rotation_both_secrets_sign(
    project: Project, secret: str, server: FakeServer
) -> None:
    fresh = webhooks.rotate_secret(project=project, by=By(), now=timezone.now())
    ended(project)
    telling.tell_due(now=timezone.now)
    (got,) = server.received
    for one in (secret, fresh):
        Webhook(one).verify(got.body, got.headers)
    assert secret.encode() not in bytes(JobWebhook.objects.get(pk=project.pk).sealed)
    organization = project.organization
    organization.data_key = crypto.with_new_key(organization.data_key)
    organization.save()
    webhooks.seal_again(organization)
    cipher = crypto.data_cipher(crypto.newest_only(organization.data_key))
    opened = webhooks.open_webhook(JobWebhook.objects.get(pk=project.pk), cipher)
    assert json.dumps(opened).count("whsec_") == 2


def test_a_job_stays_until_it_was_told(project: Project, secret: str) -> None:
    call, _ = ended(project)
    AsyncJob.objects.filter(id=call.id).update(expires_at=timezone.now() - dt.timedelta(hours=1))
    sweeping.sweep(now=timezone.now())
    telling.tell_due(now=timezone.now)
    assert row(call).webhook_state == "sent"
    sweeping.sweep(now=timezone.now())
    assert not AsyncJob.objects.filter(id=call.id).exists()
