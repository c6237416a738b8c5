"""What the overview shows, each part read when it is asked for and only once."""

import datetime as dt
import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from django.core.cache import cache
from django.db.models import Q

from core.ranges import TimeRange
from costs.budgets.selectors import Standing, budgets_for_project, standings
from gateway.models import CacheThreshold, Connection, Limit, LimitScope, LLMRequest, Route
from gateway.overview.attention import Notice, Seen, notices_of
from gateway.overview.frame import Asked
from gateway.overview.links import Links
from gateway.overview.queue import Queue, queue_of
from gateway.overview.targets import (
    TargetRow,
    Tried,
    Way,
    callable_connections,
    fallbacks_in,
    rows_of,
    tried_in,
)
from gateway.overview.traffic import Sums, Traffic, Waits, traffic_of, waits_of
from gateway.quotas import selectors as limits
from gateway.routing.health import HealthView, read_health
from gateway.routing.services import rules_of_route
from projects.models import ApiKey, Project

# Raise it when the shape of kept answers changes.
SHAPE = 1
# Answers that took long are kept for so many times as long, so that pages that ask again by themselves never keep
# PostgreSQL busy; quick ones are always read anew.
QUICK_S, TIMES, LONGEST_S = 0.05, 20, 60
NEAREST = 5
T = TypeVar("T")


class Reading:
    """One project's gateway over a time. Each part says how many queries it is."""

    def __init__(self, project: Project, asked: Asked, *, now: dt.datetime) -> None:
        self.project, self.asked, self.now = project, asked, now
        self.links = Links(project.ref, asked.range)

    @cached_property
    def traffic(self) -> tuple[TimeRange, Traffic]:
        """With the time it is of, which may have ended a moment ago. One query, or none."""
        period = self.asked.range
        return self._kept("traffic", lambda: (period, traffic_of(self.project.pk, period)))

    @cached_property
    def total(self) -> Sums:
        """Queries as `traffic`."""
        return self.traffic[1].total

    @cached_property
    def waits(self) -> dict[str, Waits]:
        """One query, or none."""
        return self._kept("waits", lambda: waits_of(self.project.pk, self.asked.range))

    @cached_property
    def tried(self) -> list[Tried]:
        """One query, or none."""
        return self._kept("tried", lambda: tried_in(self.project.pk, self.asked.range))

    @cached_property
    def ways(self) -> list[Way]:
        """One query, or none."""
        return self._kept("ways", lambda: fallbacks_in(self.project.pk, self.asked.range))

    @cached_property
    def connections(self) -> dict[str, Connection]:
        """One query."""
        return callable_connections(self.project)

    @cached_property
    def health(self) -> HealthView:
        """One question to Redis."""
        return read_health(now=self.now.timestamp())

    @cached_property
    def targets(self) -> list[TargetRow]:
        """Queries as `tried` and `connections`."""
        return rows_of(self.tried, self.health, self.connections, now=self.now)

    @cached_property
    def queue(self) -> Queue:
        """One query, and two questions to Redis."""
        return queue_of(self.project)

    @cached_property
    def limits(self) -> list[limits.Row]:
        """Those nearest to their end that count calls of this project. Two queries at most, three more for the names
        of keys and projects."""
        rows = limits.rows_of(self._counting(), now=self.now)
        return sorted(rows, key=lambda row: row.top.share, reverse=True)[:NEAREST]

    @cached_property
    def budgets(self) -> list[Standing]:
        """Hard budgets nearest to their end that calls of this project may count towards. One query; where there are
        any, those of `costs.budgets.selectors.amounts` too."""
        project = self.project
        found = budgets_for_project(project.organization_id, project.pk)
        rows = standings([one for one in found if one.is_hard], self.now) if found else []
        running = [one for one in rows if one.is_running]
        return sorted(running, key=lambda one: one.share, reverse=True)[:NEAREST]

    def _counting(self) -> list[Limit]:
        found = Limit.objects.select_related("project").filter(
            Q(project=None) | Q(project=self.project),
            organization_id=self.project.organization_id,
            is_paused=False,
        )
        rows = list(found.order_by("pk"))
        named = [one for one in rows if one.value and one.scope == LimitScope.KEY]
        if not named:
            return rows
        # Those of other projects' keys count other calls.
        ids = ApiKey.objects.filter(project=self.project).values_list("pk", flat=True)
        keys = {str(pk) for pk in ids}
        return [one for one in rows if one not in named or one.value in keys]

    @cached_property
    def notices(self) -> list[Notice]:
        """Queries as the parts it judges, and two."""
        routes = Route.objects.filter(project=self.project, is_enabled=True).order_by("name", "pk")
        broken = [(str(one.pk), one.name) for one in routes if self._is_broken(one)]
        tightened = CacheThreshold.objects.filter(project=self.project).order_by("route")
        seen = Seen(
            project=self.project,
            total=self.total,
            queue=self.queue,
            targets=self.targets,
            connections=self.connections,
            limits=self.limits,
            broken_routes=broken,
            tightened=list(tightened.values_list("route", flat=True)[:NEAREST]),
            links=self.links,
        )
        return notices_of(seen)

    def _is_broken(self, route: Route) -> bool:
        return any(one.connection not in self.connections for one in rules_of_route(route).targets)

    @cached_property
    def has_calls(self) -> bool:
        """Whether the project ever called. One more query where this time has no call."""
        return bool(self.total.calls) or LLMRequest.objects.filter(project=self.project).exists()

    def _kept(self, name: str, compute: Callable[[], T]) -> T:
        period = self.asked.range
        key = f"gateway:overview:{SHAPE}:{self.project.pk.hex}:{name}:{period.key}"
        kept = cache.get(key)
        if kept is not None:
            found: T = kept[0]
            return found
        began = time.perf_counter()
        answer = compute()
        took = time.perf_counter() - began
        if took > QUICK_S:
            cache.set(key, (answer,), min(LONGEST_S, max(1, round(took * TIMES))))
        return answer
