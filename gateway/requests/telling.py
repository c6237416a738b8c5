"""Telling of jobs that ended: one signed POST each (Standard Webhooks), tried for a day while its receiver is away.

The job's row is the message: one that ended and waits is taken by one worker at a time under a lease, and the number of
its try says whose word counts. Of one project at most MOST_AT_ONCE are under way, so that a dead receiver never holds
the threads the others need. Nothing of what a receiver answers is kept but its status.
"""

import datetime as dt
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import F, Q

from core import backoff, crypto, formats, webhooks
from core.errors import ConflictError, DomainError
from core.http import Reply
from core.outbound import AddressRefusedError, OutboundError
from core.posting import Poster, retry_after, words_of
from gateway.models import ENDED, AsyncJob, JobWebhook, WebhookState
from gateway.requests import bell
from gateway.requests.webhooks import checked, context_of, open_webhook
from projects.models import Project

logger = logging.getLogger(__name__)
Clock = Callable[[], dt.datetime]
LEASE = dt.timedelta(seconds=60)
MOST_AT_ONCE = 2
DRAIN_FOR = dt.timedelta(minutes=4)  # ends before the task's time limit; the sweep goes on
KEPT_TRIES = 20
# A refused address may be a wrong DNS answer, or about to be allowed: asked again, but not every few seconds.
REFUSED_AGAIN_S = 300.0
GONE = 410
_IS_DUE = """
webhook_state IN ('waiting', 'sending') AND state IN ('done', 'failed', 'cancelled', 'expired')
 AND webhook_next_at <= %(now)s AND project_id <> ALL(%(full)s::uuid[])
"""
_CLAIM = f"""
UPDATE gateway_asyncjob SET webhook_state = 'sending', webhook_next_at = %(until)s,
 webhook_attempts = webhook_attempts + 1, webhook_since = coalesce(webhook_since, %(now)s)
WHERE (project_id, id) IN (SELECT project_id, id FROM gateway_asyncjob WHERE {_IS_DUE}
 ORDER BY webhook_next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id, id
"""  # noqa: S608
_SOONEST = """
SELECT min(webhook_next_at) FROM gateway_asyncjob
WHERE webhook_state IN ('waiting', 'sending') AND state IN ('done', 'failed', 'cancelled', 'expired')
 AND webhook_next_at > %(now)s
"""
_FULL = """
SELECT project_id FROM gateway_asyncjob WHERE webhook_state = 'sending'
 AND state IN ('done', 'failed', 'cancelled', 'expired') AND webhook_next_at > %(now)s
GROUP BY 1 HAVING count(*) >= %(most)s
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a try. `is_final` without `is_taken`: never again."""

    words: str = ""
    status: int | None = None
    is_taken: bool = False
    is_final: bool = False
    retry_after_s: float | None = None


def tell_due(*, now: Clock) -> int:
    """Tell of what is due until nothing is (or time is up); how many tries that were."""
    done, end = 0, now() + DRAIN_FOR
    while now() < end and (job := claim(now=now())) is not None:
        done += 1
        if done == 1:
            bell.ring()  # more may be due: others help
        send(job, now=now)
    if done and (next_at := _soonest(now())) is not None:
        bell.ring(max(0.0, (next_at - now()).total_seconds()) + 0.05)
    return done


@transaction.atomic
def claim(*, now: dt.datetime) -> AsyncJob | None:
    """The job that is due longest, ours for LEASE; the try is counted before it is made. Four queries."""
    with connection.cursor() as cursor:
        cursor.execute(_FULL, {"now": now, "most": MOST_AT_ONCE})
        full = [project_id for (project_id,) in cursor.fetchall()]
        cursor.execute(_CLAIM, {"now": now, "until": now + LEASE, "full": full})
        found = cursor.fetchone()
    if found is None:
        return None
    return AsyncJob.objects.defer("sealed_call", "sealed_answer").get(pk=found)


def _soonest(now: dt.datetime) -> dt.datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(_SOONEST, {"now": now})
        row = cursor.fetchone()
    found: dt.datetime | None = row[0] if row else None
    return found


def send(job: AsyncJob, *, now: Clock) -> bool:
    """One try, recorded; whether it was taken."""
    started = now()
    try:
        found = _address(job, started)
        outcome = found if isinstance(found, Outcome) else _post(job, *found, started)
    except (crypto.DecryptionError, ImproperlyConfigured):
        logger.exception("gateway.jobs.webhook_sealed", extra={"job_id": str(job.id)})
        outcome = Outcome("The address or its secret cannot be opened with LLMLAB_ENCRYPTION_KEYS.")
    except Exception as error:  # process edge: the row records what went wrong
        logger.exception("gateway.jobs.webhook_failed", extra={"job_id": str(job.id)})
        outcome = Outcome(f"LLMLab failed while sending ({type(error).__name__}).")
    record(job, outcome, started=started, ended=now())
    return outcome.is_taken


def _address(job: AsyncJob, at: dt.datetime) -> tuple[str, list[str]] | Outcome:
    """Where it is told now, and the secrets that sign. Three queries at most."""
    row = JobWebhook.objects.select_related("project__organization").filter(pk=job.project_id).first()  # fmt: skip
    if row is None:
        return Outcome("The project's webhook was removed.", is_final=True)
    cipher = crypto.data_cipher(row.project.organization.data_key)
    secret = open_webhook(row, cipher)
    url, hosts = secret.get("url", ""), None
    if job.sealed_webhook is not None:
        context = context_of("webhook", job.project_id, job.id)
        url, hosts = crypto.unseal(cipher, job.sealed_webhook, context).decode(), row.hosts
    if not url:
        return Outcome("The project has no address to tell any more.", is_final=True)
    try:
        checked(url, hosts, field="url")
    except DomainError as error:
        is_final = error.code == "webhook_not_allowed"
        return Outcome(error.detail, is_final=is_final, retry_after_s=REFUSED_AGAIN_S)
    return url, webhooks.signing_secrets(secret, at)


def _post(job: AsyncJob, url: str, secrets: list[str], at: dt.datetime) -> Outcome:
    body = body_of(job)
    headers = webhooks.signed_headers(f"msg_{job.id.hex}", at, body, secrets)
    if not connection.in_atomic_block:  # in tests the whole test is one
        connection.close()  # not held while a receiver takes its time
    try:
        reply = Poster().request(url, body, headers)
    except AddressRefusedError as error:
        return Outcome(error.detail, retry_after_s=REFUSED_AGAIN_S)
    except OutboundError as error:
        return Outcome(error.detail)
    return _said(reply, at)


def _said(reply: Reply, at: dt.datetime) -> Outcome:
    if 200 <= reply.status < 300:
        return Outcome(status=reply.status, is_taken=True, is_final=True)
    if reply.status == GONE:
        words = "The receiver says that it is gone for good (410)."
        return Outcome(words, status=reply.status, is_final=True)
    words = words_of("The receiver", reply.status)
    return Outcome(words, status=reply.status, retry_after_s=retry_after(reply, at))


def body_of(job: AsyncJob) -> bytes:
    """The same bytes on each try. What was asked and answered is not in it: the receiver reads it with its key."""
    data = {
        "id": job.id.hex,
        "object": "request",
        "status": job.state,
        "url": f"/api/v1/requests/{job.id.hex}",
        "model": job.asked_model,
        "status_code": job.status_code,
        "error": job.error,
        "attempts": job.attempts,
        "created_at": formats.instant(job.created_at),
        "ended_at": formats.instant(job.ended_at) if job.ended_at else None,
        "retry_of": job.retry_of.hex if job.retry_of else None,
    }
    said = formats.instant(job.ended_at or job.created_at)
    return msgspec.json.encode({"type": f"request.{job.state}", "timestamp": said, "data": data})


def record(job: AsyncJob, outcome: Outcome, *, started: dt.datetime, ended: dt.datetime) -> bool:
    """Write what came of a try and when the next is; False when its lease had ended and it is somebody else's."""
    since = job.webhook_since or started
    state, next_at, words = WebhookState.SENT, None, outcome.words[:500]
    if not outcome.is_taken:
        state = WebhookState.DEAD if outcome.is_final else WebhookState.WAITING
        if not outcome.is_final and ended - since >= backoff.GIVE_UP_AFTER:
            state = WebhookState.DEAD
            words = f"It was not taken for 24 hours. The last try: {words}"[:500]
    if state == WebhookState.WAITING:
        next_at = backoff.next_try(
            since=since,
            started=started,
            ended=ended,
            retry_after_s=outcome.retry_after_s,
            chance=random.random(),  # noqa: S311 - spreads tries, guards nothing
        )
    ms = max(0, int((ended - started).total_seconds() * 1000))
    said = outcome.words[:500]
    made = {"at": formats.instant(started), "status": outcome.status, "ms": ms, "error": said}
    rows = AsyncJob.objects.filter(
        project=job.project_id, id=job.id, webhook_state=WebhookState.SENDING,
        webhook_attempts=job.webhook_attempts,
    )  # fmt: skip
    return bool(
        rows.update(
            webhook_state=state,
            webhook_next_at=next_at,
            webhook_error=words,
            webhook_tries=[*job.webhook_tries, made][-KEPT_TRIES:],
        )
    )


@transaction.atomic
def send_again(*, project: Project, job_ids: Sequence[UUID], by: str, now: dt.datetime) -> int:
    """Tell once more of jobs whose telling ended, with the same message id; how many. Raises ConflictError for none."""
    rows = AsyncJob.objects.select_for_update().filter(
        project=project, id__in=job_ids, webhook_state__in=(WebhookState.DEAD, WebhookState.SENT),
        state__in=ENDED,
    )  # fmt: skip
    said = {"at": formats.instant(now), "status": None, "ms": None, "error": f"Sent again by {by}."}
    count = 0
    for job in rows.only("project", "id", "webhook_tries"):
        AsyncJob.objects.filter(project=project, id=job.id).update(
            webhook_state=WebhookState.WAITING,
            webhook_next_at=now,
            webhook_since=None,
            webhook_error="",
            webhook_attempts=F("webhook_attempts") + 1,
            webhook_tries=[*job.webhook_tries, said][-KEPT_TRIES:],
        )
        count += 1
    if not count:
        raise ConflictError("Only what was told or given up can be told again.")
    transaction.on_commit(bell.ring, robust=True)
    return count


# Jobs whose rows may go: nobody is still to be told of them.
IS_TOLD = ~Q(webhook_state__in=(WebhookState.WAITING, WebhookState.SENDING))
