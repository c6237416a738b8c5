"""Jobs: claimed once, run again only when their worker is known dead, ended once."""

import datetime as dt
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from redis import Redis

from core import crypto
from gateway.models import AsyncJob, LLMRequest
from gateway.recording.writer import record
from gateway.requests import jobs, sweeping
from gateway.structs import Call, Decision, ProjectRules
from projects.models import Project
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.gateway.recording import calls

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
    made: Project = ProjectFactory.create(organization=acme.organization)
    return made


def store(project: Project, *, key: str = "", mark: str = "a", **values: Any) -> tuple[Call, AsyncJob]:  # fmt: skip
    call = calls.call(project, is_job=True, is_stream=False, **values)
    cipher = crypto.data_cipher(project.organization.data_key)
    made = jobs.store_job(
        call=call, cipher=cipher, idempotency_key=key, fingerprint=mark,
        rules=ProjectRules(job_max_attempts=2), now=timezone.now(),
    )  # fmt: skip
    return call, made


def row(call: Call) -> AsyncJob:
    return AsyncJob.objects.get(id=call.id)


def waiting() -> int:
    with Redis.from_url(settings.REDIS_URL) as client:
        return sum(int(client.zcard(f"{{gw}}:age:{level}")) for level in range(3))  # type: ignore[arg-type]


def again(call: Call) -> Call:
    return msgspec.structs.replace(call, claimed_at=call.claimed_at + 60)


def test_an_idempotency_key_makes_one_job(project: Project) -> None:
    first, made = store(project, key="k")
    _, same = store(project, key="k")
    assert (made.id.hex, same.id) == (first.id, made.id)
    with pytest.raises(jobs.IdempotencyError):
        store(project, key="k", mark="b")
    store(ProjectFactory.create(), key="k", mark="b")
    assert AsyncJob.objects.filter(project=project).count() == 1


def test_one_worker_takes_a_job_and_its_end_is_kept(project: Project) -> None:
    call, _ = store(project)
    assert jobs.claim_job(call, timezone.now())
    assert not jobs.claim_job(again(call), timezone.now())
    record([calls.finished(of=call)], now=timezone.now())
    found = row(call)
    cipher = crypto.data_cipher(project.organization.data_key)
    assert (found.state, found.status_code, found.attempts) == ("done", 200, 1)
    assert b"Hello!" in jobs.answer_of(found, cipher)
    assert b"Hello!" not in bytes(found.sealed_answer or b"")
    assert not jobs.claim_job(again(call), timezone.now())


def test_a_lost_try_is_made_again_as_often_as_allowed(project: Project) -> None:
    call, _ = store(project)
    lost: dict[str, Any] = {"state": "lost", "status": 503, "error": "worker_died", "answer": b""}
    assert jobs.claim_job(call, timezone.now())
    record([calls.finished(of=call, **lost)], now=timezone.now())
    assert row(call).state == "queued"
    second = again(call)
    assert jobs.claim_job(second, timezone.now())
    # The first try's death, told again, is not the second one's.
    record([calls.finished(of=call, **lost)], now=timezone.now())
    assert (row(call).state, row(call).attempts) == ("running", 2)
    record([calls.finished(of=second, **lost)], now=timezone.now())
    assert (row(call).state, row(call).error) == ("failed", "worker_died")


def test_the_sweeper_pushes_what_the_line_lost_and_ends_what_is_late(project: Project) -> None:
    call, _ = store(project)
    assert sweeping.sweep(now=timezone.now()) == 0  # young ones are left alone
    later = timezone.now() + dt.timedelta(seconds=11)
    assert sweeping.sweep(now=later) == 1
    assert waiting() == 1
    assert sweeping.sweep(now=later + dt.timedelta(seconds=11)) == 1
    assert waiting() == 1  # the same one, once
    late, _ = store(project, deadline_at=time.time() - 1)
    sweeping.sweep(now=timezone.now())
    assert (row(late).state, row(call).state) == ("expired", "queued")
    assert LLMRequest.objects.get(id=late.id).state == "expired"
    AsyncJob.objects.filter(id=late.id).update(expires_at=timezone.now())
    sweeping.sweep(now=timezone.now() + dt.timedelta(seconds=1))
    assert not AsyncJob.objects.filter(id=late.id).exists()


def test_a_late_job_that_cannot_be_recorded_holds_up_no_other(project: Project) -> None:
    nowhere = msgspec.structs.replace(calls.TARGET, connection="no id")
    broken, _ = store(project, deadline_at=time.time() - 2, decision=Decision(targets=(nowhere,)))
    late, _ = store(project, deadline_at=time.time() - 1)
    lost, _ = store(project)
    assert sweeping.sweep(now=timezone.now() + dt.timedelta(seconds=11)) == 3
    assert (row(broken).state, row(late).state, waiting()) == ("expired", "expired", 1)
    assert [one.id.hex for one in LLMRequest.objects.filter(project=project)] == [late.id]
    assert row(lost).available_at > timezone.now() + dt.timedelta(seconds=15)


def test_a_key_asks_cancels_and_sees_its_projects_jobs_only(project: Project) -> None:
    call, _ = store(project)
    url = f"/api/v1/requests/{call.id[:8]}-{call.id[8:12]}-{call.id[12:16]}-{call.id[16:20]}-{call.id[20:]}"
    for raw, mine, scopes in (
        ("llmlab_sk_caller", True, ["gateway"]),
        ("llmlab_sk_reader", True, ["read"]),
        ("llmlab_sk_sender", True, ["ingest"]),
        ("llmlab_sk_stranger", False, ["gateway", "read"]),
    ):
        owner = project if mine else ProjectFactory.create()
        ApiKeyFactory.create(project=owner, raw=raw, scopes=scopes)
    client = Client()

    def ask(name: str, verb: str = "get", path: str = url) -> Any:
        return getattr(client, verb)(path, headers={"Authorization": f"Bearer llmlab_sk_{name}"})

    assert ask("reader").json()["status"] == "queued"
    assert [ask("sender").status_code, ask("stranger").status_code] == [403, 404]
    for name, status in (("sender", 403), ("reader", 403), ("stranger", 404)):
        assert ask(name, "post", f"{url}/cancel").status_code == status
    assert row(call).state == "queued"
    assert client.get(url).status_code in (401, 403)
    told = ask("caller", "post", f"{url}/cancel").json()
    assert (told["status"], told["error"]) == ("cancelled", "cancelled")
    assert not jobs.claim_job(call, timezone.now())
    assert LLMRequest.objects.get(id=call.id).state == "cancelled"


def test_jobs_open_after_the_organisations_key_was_changed(project: Project) -> None:
    call, _ = store(project)
    jobs.claim_job(call, timezone.now())
    record([calls.finished(of=call)], now=timezone.now())
    organization = project.organization
    organization.data_key = crypto.with_new_key(organization.data_key)
    jobs.seal_again(organization)
    cipher = crypto.data_cipher(crypto.newest_only(organization.data_key))
    assert jobs.call_of(row(call), cipher).id == call.id
    assert b"Hello!" in jobs.answer_of(row(call), cipher)


def test_the_page_shows_jobs_that_are_not_done(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    waits, _ = store(project)
    runs, _ = store(project)
    done, _ = store(project)
    for one in (runs, done):
        jobs.claim_job(one, timezone.now())
    record([calls.finished(of=done)], now=timezone.now())
    foreign, _ = store(ProjectFactory.create())
    page = client_of(acme.viewer).get(f"/projects/{project.slug}/gateway/requests/now/")
    told = page.content.decode()
    assert [one.id in told for one in (waits, runs, done, foreign)] == [True, True, False, False]
    assert "1 of 2" in told
