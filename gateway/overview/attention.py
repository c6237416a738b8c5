"""What of a project's gateway somebody should look at, most urgent first (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.urls import reverse

from core import formats
from gateway.models import Connection
from gateway.overview.links import Links
from gateway.overview.queue import Queue
from gateway.overview.targets import TargetRow
from gateway.overview.traffic import Sums
from gateway.quotas.selectors import Row as LimitRow
from projects.models import Project

# Shares of fewer calls say nothing.
FEW = 20
WRONG_SHARE = 0.05
FELL_SHARE = 0.1
LONG_WAIT_S = 10.0
FULL_SHARE = 0.8
Tone = Literal["bad", "warn"]


@dataclass(frozen=True)
class Notice:
    """One thing to look at. `key` names the kind for programs."""

    key: str
    tone: Tone
    title: str
    why: str
    href: str


@dataclass(frozen=True)
class Seen:
    """What is judged."""

    project: Project
    total: Sums
    queue: Queue
    targets: Sequence[TargetRow]
    connections: Mapping[str, Connection]
    limits: Sequence[LimitRow]
    broken_routes: Sequence[tuple[str, str]]  # (id, name)
    tightened: Sequence[str]  # routes
    links: Links


def notices_of(seen: Seen) -> list[Notice]:
    """At most one per thing; those that stop calls come first."""
    parts = (_queue, _targets, _limits, _connections, _traffic, _setup)
    found = [notice for part in parts for notice in part(seen)]
    return sorted(found, key=lambda one: one.tone != "bad")


def _queue(seen: Seen) -> list[Notice]:
    queue, href = seen.queue, seen.links.now
    if queue.depths is None:
        why = (
            "Redis holds the line of waiting calls; until it is back, calls are refused with a 503."
        )
        return [Notice("queue_away", "bad", "The queue does not answer", why, href)]
    if not queue.workers:
        why = "Calls wait until their deadline. Start a worker of the queues llm.high, llm.normal and llm.low."
        return [Notice("no_worker", "bad", "No worker takes calls", why, href)]
    if queue.waiting >= queue.limit * FULL_SHARE:
        why = f"{formats.count(queue.waiting)} of {formats.count(queue.limit)} calls; beyond that callers get a 429."
        return [Notice("queue_full", "bad", "The queue is nearly full", why, href)]
    if queue.oldest_s >= LONG_WAIT_S:
        why = f"{formats.count(queue.waiting)} wait, the first since {formats.duration(queue.oldest_s * 1000)}."
        return [Notice("long_wait", "warn", "Calls wait long", why, href)]
    return []


def _targets(seen: Seen) -> list[Notice]:
    found = []
    organization = seen.project.organization.slug
    for row in seen.targets:
        if not row.is_known:
            continue
        href = reverse("gateway:connection_detail", args=[organization, row.connection_id])
        name = f"{row.tried.model} on {row.name}"
        if row.circuit is not None and row.standing != "closed":
            why = f"{_sentence(row.circuit.why)} Calls go elsewhere until a probe succeeds."
            found.append(Notice("circuit_open", "bad", f"{name}: circuit open", why, href))
        elif row.limited_until is not None:
            why = f"The provider takes calls again at {formats.clock(row.limited_until)}."
            found.append(Notice("rate_limited", "warn", f"{name}: rate limited", why, href))
    return found


def _limits(seen: Seen) -> list[Notice]:
    found = []
    for row in seen.limits:
        if row.state not in ("full", "warning"):
            continue
        href = reverse("gateway:limit_detail", args=[seen.project.organization.slug, row.limit.pk])
        whose = f" by {row.top.label}" if row.is_each and row.top.label else ""
        used = f"{formats.percent(row.top.share)} used{whose}"
        if row.state == "full" and row.limit.is_hard:
            why = f"{used}: calls are refused."
            found.append(Notice("limit_full", "bad", f"Limit {row.limit.name} is full", why, href))
        else:
            title = f"Limit {row.limit.name} is close"
            found.append(Notice("limit_near", "warn", title, f"{used}.", href))
    return found


def _connections(seen: Seen) -> list[Notice]:
    organization = seen.project.organization.slug
    used = {row.tried.connection for row in seen.targets}
    found = []
    for place, one in seen.connections.items():
        href = reverse("gateway:connection_detail", args=[organization, one.pk])
        if one.is_enabled and one.check_state == Connection.Check.ERROR:
            why = one.check_message[:200] or "The provider refused it."
            title = f"{one.name}: its last test failed"
            found.append(Notice("connection_error", "warn", title, why, href))
        elif not one.is_enabled and place in used:
            why = "Calls of this time went there; now they go elsewhere or fail."
            found.append(Notice("connection_off", "warn", f"{one.name} is switched off", why, href))
    return found


def _traffic(seen: Seen) -> list[Notice]:
    total, found = seen.total, []
    if total.calls < FEW:
        return []
    if total.failed / total.calls >= WRONG_SHARE:
        why = f"{formats.count(total.failed)} of {formats.count(total.calls)} calls got no answer."
        href = seen.links.requests(state="unanswered")
        found.append(Notice("failing", "bad", "Many calls fail", why, href))
    if total.fell / total.calls >= FELL_SHARE:
        share = f"{formats.count(total.fell)} of {formats.count(total.calls)} calls"
        why = f"{share} were not answered by their first target."
        href = seen.links.requests(fallback="yes")
        found.append(Notice("falling_back", "warn", "Many calls fall back", why, href))
    if total.unpriced:
        why = f"{formats.count(total.unpriced)} answered calls cost an unknown amount. Set a price; 0 where it is free."
        href = reverse("costs:price_list", args=[seen.project.organization.slug])
        found.append(Notice("unpriced", "warn", "Calls have no price", why, href))
    return found


def _setup(seen: Seen) -> list[Notice]:
    slug, found = seen.project.ref, []
    for pk, name in seen.broken_routes:
        href = reverse("gateway:route_detail", args=[slug, pk])
        title = f"Route {name} names a connection that is gone"
        found.append(Notice("route_broken", "warn", title, "That target is passed by.", href))
    for route in seen.tightened:
        title = f"The cache of {route or 'direct calls'} became stricter"
        why = "Too many of its answers by meaning were wrong when they were checked."
        found.append(Notice("cache_tightened", "warn", title, why, seen.links.cache))
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
