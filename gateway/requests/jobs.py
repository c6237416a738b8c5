"""Jobs: calls answered later (`Prefer: respond-async`). The row is the truth; the line only carries it to a worker.

A worker takes a job by moving its row from queued to running, and only that worker's end moves it on. It is taken from
a worker when its journal says that it died (gateway.recording.replay), or when nothing was heard of it for LEASE; a
worker that could not be heard stops the job itself before that, so no job is ever made by two at once.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Organization
from core import crypto
from core.errors import DomainError, NotFoundError
from gateway.dialects.errors import error_body
from gateway.models import ENDED, AsyncJob, JobState, RequestState, WebhookState
from gateway.requests import bell
from gateway.requests.webhooks import Wanted, context_of
from gateway.structs import Call, Finished, ProjectRules, pack, unpack_call
from projects.access import parse_uuid
from projects.models import Project

# Open jobs of one project; what is more is refused.
MAX_OPEN = 10_000
# A job that was pushed is not looked for in the line before.
SETTLE = dt.timedelta(seconds=10)
# How long a worker is believed to run a job without a sign of life: longer than any machine was seen to hang.
LEASE = dt.timedelta(minutes=15)
_INSERT = """
INSERT INTO gateway_asyncjob (project_id, id, api_key_id, idempotency_key, fingerprint, state, priority, dialect,
 asked_model, sealed_call, error, attempts, max_attempts, available_at, deadline_at, owner, expires_at, user_id,
 retry_of, webhook_url, sealed_webhook, webhook_state, webhook_attempts, webhook_error, webhook_next_at, webhook_tries,
 created_at, updated_at)
SELECT %s, %s, %s, %s, %s, 'queued', %s, %s, %s, %s, '', 0, %s, %s, %s, '', %s, %s,
 %s, %s, %s, %s, 0, '', %s, '[]', %s, %s
ON CONFLICT (project_id, idempotency_key) WHERE idempotency_key <> '' DO NOTHING
"""
_CLAIM = """
UPDATE gateway_asyncjob SET state = 'running', owner = %s, attempts = attempts + 1, lease_until = %s,
 started_at = coalesce(started_at, %s), updated_at = %s
WHERE project_id = %s AND id = %s AND state = 'queued' AND attempts < max_attempts AND deadline_at > %s
"""
_KEEP = """
UPDATE gateway_asyncjob j SET lease_until = %s
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS k(project_id, id, owner)
WHERE j.project_id = k.project_id AND j.id = k.id AND j.owner = k.owner AND j.state = 'running' RETURNING j.id
"""
# A try that was lost: again, unless it was the last one. Only the end of the try that runs counts.
_LOST = """
UPDATE gateway_asyncjob SET state = CASE WHEN attempts < max_attempts THEN 'queued' ELSE 'failed' END,
 ended_at = CASE WHEN attempts < max_attempts THEN NULL ELSE %s END, owner = '', lease_until = NULL,
 available_at = %s, error = 'worker_died', status_code = 503, updated_at = %s
WHERE project_id = %s AND id = %s AND state = 'running' AND owner = %s RETURNING state, webhook_state
"""
_ENDED = """
UPDATE gateway_asyncjob SET state = %s, ended_at = %s, sealed_answer = %s, status_code = %s, error = %s, owner = '',
 lease_until = NULL, updated_at = %s
WHERE project_id = %s AND id = %s AND state IN ('queued', 'running') RETURNING state, webhook_state
"""
_STATES = {
    RequestState.DONE.value: JobState.DONE,
    RequestState.CACHED.value: JobState.DONE,
    RequestState.CANCELLED.value: JobState.CANCELLED,
    RequestState.EXPIRED.value: JobState.EXPIRED,
}


class IdempotencyError(DomainError):
    """The idempotency key was used for another request."""

    code = "idempotency_conflict"
    status = 409


def known_job(project_id: UUID, key: str, fingerprint: str) -> AsyncJob | None:
    """The job an idempotency key made. One query. Raises IdempotencyError for another request."""
    rows = AsyncJob.objects.filter(project=project_id, idempotency_key=key)
    found = rows.defer("sealed_call", "sealed_answer").first() if key else None
    if found is not None and found.fingerprint != fingerprint:
        raise IdempotencyError("This Idempotency-Key was used for another request.")
    return found


def store_job(
    *,
    call: Call,
    cipher: crypto.Cipher,
    idempotency_key: str,
    fingerprint: str,
    rules: ProjectRules,
    now: dt.datetime,
    webhook: Wanted | None = None,
    retry_of: UUID | None = None,
) -> AsyncJob:
    """Keep the call, or find the job its idempotency key made: compare the id. Three queries.

    Raises IdempotencyError, and DomainError 429 when too many jobs are open."""
    project_id, job_id = UUID(call.caller.project_id), UUID(call.id)
    open_rows = AsyncJob.objects.filter(project=project_id, state__in=("queued", "running"))
    if open_rows[:MAX_OPEN].count() >= MAX_OPEN:
        text = f"{MAX_OPEN} jobs of this project are not done yet. Try again later."
        raise DomainError(text, code="queue_full", status=429)
    deadline = dt.datetime.fromtimestamp(call.deadline_at, dt.UTC)
    sealed = crypto.seal(cipher, pack(call), context_of("call", project_id, job_id))
    sealed_url = None
    if webhook is not None and webhook.url:
        context = context_of("webhook", project_id, job_id)
        sealed_url = crypto.seal(cipher, webhook.url.encode(), context)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                project_id, job_id, UUID(call.caller.key_id), idempotency_key, fingerprint, call.priority,
                call.dialect.value, call.model[:200], sealed, rules.job_max_attempts, now + SETTLE, deadline,
                deadline + dt.timedelta(seconds=rules.job_keep_s), call.caller.user[:200], retry_of,
                webhook.place if webhook else "", sealed_url, WebhookState.WAITING if webhook else "",
                now if webhook else None, now, now,
            ],
        )  # fmt: skip
        is_new = cursor.rowcount == 1
    if is_new:
        return AsyncJob(project_id=project_id, id=job_id, state=JobState.QUEUED, fingerprint=fingerprint)  # fmt: skip
    found = known_job(project_id, idempotency_key, fingerprint)
    if found is None:  # deleted in between: its time was over
        raise DomainError("Send it again.", code="try_again", status=503)
    return found


def token_of(call: Call) -> str:
    """Which try of a job: calls are handed out at times of one clock, a job to one worker at a time."""
    return f"{call.claimed_at:.3f}"


def claim_job(call: Call, now: dt.datetime) -> bool:
    """Whether this try may begin; nobody else may then. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            [
                token_of(call), now + LEASE, now, now, UUID(call.caller.project_id), UUID(call.id), now,
            ],
        )  # fmt: skip
        return bool(cursor.rowcount == 1)


def keep_jobs(calls: Sequence[Call], now: dt.datetime) -> set[str]:
    """A sign of life for jobs that run here; the ids of those that still are this worker's. One query."""
    projects = [UUID(one.caller.project_id) for one in calls]
    ids, tokens = [UUID(one.id) for one in calls], [token_of(one) for one in calls]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [now + LEASE, projects, ids, tokens])
        return {found.hex for (found,) in cursor.fetchall()}


def take_back(job: AsyncJob, now: dt.datetime) -> bool:
    """Its worker was not heard of for LEASE: again, or it failed. Whether it was still that worker's. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LOST, [now, now, now, job.project_id, job.id, job.owner])
        return bool(cursor.rowcount == 1)


def finish_jobs(
    cursor: Any, finished: Sequence[Finished], cipher: crypto.Cipher, now: dt.datetime
) -> None:
    """How jobs among these ended, in the transaction that records them. One query each."""
    is_told = False
    for one in finished:
        call = one.call
        if not call.is_job:
            continue
        ids = [UUID(call.caller.project_id), UUID(call.id)]
        if one.state == RequestState.LOST.value:
            cursor.execute(_LOST, [now, now, now, *ids, token_of(call)])
            is_told |= _wants_telling(cursor)
            continue
        state = _STATES.get(one.state, JobState.FAILED)
        body = one.answer if state == JobState.DONE else b""
        if not body:
            body = error_body(
                call.dialect,
                status=one.status,
                code=one.error or one.state,
                message=one.message,
                request_id=call.id,
            )
        sealed = crypto.seal(cipher, body, context_of("answer", *ids))
        cursor.execute(_ENDED, [state, now, sealed, one.status, one.error, now, *ids])
        is_told |= _wants_telling(cursor)
    if is_told:
        transaction.on_commit(bell.ring, robust=True)


def _wants_telling(cursor: Any) -> bool:
    """Whether the job that was just moved on has ended, and somebody is to hear of it."""
    row = cursor.fetchone()
    return row is not None and row[0] in ENDED and bool(row[1])


def job_of(project_id: UUID, job_id: str) -> AsyncJob:
    """By its id, with or without dashes. One query. Raises NotFoundError."""
    wanted = parse_uuid(job_id)
    found = AsyncJob.objects.filter(project=project_id, id=wanted).first() if wanted else None
    if found is None:
        raise NotFoundError("There is no such request.")
    return found


def answer_of(job: AsyncJob, cipher: crypto.Cipher) -> bytes:
    """What the provider said, or the error, in the call's own dialect; empty while it is not there."""
    if job.sealed_answer is None:
        return b""
    return crypto.unseal(cipher, job.sealed_answer, context_of("answer", job.project_id, job.id))


def call_of(job: AsyncJob, cipher: crypto.Cipher) -> Call:
    """Raises core.crypto.DecryptionError."""
    context = context_of("call", job.project_id, job.id)
    return unpack_call(crypto.unseal(cipher, job.sealed_call, context))


def json_of(job: AsyncJob) -> Mapping[str, str]:
    """What a 202 says."""
    return {
        "id": job.id.hex,
        "object": "request",
        "status": str(job.state),
        "url": url_of(job),
    }


def url_of(job: AsyncJob) -> str:
    return f"/api/v1/requests/{job.id.hex}"


def seal_again(organization: Organization) -> None:
    """With the organisation's newest data key, before an older one goes (projects.resealing)."""
    cipher = crypto.data_cipher(organization.data_key)
    for project_id in Project.objects.filter(organization=organization).values_list(
        "pk", flat=True
    ):
        rows = AsyncJob.objects.select_for_update().filter(project=project_id)
        for job in rows.iterator(chunk_size=50):
            call = context_of("call", project_id, job.id)
            job.sealed_call = crypto.seal(
                cipher, crypto.unseal(cipher, job.sealed_call, call), call
            )
            if job.sealed_answer is not None:
                answer = context_of("answer", project_id, job.id)
                plain = crypto.unseal(cipher, job.sealed_answer, answer)
                job.sealed_answer = crypto.seal(cipher, plain, answer)
            if job.sealed_webhook is not None:
                where = context_of("webhook", project_id, job.id)
                plain = crypto.unseal(cipher, job.sealed_webhook, where)
                job.sealed_webhook = crypto.seal(cipher, plain, where)
            AsyncJob.objects.filter(project=project_id, id=job.id).update(
                sealed_call=job.sealed_call,
                sealed_answer=job.sealed_answer,
                sealed_webhook=job.sealed_webhook,
            )
