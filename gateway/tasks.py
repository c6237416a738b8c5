"""Celery shells of the gateway. Calls themselves are not tasks: they wait in a line of their own (ADR 11)."""

import datetime as dt
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from gateway.batches import looking
from gateway.cache import emptying, shadow
from gateway.connections import checking, holding
from gateway.quotas import sweeping
from gateway.recording import recorder, replay, writer
from gateway.requests import sweeping as job_sweeping
from gateway.requests import telling
from gateway.routing import openings
from gateway.sums import forgetting


@shared_task(
    name="gateway.tasks.check_connection", queue="llm.high", time_limit=120, soft_time_limit=100
)
def check_connection(*, connection_id: str, started_at: str, model: str = "", **_: Any) -> bool:
    """One cheap call with each key of a connection; its page shows the outcome."""
    return checking.run_test(
        connection_id=UUID(connection_id),
        started_at=dt.datetime.fromisoformat(started_at),
        now=timezone.now,
        model=model,
    )


@shared_task(name="gateway.tasks.retire_keys", queue="llm.high", time_limit=60, soft_time_limit=50)
def retire_keys(**_: Any) -> int:
    """Delete what is sealed of replaced keys whose overlap is over."""
    return holding.retire_due(now=timezone.now())


@shared_task(
    name="gateway.tasks.replay_journals", queue="ingest", time_limit=300, soft_time_limit=270
)
def replay_journals(**_: Any) -> int:
    """What dead processes of this machine left in their journals."""
    return replay.replay(directory=recorder.directory(), write=writer.record, clock=timezone.now)


@shared_task(
    name="gateway.tasks.sweep_reservations", queue="llm.high", time_limit=60, soft_time_limit=50
)
def sweep_reservations(**_: Any) -> int:
    """Give back what was set aside for calls whose time ran out or whose process died."""
    return sweeping.sweep(timezone.now())


@shared_task(
    name="gateway.tasks.forget_counters", queue="llm.high", time_limit=120, soft_time_limit=100
)
def forget_counters(**_: Any) -> int:
    """Delete counters of windows long past, and put right what is held aside for calls that are gone."""
    now = timezone.now()
    return sweeping.forget_old(now) + sweeping.put_right(now)


@shared_task(name="gateway.tasks.check_hit", queue="llm.low", time_limit=180, soft_time_limit=160)
def check_hit(
    *,
    project_id: str,
    call: str,
    cached_id: str,
    similarity: float,
    threshold: float,
    **_: Any,
) -> bool | None:
    """Ask again for real what was answered by meaning: whether the kept answer was right."""
    found = shadow.check(
        project_id=UUID(project_id),
        call=call,
        cached_id=UUID(cached_id),
        similarity=similarity,
        threshold=threshold,
        now=timezone.now(),
    )
    return found.is_right if found else None


@shared_task(
    name="gateway.tasks.expire_answers", queue="analysis", time_limit=300, soft_time_limit=270
)
def expire_answers(**_: Any) -> int:
    """Delete kept answers whose time is over, and those beyond what a project may keep."""
    return emptying.sweep(now=timezone.now()) + emptying.cap()


@shared_task(name="gateway.tasks.sweep_jobs", queue="llm.high", time_limit=60, soft_time_limit=50)
def sweep_jobs(**_: Any) -> int:
    """Put jobs in line that are not in it, end those that are too late, forget old ones."""
    return job_sweeping.sweep(now=timezone.now())


@shared_task(
    name="gateway.tasks.keep_openings", queue="llm.high", time_limit=60, soft_time_limit=50
)
def keep_openings(**_: Any) -> int:
    """Bring when circuits opened and closed from Redis into rows."""
    return openings.keep_openings()


@shared_task(
    name="gateway.tasks.forget_sums", queue="analysis", time_limit=300, soft_time_limit=270
)
def forget_sums(**_: Any) -> int:
    """Delete sums of calls and openings of circuits that nobody asks for any more."""
    return forgetting.forget_old(timezone.now())


@shared_task(name="gateway.tasks.tell_of_jobs", queue="notify", time_limit=300, soft_time_limit=270)
def tell_of_jobs(**_: Any) -> int:
    """Webhooks of jobs that ended and are due."""
    return telling.tell_due(now=timezone.now)


@shared_task(
    name="gateway.tasks.watch_batches", queue="llm.high", time_limit=60, soft_time_limit=50
)
def watch_batches(**_: Any) -> int:
    """Have workers look at the batches whose time has come."""
    return looking.send_due(timezone.now())


@shared_task(
    name="gateway.tasks.look_at_batch", queue="llm.low", time_limit=900, soft_time_limit=870
)
def look_at_batch(*, project_id: str, batch_id: str, **_: Any) -> str:
    """Ask how far a batch at a provider is, and record its results once it ended."""
    return looking.look_at(project_id=UUID(project_id), batch_id=UUID(batch_id), now=timezone.now())
