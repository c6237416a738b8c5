"""What people do to requests: cancel, make again, tell again, set up the webhook; leases; erased users."""

import asyncio
import datetime as dt
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.db import DatabaseError
from django.test import override_settings
from django.utils import timezone
from redis import Redis

from core import crypto
from core.errors import ConflictError
from gateway.engine import leases
from gateway.engine.parts import Parts
from gateway.models import AsyncJob, JobWebhook, LLMRequest, Reservation
from gateway.queues.line import live_of, stop_calls
from gateway.queues.link import script
from gateway.quotas import sweeping as quotas
from gateway.recording.writer import record
from gateway.requests import again, erasing, jobs, sweeping, webhooks
from gateway.routing.services import By
from gateway.snapshot import Snapshot, touch
from gateway.structs import Call, Decision, ProjectRules, pack
from projects.models import Project
from tests.factories.gateway import (
    ConnectionFactory,
    ConnectionKeyFactory,
    LimitFactory,
    RouteFactory,
)
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.gateway.recording import calls

pytestmark = pytest.mark.django_db
ROOT = "/projects/checkout/gateway/requests/"
API = "/api/v1/projects/checkout/gateway/requests"
HOOK = "/projects/checkout/gateway/settings/webhook/"


@pytest.fixture
def project(acme: SimpleNamespace) -> Project:
    made: Project = ProjectFactory.create(organization=acme.organization, slug="checkout")
    return made


def cipher_of(project: Project) -> crypto.Cipher:
    return crypto.data_cipher(project.organization.data_key)


def store(project: Project, *, webhook: webhooks.Wanted | None = None, **values: Any) -> Call:
    key = ApiKeyFactory.create(project=project, scopes=["gateway"])
    caller = calls.caller(project, key_id=key.pk.hex, user=values.pop("user", ""))
    call = calls.call(project, is_job=True, is_stream=False, caller=caller, **values)
    jobs.store_job(
        call=call, cipher=cipher_of(project), idempotency_key="", fingerprint="",
        rules=ProjectRules(job_max_attempts=2), now=timezone.now(), webhook=webhook,
    )  # fmt: skip
    return call


def ended(project: Project, **values: Any) -> Call:
    call = store(project, **values)
    jobs.claim_job(call, timezone.now())
    record([calls.finished(of=call, state="failed", status=502, answer=b"")], now=timezone.now())
    return call


def set_aside(project: Project, call: Call) -> None:
    """As by a web process that is gone."""
    now = timezone.now()
    Reservation.objects.create(
        project=project, organization=project.organization, call_id=call.id, lines=[],
        owner="host:1:gone", made_at=now - dt.timedelta(minutes=1), expires_at=now + dt.timedelta(hours=1),
    )  # fmt: skip


def row(call: Call) -> AsyncJob:
    return AsyncJob.objects.get(id=call.id)


def in_line(redis: "Redis[bytes]", project: Project, *, worker: str = "") -> Call:
    """A call whose client waits; with a worker it has begun."""
    call = calls.call(project, priority=0)
    given: list[Any] = [call.id, 0, call.caller.project_id, pack(call), 60_000, 9, 9, 10**6, call.model]  # fmt: skip
    redis.eval(script("push").source, 1, "{gw}", 0, *given)
    if worker:
        redis.eval(script("claim").source, 1, "{gw}", 0, worker, 1, 10_000)
        redis.eval(script("begin").source, 1, "{gw}", worker, call.id)
        redis.zadd("{gw}:workers", {worker: 1})
    return call


def routed(project: Project) -> None:
    """The project can answer what the calls ask for."""
    connection = ConnectionFactory.create(organization=project.organization)
    ConnectionKeyFactory.create(connection=connection)
    target = {"connection": connection.pk.hex, "model": "gpt-4o-mini"}
    RouteFactory.create(project=project, name="fast", rules={"targets": [target]})
    touch(project.organization_id)


# --- leases


def test_a_job_is_another_workers_only_when_its_own_was_silent_for_a_lease(
    project: Project,
) -> None:
    now, call = timezone.now(), store(project, deadline_at=timezone.now().timestamp() + 7200)
    assert jobs.claim_job(call, now)
    sweeping.sweep(now=now + dt.timedelta(minutes=10))
    assert row(call).state == "running"  # it hangs, nobody else gets it
    assert jobs.keep_jobs([call], now + dt.timedelta(minutes=10)) == {call.id}
    sweeping.sweep(now=now + dt.timedelta(minutes=20))
    assert row(call).state == "running"
    sweeping.sweep(now=now + dt.timedelta(minutes=26))
    assert (row(call).state, row(call).attempts) == ("queued", 1)
    assert jobs.keep_jobs([call], now + dt.timedelta(minutes=26)) == set()
    second = msgspec.structs.replace(call, claimed_at=call.claimed_at + 1600)
    later = now + dt.timedelta(minutes=27)
    assert jobs.claim_job(second, later)
    assert jobs.keep_jobs([call], later) == set()
    sweeping.sweep(now=later + dt.timedelta(minutes=16))  # the last try that is allowed
    assert (row(call).state, row(call).error) == ("failed", "worker_died")
    assert LLMRequest.objects.get(id=call.id).error == "worker_died"


def test_a_silent_workers_job_that_cannot_be_recorded_holds_up_no_other(project: Project) -> None:
    nowhere = msgspec.structs.replace(calls.TARGET, connection="no id")
    now, far = timezone.now(), timezone.now().timestamp() + 7200
    broken = store(project, deadline_at=far, decision=Decision(targets=(nowhere,)))
    other = store(project, deadline_at=far)
    for call in (broken, other):
        assert jobs.claim_job(call, now)
    AsyncJob.objects.update(attempts=2)
    sweeping.sweep(now=now + dt.timedelta(minutes=16))
    assert (row(broken).state, row(other).state) == ("failed", "failed")
    assert [one.id.hex for one in LLMRequest.objects.filter(project=project)] == [other.id]


def test_what_is_set_aside_for_an_open_job_is_no_orphan(project: Project) -> None:
    """Its web process is gone and the line knows nothing of it: it is made from its row all the same."""
    call, now = store(project), timezone.now()
    set_aside(project, call)
    assert quotas.sweep(now) == 0
    assert jobs.claim_job(call, now)
    assert quotas.sweep(now) == 0
    AsyncJob.objects.filter(id=call.id).update(state="failed")
    assert quotas.sweep(now) == 1
    assert not Reservation.objects.exists()


@pytest.mark.parametrize(
    ("kept", "ago_s", "stopped"),
    [("all", 30, []), ("none", 30, ["lost"]), ("away", 30, []), ("away", 850, ["lost"])],
)
def test_a_worker_that_cannot_say_it_lives_stops_its_jobs(
    kept: str, ago_s: float, stopped: list[str]
) -> None:
    told: list[str] = []
    at = timezone.now().timestamp() - ago_s
    run = SimpleNamespace(call=calls.call(is_job=True), leased_at=at, stop=told.append)

    async def keep(asked: Any) -> set[str]:
        if kept == "away":
            raise DatabaseError
        return {one.id for one in asked} if kept == "all" else set()

    async def snapshot(*_: str) -> Snapshot:
        raise NotImplementedError

    runs: Any = {"a": run, "b": SimpleNamespace(leased_at=0.0)}
    asyncio.run(leases.keep(runs, Parts(snapshot=snapshot, keep_jobs=keep)))
    assert told == stopped
    assert (run.leased_at > at) == (kept == "all")


# --- cancelling


def test_calls_that_wait_or_run_are_listed_and_cancelled(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    job, over = store(project), ended(project)
    with Redis.from_url(settings.REDIS_URL) as redis:
        runs = in_line(redis, project, worker="w")
        waits = in_line(redis, project)
        foreign = in_line(redis, ProjectFactory.create())
        heard = redis.pubsub()
        heard.subscribe("gw:w:w")
        page = client_of(acme.viewer).get(ROOT).content.decode()
        assert "bulk-now" not in page
        told = client_of(acme.member).get(f"{ROOT}now/").content.decode()
        assert [one.id in told for one in (waits, runs, foreign)] == [True, True, False]
        assert client_of(acme.member).get(f"{ROOT}{row(job).id}/").status_code == 200
        ids = [one.id for one in (job, over, waits, runs, foreign)]
        send = {"action": "cancel", "ids": ids}
        assert client_of(acme.viewer).post(f"{ROOT}bulk/", send).status_code == 403
        assert [one.state for one in live_of(redis, project.pk.hex)] == ["waiting", "begun"]
        done = client_of(acme.member).post(f"{ROOT}bulk/", send, follow=True).content.decode()
        assert "2 requests will not be made." in done
        assert "worker of 1 request is told" in done
        assert (row(job).state, row(over).state) == ("cancelled", "failed")
        messages = [heard.get_message(timeout=1) for _ in range(2)]
        assert messages[-1]["data"].decode() == f"stop:{runs.id}"  # type: ignore[index]
        # Its client is told at its next look; nobody else's call was touched.
        assert stop_calls(redis, project.pk.hex, [waits.id, foreign.id]) == ["stopped", "unknown"]
        assert len(live_of(redis, foreign.caller.project_id)) == 1


def test_what_has_ended_cannot_be_cancelled(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    over = ended(project)
    answer = client_of(acme.member).post(f"{API}/{over.id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


# --- again


def test_a_job_is_made_again_by_todays_rules_and_limits(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    old = ended(project, webhook=webhooks.Wanted("https://x.example/of", "x.example …"), user="ann")
    member = client_of(acme.member)
    refused = member.post(f"{API}/{old.id}/retry")
    assert (refused.status_code, AsyncJob.objects.count()) == (404, 1)  # no route any more
    LimitFactory.create(
        organization=project.organization, scope="project", metric="requests", window="day", amount=1
    )  # fmt: skip
    LimitFactory.create(
        organization=project.organization, metric="tokens", window="day", amount=99_999
    )
    routed(project)
    done = member.post(f"{API}/{old.id}/retry")
    assert (done.status_code, done.json().get("detail", "")) == (202, "")
    new = AsyncJob.objects.get(retry_of=old.id)
    assert (new.state, new.user_id, new.webhook_url) == ("queued", "ann", "x.example …")
    made = jobs.call_of(new, cipher_of(project))
    assert (made.body, made.caller.key_id) == (old.body, old.caller.key_id)
    assert (made.flags, made.has_reservation) == (("retry",), True)
    assert made.is_bounded
    assert abs(made.deadline_at - made.accepted_at - 600) < 0.01
    assert Reservation.objects.filter(call_id=new.id).count() == 1
    url = crypto.unseal(cipher_of(project), new.sealed_webhook, webhooks.context_of("webhook", project.pk, new.id))  # type: ignore[arg-type]  # fmt: skip
    assert url == b"https://x.example/of"
    both = [member.get(f"{ROOT}{one}/").content.decode() for one in (row(old).id, new.id)]
    assert [new.id.hex[-8:] in both[0], old.id[-8:] in both[1]] == [True, True]
    # The limit of one a day is used up; nothing was stored.
    over = member.post(f"{API}/{old.id}/retry")
    assert (over.status_code, AsyncJob.objects.count()) == (429, 2)
    assert client_of(acme.viewer).post(f"{API}/{old.id}/retry").status_code == 403


def test_only_what_is_kept_and_ended_is_made_again(project: Project) -> None:
    routed(project)
    waits = store(project)
    asked = [row(waits).id, row(ended(ProjectFactory.create())).id]
    revoked = ended(project)
    ApiKeyFactory._meta.model.objects.filter(pk=revoked.caller.key_id).update(
        revoked_at=timezone.now()
    )
    done = again.retry_several(
        project=project, request_ids=[*asked, row(revoked).id], by=By(), now=timezone.now()
    )
    words = ("not ended yet", "not kept", "revoked")
    assert [word in said for word, said in zip(words, done.refused, strict=True)] == [True] * 3
    project.status = Project.Status.ARCHIVED
    with pytest.raises(ConflictError, match="archived"):
        again.retry(project=project, request_id=row(ended(project)).id, by=By(), now=timezone.now())


# --- erased users, and the webhook's page


def test_an_erased_users_jobs_go_with_what_was_asked(
    project: Project, django_capture_on_commit_callbacks: Any
) -> None:
    theirs, running, others = store(project, user="ann"), store(project, user="ann"), store(project)
    jobs.claim_job(running, timezone.now())
    elsewhere = store(ProjectFactory.create(), user="ann")
    for call in (theirs, running, others):
        set_aside(project, call)
    with django_capture_on_commit_callbacks(execute=True):
        erasing.forget_user(None, project_id=project.pk, user_id="ann")
    # The running one's end is still to come.
    held = {one.call_id.hex for one in Reservation.objects.all()}
    assert held == {running.id, others.id}
    left = {one.id.hex for one in AsyncJob.objects.all()}
    assert left == {others.id, elsewhere.id}
    assert theirs.id not in left


def test_the_webhooks_page_shows_its_secret_once(
    project: Project, acme: SimpleNamespace, client_of: Any
) -> None:
    admin, viewer = client_of(acme.admin), client_of(acme.viewer)
    with override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        wrong = admin.post(HOOK, {"url": "http://10.0.0.8/x", "hosts": "a b"})
        assert (wrong.status_code, JobWebhook.objects.count()) == (422, 0)
        send = {"url": "http://127.0.0.1:9/token-abcdef", "hosts": "hooks.example.com"}
        assert viewer.post(HOOK, send).status_code == 403
        made = admin.post(HOOK, send)
    assert made.status_code == 201
    assert "whsec_" in made.content.decode()
    shown = viewer.get(HOOK).content.decode()
    assert "hooks.example.com" in shown
    assert ("whsec_" in shown, "token-abcdef" in shown) == (False, False)
    assert admin.post(HOOK, {"url": "", "hosts": "b.example.com"}).status_code == 302
    assert JobWebhook.objects.get(pk=project.pk).place.startswith("127.0.0.1")
    assert "whsec_" in admin.post(f"{HOOK}rotation/").content.decode()
    api = API.replace("requests", "job-webhook")
    assert admin.get(api).json()["signing_secret"] is None
    for body in ({}, {"hosts": "x"}, {"hosts": ["*"]}, {"hosts": [], "url": "ftp://x.example"}):
        answer = admin.put(api, body, content_type="application/json")
        assert (answer.status_code, bool(answer.json()["fields"])) == (400, True), body
    assert admin.delete(api).status_code == 204
    assert admin.get(api).status_code == 404
