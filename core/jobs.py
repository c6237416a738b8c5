"""Long jobs people watch: advanced step by step from the outbox, resumable after a kill, cancelled between steps.

A kind registers one function that does the next step of a job. Each step is one outbox row and one transaction: its
effects, the job's progress and the place where the next step goes on are committed together, or none of them. A killed
worker repeats at most the step it was in; a step that fails three times ends the job as failed, with the reason.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import outbox
from core.errors import ConflictError
from core.models import Job, OutboxItem

TOPIC, SLOW_TOPIC = "core.job_step", "core.slow_job_step"


@dataclass(frozen=True)
class Step:
    """What one step did. `cursor` is JSON; None ends the job, with `message` and `result` as its outcome."""

    done: int
    cursor: dict[str, Any] | None
    message: str = ""
    total: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    # Seconds until the next step, for work that waits for something.
    wait_s: float = 0


class Runner(Protocol):
    """Does the next step of `job` (its `params` and `cursor` say which), inside the step's transaction.

    Keep a step well under 10 s: the cancel button works between steps, and a step's locks are held until its end.
    """

    def __call__(self, job: Job, *, now: dt.datetime) -> Step: ...


Ended = Callable[[Job], None]


@dataclass(frozen=True)
class Kind:
    run: Runner
    # Called inside the last transaction however the job ends (done, failed, cancelled); `job.state` says how.
    ended: Ended | None = None
    # Whether its steps wait for others, such as a provider's API: they run apart, few at a time.
    is_slow: bool = False

    @property
    def topic(self) -> str:
        return SLOW_TOPIC if self.is_slow else TOPIC


_KINDS: dict[str, Kind] = {}
# Everything but `cancel_requested_at`, which somebody may set while a step runs.
_ADVANCED = (
    "state", "done", "total", "message", "cursor", "result", "step", "ended_at", "updated_at",
)  # fmt: skip


def register(kind: str, run: Runner, *, ended: Ended | None = None, is_slow: bool = False) -> None:
    """Say how jobs of `kind` advance (from the app's `ready`)."""
    _KINDS[kind] = Kind(run, ended, is_slow)


def is_registered(kind: str) -> bool:
    """Whether jobs of `kind` run their steps here (and can be cancelled here)."""
    return kind in _KINDS


def runner(kind: str) -> Callable[[Runner], Runner]:
    """`register` as a decorator, for a module that `ready` imports."""

    def apply(function: Runner) -> Runner:
        register(kind, function)
        return function

    return apply


def create_job(
    *,
    kind: str,
    title: str,
    organization_id: UUID,
    project_id: UUID | None = None,
    created_by_id: UUID | None = None,
    total: int = 0,
    params: dict[str, object] | None = None,
) -> Job:
    """A queued job that nothing advances yet: the caller enqueues work of its own in the same transaction."""
    return Job.objects.create(
        kind=kind,
        title=title,
        organization_id=organization_id,
        project_id=project_id,
        created_by_id=created_by_id,
        total=total,
        params=params or {},
    )


@transaction.atomic
def start(
    *,
    kind: str,
    title: str,
    organization_id: UUID,
    now: dt.datetime,
    project_id: UUID | None = None,
    created_by_id: UUID | None = None,
    total: int = 0,
    params: dict[str, object] | None = None,
) -> Job:
    """A job of a registered kind with its first step."""
    if kind not in _KINDS:
        raise LookupError(f"No runner is registered for jobs of kind {kind!r}.")
    job = create_job(
        kind=kind,
        title=title,
        organization_id=organization_id,
        project_id=project_id,
        created_by_id=created_by_id,
        total=total,
        params=params,
    )
    _enqueue(job, now=now, wait_s=0)
    return job


def _enqueue(job: Job, *, now: dt.datetime, wait_s: float) -> None:
    outbox.enqueue(
        topic=_KINDS[job.kind].topic,
        key=f"{TOPIC}:{job.pk}:{job.step}",
        payload={"job_id": str(job.pk)},
        now=now,
        available_at=now + dt.timedelta(seconds=wait_s),
    )


@outbox.handler(SLOW_TOPIC, is_slow=True)
@outbox.handler(TOPIC)
def handle_step(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work: the job's next step and the row of the one after it, in one transaction."""
    # Not locked: the outbox row already makes this the job's only step, and the cancel button must not wait for it.
    job = Job.objects.filter(pk=payload["job_id"]).first()
    if job is None or not job.is_open:
        return
    kind = _KINDS[job.kind]
    if job.cancel_requested_at is not None:
        _end(job, kind, Job.State.CANCELLED, "Cancelled.", now)
        return
    step = kind.run(job, now=now)
    job.done += step.done
    job.total = job.total if step.total is None else step.total
    job.message = step.message
    job.result = {**job.result, **step.result}
    job.step += 1
    if step.cursor is None:
        _end(job, kind, Job.State.DONE, step.message, now)
        return
    job.cursor, job.state = step.cursor, Job.State.RUNNING
    job.save(update_fields=_ADVANCED)
    # The clock has moved on while the step ran.
    _enqueue(job, now=max(now, timezone.now()), wait_s=step.wait_s)


def _end(job: Job, kind: Kind | None, state: str, message: str, now: dt.datetime) -> None:
    job.state, job.message, job.ended_at = state, message, now
    if kind is not None and kind.ended is not None:
        kind.ended(job)
    job.save(update_fields=_ADVANCED)


@outbox.dead_handler(SLOW_TOPIC)
@outbox.dead_handler(TOPIC)
def fail_dead_job(*, item: OutboxItem, error: str, now: dt.datetime) -> None:
    """The step was given up: the job ends as failed and says why."""
    job = Job.objects.filter(pk=item.payload["job_id"]).first()
    if job is not None and job.is_open:
        _end(job, _KINDS.get(job.kind), Job.State.FAILED, f"It failed three times: {error}", now)


def request_cancel(job_id: UUID, *, now: dt.datetime) -> None:
    """End the job before its next step. Raises ConflictError when it has ended already."""
    asked = Job.objects.filter(pk=job_id, state__in=(Job.State.QUEUED, Job.State.RUNNING)).update(
        cancel_requested_at=now, message="Cancelling after the current step."
    )
    if not asked:
        raise ConflictError("The job has ended already; there is nothing left to cancel.")
    _hurry(job_id, now=now)


def _hurry(job_id: UUID, *, now: dt.datetime) -> None:
    """Let the job's next step, which may wait for hours, be due now. A step under way is left alone."""
    job = Job.objects.get(pk=job_id)
    key = f"{TOPIC}:{job.pk}:{job.step}"
    with transaction.atomic():
        rows = OutboxItem.objects.select_for_update(skip_locked=True).filter(
            key=key, done_at=None, dead_at=None, available_at__gt=now
        )
        for item in rows:
            OutboxItem.objects.filter(pk=item.pk).update(available_at=now)
            ring = partial(outbox.ring, is_slow=item.topic == SLOW_TOPIC)
            transaction.on_commit(ring, robust=True)


def advance(job_id: UUID, *, by: int, message: str = "") -> None:
    """Count `by` more units done, for a job whose domain runs its own steps."""
    Job.objects.filter(pk=job_id).update(
        done=F("done") + by, state=Job.State.RUNNING, message=message
    )


def finish(job_id: UUID, *, state: str = Job.State.DONE, message: str = "") -> None:
    """End such a job; a finished job keeps its counts."""
    Job.objects.filter(pk=job_id).update(state=state, message=message)
