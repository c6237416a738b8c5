"""Reads about calls that ended, and of what waits now."""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from redis import Redis
from redis.exceptions import RedisError

from core.errors import NotFoundError
from core.keyset import keyset_page
from gateway.models import (
    ENDED,
    AsyncJob,
    Connection,
    JobState,
    LLMRequest,
    RequestState,
    Route,
)
from gateway.queues.line import Depth, Live, depths_of, live_of
from gateway.requests.lists import (
    DIRECT,
    FAILED_STATES,
    FAILING,
    HIT,
    LIMITED,
    NO_ANSWER,
    UNANSWERED,
    Asked,
)
from gateway.structs import PRIORITIES
from gateway.sums.adding import LIMITED as LIMITED_BY
from projects.models import ApiKey, Project
from traces.selectors import detail
from traces.views.step_gateway import gateway_context

logger = logging.getLogger(__name__)
PAGE = 50
MAX_EXPORT = 10_000
CHUNK = 1_000
REDIS_WAIT_S = 0.5
JOBS = 20
OPEN = (JobState.QUEUED, JobState.RUNNING)
_SEALED = ("sealed_call", "sealed_answer", "sealed_webhook")
# A request's id says when it was made; its row is of that time, give or take two machines' clocks.
SLACK = dt.timedelta(days=1)


@dataclass(frozen=True)
class Page:
    """Some calls, and where the next begin (empty: nowhere)."""

    rows: Sequence[LLMRequest]
    after: str


@dataclass(frozen=True)
class Now:
    """What waits in line per priority, and jobs that are not done. `depths` None: Redis is away."""

    depths: dict[str, Depth] | None
    jobs: Sequence[AsyncJob]
    # Calls whose clients wait for them.
    calls: Sequence[Live] = ()

    @property
    def is_open(self) -> bool:
        """Whether there is something to list."""
        return bool(self.calls or self.jobs)

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in (self.depths or {}).values())


def listed(project: Project, asked: Asked, *, limit: int = PAGE) -> Page:
    """A page of calls in the order asked for. One query. Raises InvalidCursorError."""
    rows, after = keyset_page(
        _narrowed(project, asked),
        sort=asked.sort, column="accepted_at", kind=dt.datetime, after=asked.after, limit=limit,
    )  # fmt: skip
    return Page(rows, after)


def exported(project: Project, asked: Asked) -> Iterator[LLMRequest]:
    """At most MAX_EXPORT calls in order, CHUNK per query."""
    left = MAX_EXPORT
    while left > 0:
        page = listed(project, asked, limit=min(CHUNK, left))
        yield from page.rows
        left -= len(page.rows)
        if not page.after:
            return
        asked = Asked(**(vars(asked) | {"after": page.after}))


def _narrowed(project: Project, asked: Asked) -> QuerySet[LLMRequest]:
    rows = LLMRequest.objects.filter(
        project=project, accepted_at__gte=asked.range.start, accepted_at__lt=asked.range.end
    )
    if asked.state == FAILING:
        rows = rows.filter(state__in=FAILED_STATES)
    elif asked.state == UNANSWERED:
        rows = rows.filter(state__in=NO_ANSWER)
    elif asked.state == LIMITED:
        rows = rows.filter(state=RequestState.REFUSED, error__in=sorted(LIMITED_BY))
    elif asked.state:
        rows = rows.filter(state=asked.state)
    if asked.route:
        rows = rows.filter(route="" if asked.route == DIRECT else asked.route)
    if asked.model:
        rows = rows.filter(Q(asked_model__icontains=asked.model) | Q(model__icontains=asked.model))
    if asked.key_id:
        rows = rows.filter(api_key_id=asked.key_id)
    if asked.priority:
        rows = rows.filter(priority=PRIORITIES.index(asked.priority))
    if asked.cache == HIT:
        rows = rows.filter(cache__in=("exact", "semantic"))
    elif asked.cache:
        rows = rows.filter(cache="" if asked.cache == "none" else asked.cache)
    if asked.fallback:
        rows = rows.filter(**{"fallbacks__gt" if asked.fallback == "yes" else "fallbacks": 0})
    return rows.filter(_tried_at(asked)) if asked.connection_id or asked.target else rows


def _tried_at(asked: Asked) -> Q:
    """Calls with a try there: where only one was made the row itself says where."""
    only, one_of = Q(attempts__gt=0, tries__isnull=True), {}
    if asked.connection_id:
        only &= Q(connection_id=asked.connection_id)
        one_of["connection"] = asked.connection_id.hex
    if asked.target:
        only &= Q(target_model=asked.target) | Q(target_model="", model=asked.target)
        one_of["model"] = asked.target
    return only | Q(tries__contains=[one_of])


def request_of(project: Project, request_id: UUID) -> LLMRequest:
    """A call that ended. One query. Raises NotFoundError."""
    rows = LLMRequest.objects.filter(project=project, id=request_id)
    if request_id.version == 7:
        made = dt.datetime.fromtimestamp((request_id.int >> 80) / 1000, dt.UTC)
        rows = rows.filter(accepted_at__gte=made - SLACK, accepted_at__lte=made + SLACK)
    found = rows.first()
    if found is None:
        raise NotFoundError("There is no such request in this project, or it has not ended yet.")
    return found


def told_of(project: Project, row: LLMRequest) -> dict[str, Any]:
    """What its step in the trace tells: whether it is there, where the time went, every try. Three queries at most."""
    trace = detail.trace_of(project, row.trace_id) if row.trace_id else None
    step = detail.step_of(trace, row.span_id) if trace and row.span_id else None
    if step is None:
        return {"step": None, "gateway": None}
    content = detail.step_content(project, step)
    return {"step": step, "gateway": gateway_context(content.content)}


def names_for(project: Project, row: LLMRequest) -> dict[str, str]:
    """What its connection and key are called; empty when they are gone. Two queries."""
    names = {"connection": connection_name(project, row.connection_id), "key": ""}
    if row.api_key_id:
        keys = ApiKey.objects.filter(project=project, pk=row.api_key_id)
        names["key"] = keys.values_list("name", flat=True).first() or ""
    return names


def connection_name(project: Project, connection_id: UUID | None) -> str:
    """Empty when it is gone or another organisation's. One query, none without an id."""
    if connection_id is None:
        return ""
    mine = Connection.objects.filter(organization=project.organization_id, pk=connection_id)
    return mine.values_list("name", flat=True).first() or ""


def keys_of(project: Project) -> list[tuple[UUID, str]]:
    """Keys to choose from, revoked ones too: their calls are still there. One query."""
    rows = ApiKey.objects.filter(project=project).order_by(Lower("name"), "pk")
    return list(rows.values_list("pk", "name")[:500])


def routes_of(project: Project) -> list[str]:
    """Names of routes to choose from. One query."""
    rows = Route.objects.filter(project=project).order_by(Lower("name"))
    return list(rows.values_list("name", flat=True)[:200])


def waiting_now(project: Project) -> Now:
    """One query, and one visit to Redis. Of jobs and calls the first ones, by priority and age."""
    rows = AsyncJob.objects.filter(project=project, state__in=OPEN).defer(*_SEALED)
    jobs = list(rows.order_by("priority", "created_at", "id")[:JOBS])
    known = {job.id.hex for job in jobs}
    depths, live = _line(project)
    # A job is listed by its row; more of them than are shown must not hide calls.
    return Now(depths, jobs, [one for one in live if one.id not in known][: 2 * JOBS])


def job_of(project: Project, request_id: UUID) -> AsyncJob | None:
    """The job among requests that are answered later. One query."""
    return AsyncJob.objects.filter(project=project, id=request_id).defer(*_SEALED).first()


def live_call(project: Project, request_id: UUID) -> Live | None:
    """A call that waits or runs, if it is among the first. No query."""
    return next((one for one in _line(project)[1] if one.id == request_id.hex), None)


def made_again(project: Project, request_id: UUID) -> list[UUID]:
    """The requests that were made of this one again, oldest first. One query."""
    rows = AsyncJob.objects.filter(project=project, retry_of=request_id).order_by("created_at")
    return list(rows.values_list("id", flat=True)[:20])


def kept_of(project: Project, rows: Sequence[LLMRequest]) -> set[UUID]:
    """Which of these can be made again. One query."""
    mine = AsyncJob.objects.filter(project=project, id__in=[row.id for row in rows])
    return set(mine.filter(state__in=ENDED).values_list("id", flat=True))


def _line(project: Project) -> tuple[dict[str, Depth] | None, list[Live]]:
    wait = {"socket_timeout": REDIS_WAIT_S, "socket_connect_timeout": REDIS_WAIT_S}
    try:
        with Redis.from_url(settings.REDIS_URL, **wait) as client:
            name = project.pk.hex
            return depths_of(client, name), live_of(client, name, most=2 * JOBS)
    except RedisError:
        logger.warning("gateway.requests.no_line")
        return None, []
