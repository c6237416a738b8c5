"""How often hits by meaning were wrong, per route; past its limit a route's threshold tightens itself."""

import datetime as dt
from dataclasses import dataclass

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import DomainError
from gateway.cache.agreement import interval
from gateway.models import CacheThreshold, ShadowCheck
from gateway.structs import CacheRule
from projects.models import Project

# What is judged: the latest checks, none older.
LATEST = 500
DAYS = 30
# One-sided 90 %: the wrong-hit rate is that surely above its limit.
Z = 1.2816
OFF = 1.1


@dataclass(frozen=True)
class Record:
    """What the checks of a route say. `low` and `high` hold the true rate in 95 of 100 cases."""

    checked: int
    wrong: int
    unsure: int
    low: float
    high: float

    @property
    def rate(self) -> float | None:
        """None before the first check."""
        return self.wrong / self.checked if self.checked else None


def record_of(rows: list[tuple[bool | None, float]]) -> Record:
    """Of (is_right, similarity) rows."""
    told = [is_right for is_right, _ in rows if is_right is not None]
    wrong = told.count(False)
    return Record(len(told), wrong, len(rows) - len(told), *interval(wrong, len(told)))


@transaction.atomic
def consider(
    *, project: Project, route: str, rule: CacheRule, now: dt.datetime
) -> CacheThreshold | None:
    """Tighten the route's threshold if its checks say so; the row, if it did. Up to five queries."""
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)  # one at a time
    current = CacheThreshold.objects.filter(project=project, route=route).first()
    threshold = max(rule.threshold, current.threshold if current else 0.0)
    since = now - dt.timedelta(days=DAYS)
    if current is not None:
        since = max(since, current.tightened_at)
    rows = list(
        ShadowCheck.objects.filter(project=project.pk, route=route, checked_at__gt=since)
        .order_by("-checked_at")
        .values_list("is_right", "similarity")[:LATEST]
    )
    record = record_of(rows)
    if interval(record.wrong, record.checked, z=Z)[0] <= rule.wrong_limit or not record.wrong:
        return None
    worst = max(similarity for is_right, similarity in rows if is_right is False)
    row, _ = CacheThreshold.objects.update_or_create(
        project=project,
        route=route,
        defaults={
            "threshold": stricter(threshold, worst),
            "before": threshold,
            "checked": record.checked,
            "wrong": record.wrong,
            "tightened_at": now,
        },
    )
    record_audit_event(
        organization_id=project.organization_id,
        actor=None,
        actor_label="system",
        action="gateway.cache_threshold.tightened",
        target=f"{project.slug}: {route or 'direct calls'}",
        data={
            "before": threshold,
            "threshold": row.threshold,
            "checked": record.checked,
            "wrong": record.wrong,
            "wrong_limit": rule.wrong_limit,
        },
    )
    return row


def stricter(threshold: float, worst: float) -> float:
    """A threshold that none of the wrong hits passes, and a quarter nearer to 1 at least; past 1 there are no hits."""
    if threshold >= 1 or worst >= 0.9995:
        return OFF if threshold >= 1 else 1.0
    return round(min(1.0, max(worst + 0.0006, threshold + (1 - threshold) / 4)), 4)


@transaction.atomic
def lift(*, project: Project, route: str, actor: User | None, actor_label: str = "") -> None:
    """Give the route its own threshold back. Raises DomainError when it was not tightened."""
    row = CacheThreshold.objects.filter(project=project, route=route).first()
    if row is None:
        raise DomainError("This route's threshold was not tightened.", fields=["route"])
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action="gateway.cache_threshold.lifted",
        target=f"{project.slug}: {route or 'direct calls'}",
        data={"threshold": row.threshold, "before": row.before},
    )
    CacheThreshold.objects.filter(project=project, route=route).delete()
