"""Jobs that the line lost are put in it again, late ones end, old ones go. Twice at once does no harm."""

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from redis import Redis
from redis.exceptions import RedisError

from core import crypto
from gateway.models import AsyncJob, JobState, RequestState
from gateway.queues.line import BOUNDS, MAX_MODEL
from gateway.queues.link import script
from gateway.recording import writer
from gateway.recording.replay import is_away
from gateway.requests.jobs import SETTLE, call_of, take_back
from gateway.requests.telling import IS_TOLD
from gateway.structs import Call, Finished, pack
from projects.models import Project

logger = logging.getLogger(__name__)
BATCH = 200
FORGET = 2_000
# A run ends itself at its deadline; whoever has not said so after this cannot any more.
GRACE = dt.timedelta(minutes=2)
WAIT_S = 2.0
TELLING = dt.timedelta(days=2)


_ENDS = {
    RequestState.CANCELLED: (499, "cancelled", "It was cancelled."),
    RequestState.EXPIRED: (504, "deadline_exceeded", "It was not done before its deadline."),
    RequestState.FAILED: (503, "worker_died", "The worker that made it gave no sign of life."),
}


def sweep(*, now: dt.datetime) -> int:
    """How many jobs were put in line or ended."""
    done = _end_late(now) + _take_back(now) + _push_lost(now)
    # Who is still to be told is told first; after a day of trying nobody is.
    old = AsyncJob.objects.filter(IS_TOLD | Q(expires_at__lt=now - TELLING), expires_at__lt=now)
    AsyncJob.objects.filter(pk__in=old.values("pk")[:FORGET]).delete()
    return done


def end_call(job: AsyncJob, call: Call, state: RequestState, *, now: dt.datetime) -> None:
    """Record that nobody made it (or that nobody says so any more): request list, limits and the job's own end."""
    status, code, text = _ENDS[state]
    ended = Finished(
        call=call, ended_at=now.timestamp(), state=state.value, status=status, error=code, message=text
    )  # fmt: skip
    writer.record([ended], now=now)


def _opened(jobs: Sequence[AsyncJob]) -> list[tuple[AsyncJob, Call]]:
    """With their calls. One query; what cannot be opened is logged and left to its deadline."""
    projects = Project.objects.select_related("organization").in_bulk([one.project_id for one in jobs])  # fmt: skip
    found = []
    for job in jobs:
        project = projects.get(job.project_id)
        try:
            if project is not None:
                cipher = crypto.data_cipher(project.organization.data_key)
                found.append((job, call_of(job, cipher)))
        except (crypto.DecryptionError, msgspec.MsgspecError):
            logger.exception("gateway.jobs.sealed", extra={"job_id": str(job.id)})
    return found


def _end_late(now: dt.datetime) -> int:
    late = AsyncJob.objects.filter(state=JobState.QUEUED, deadline_at__lt=now)
    dead = AsyncJob.objects.filter(state=JobState.RUNNING, deadline_at__lt=now - GRACE)
    jobs = [*late[:BATCH], *dead[:BATCH]]
    _end_all(jobs, RequestState.EXPIRED, now)
    # Whatever could not be opened or recorded ends all the same.
    for job in jobs:
        rows = AsyncJob.objects.filter(project=job.project_id, id=job.id, state=job.state)
        rows.update(state=JobState.EXPIRED, status_code=504, error="deadline_exceeded", ended_at=now)  # fmt: skip
    return len(jobs)


def _take_back(now: dt.datetime) -> int:
    """Jobs whose worker gave no sign of life for a lease: it is gone with its machine, or has stopped them itself."""
    lapsed = AsyncJob.objects.filter(
        state=JobState.RUNNING, lease_until__lt=now, deadline_at__gt=now
    ).order_by("lease_until")
    jobs = list(lapsed.defer("sealed_answer")[:BATCH])
    _end_all([one for one in jobs if one.attempts >= one.max_attempts], RequestState.FAILED, now)
    for job in jobs:
        logger.warning("gateway.jobs.taken_back", extra={"job_id": str(job.id)})
        take_back(job, now)  # those that could not be opened or recorded fail all the same
    return len(jobs)


def _end_all(jobs: Sequence[AsyncJob], state: RequestState, now: dt.datetime) -> None:
    """Record that nobody made them; one's fault is not the others'."""
    for job, call in _opened(jobs):
        try:
            end_call(job, call, state, now=now)
        except Exception as error:
            if is_away(error):
                raise
            logger.exception("gateway.jobs.not_recorded", extra={"job_id": str(job.id)})


def _push_lost(now: dt.datetime) -> int:
    with transaction.atomic():
        due = AsyncJob.objects.select_for_update(skip_locked=True).filter(
            state=JobState.QUEUED, available_at__lte=now, deadline_at__gt=now
        )
        jobs = list(due.order_by("available_at")[:BATCH])
        taken = AsyncJob.objects.filter(pk__in=[job.pk for job in jobs])
        taken.update(available_at=now + SETTLE)
    if not jobs:
        return 0
    try:
        wait = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
        with Redis.from_url(settings.REDIS_URL, **wait) as redis:
            return sum(_push(redis, call, now) for _, call in _opened(jobs))
    except RedisError:
        logger.warning("gateway.jobs.no_line")
        return 0


def push_now(call: Call, *, now: dt.datetime) -> None:
    """Put a stored job in line; what does not get in is put there by the sweeper."""
    try:
        wait = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
        with Redis.from_url(settings.REDIS_URL, **wait) as redis:
            _push(redis, call, now)
    except RedisError:
        logger.warning("gateway.jobs.not_pushed")


def _push(redis: Redis, call: Call, now: dt.datetime) -> bool:
    """Whether it waits now; one that is there already stays where it is."""
    left_ms = round((call.deadline_at - now.timestamp()) * 1000)
    answer: Any = redis.eval(
        script("push").source, 1, "{gw}", 0, call.id, call.priority, call.caller.project_id, pack(call), left_ms,
        BOUNDS.calls, BOUNDS.calls, BOUNDS.bytes, call.model[:MAX_MODEL],
    )  # fmt: skip
    return bool(answer[0] == 1)
