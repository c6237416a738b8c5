"""Somebody cancels calls: jobs that wait or run, and calls whose clients still wait for them (these read a 499)."""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from accounts.services import record_audit_event
from core import crypto
from core.errors import ConflictError, DomainError
from gateway.models import ENDED, AsyncJob, JobState, RequestState
from gateway.queues.line import stop_calls
from gateway.requests import bell, jobs, sweeping
from gateway.routing.services import By
from projects.models import Project

logger = logging.getLogger(__name__)
WAIT_S = 2.0
MOST = 200
AWAY = "The queue does not answer, so its worker cannot be told. Send it again in a moment."


@dataclass(frozen=True)
class Cancelled:
    """`stopped` wait no more, `told` run and end as soon as their workers hear of it, `left` had ended already."""

    stopped: int = 0
    told: int = 0
    left: int = 0


def cancel_job(job: AsyncJob, cipher: crypto.Cipher, *, now: dt.datetime) -> bool:
    """End it if nobody has begun it, else tell its worker; one that ended stays as it is. Whether it waited.

    Raises DomainError 503 when its worker cannot be told."""
    rows = AsyncJob.objects.filter(project=job.project_id, id=job.id, state=JobState.QUEUED)
    # First here, so that no worker can take it any more.
    is_ours = rows.update(state=JobState.CANCELLED, ended_at=now, status_code=499, error="cancelled")  # fmt: skip
    try:
        _tell(job.project_id, [job.id.hex])
    except RedisError:
        if not is_ours and job.state == JobState.RUNNING:
            raise DomainError(AWAY, code="queue_unavailable", status=503) from None
    if is_ours:
        sweeping.end_call(job, jobs.call_of(job, cipher), RequestState.CANCELLED, now=now)
        if job.webhook_state:
            bell.ring()
    return bool(is_ours)


def cancel_calls(
    *, project: Project, call_ids: Sequence[UUID], by: By, now: dt.datetime
) -> Cancelled:
    """Cancel those of the project's calls that wait or run, jobs or not. Raises ConflictError when none of them does,
    DomainError 503 when the queue does not answer."""
    wanted = list(dict.fromkeys(call_ids))[:MOST]
    rows = AsyncJob.objects.filter(project=project, id__in=wanted).defer("sealed_answer")
    mine = {job.id: job for job in rows}
    cipher = crypto.data_cipher(project.organization.data_key)
    stopped = told = 0
    for job in mine.values():
        if job.state in ENDED:
            continue
        if cancel_job(job, cipher, now=now):
            stopped += 1
        else:
            told += 1
    rest = [one.hex for one in wanted if one not in mine]
    try:
        states = _tell(project.pk, rest)
    except RedisError:
        raise DomainError(AWAY, code="queue_unavailable", status=503) from None
    stopped += sum(state in ("waiting", "claimed") for state in states)
    told += sum(state == "begun" for state in states)
    if not stopped + told:
        raise ConflictError("Only what waits or runs can be cancelled; this has ended.")
    record_audit_event(
        organization_id=project.organization_id,
        actor=by.user,
        actor_label=by.label,
        action="gateway.requests.cancelled",
        target=project.name,
        data={"project": str(project.pk), "requests": [str(one) for one in wanted]},
    )
    return Cancelled(stopped, told, len(wanted) - stopped - told)


def tell_line(project_id: UUID, call_ids: Sequence[str]) -> None:
    """Best effort, for jobs whose rows are gone."""
    try:
        _tell(project_id, call_ids)
    except RedisError:
        logger.warning("gateway.jobs.not_told", extra={"jobs": len(call_ids)})


def _tell(project_id: UUID, call_ids: Sequence[str]) -> list[str]:
    if not call_ids:
        return []
    wait = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
    with Redis.from_url(settings.REDIS_URL, **wait) as redis:
        return stop_calls(redis, project_id.hex, call_ids)
