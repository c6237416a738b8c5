"""Looking a project's changed days through, and keeping what was found. One process per project at a time."""

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from django.db import connection, transaction

from core import crypto
from costs.models import CostDay
from costs.prices import list_price
from costs.services.rule_cache import load_rules
from projects.models import Project
from traces.models import WasteDay, WasteFinding
from traces.waste.calls import Call
from traces.waste.detect import CachePrices, detect
from traces.waste.read import calls_of_day

# Beyond, a day's calls are not compared: they count as unread.
MAX_CALLS = 200_000
# A day that still grows is looked through again this long after the last look.
AGAIN_AFTER = dt.timedelta(hours=1)
MAX_BACK = dt.timedelta(days=100)
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('waste:' || %s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('waste:' || %s, 0))"
_SUMS = """
SELECT coalesce(sum(calls), 0), coalesce(sum(cost_usd), 0) FROM costs_costdailyaggregate
WHERE project_id = %s AND dimension = 'all' AND hour = %s
"""


def pending_days(project_id: UUID, *, now: dt.datetime, is_asked: bool = False) -> list[dt.date]:
    """Days whose calls changed since they were looked through, newest first. Two queries.

    Today waits for AGAIN_AFTER after its last look, unless somebody asked.
    """
    today = now.astimezone(dt.UTC).date()
    seen = {
        one.day: one
        for one in WasteDay.objects.filter(project=project_id, day__gte=today - MAX_BACK)
    }
    found = []
    for day, version in CostDay.objects.filter(
        project=project_id, day__gte=today - MAX_BACK, day__lte=today
    ).values_list("day", "version"):
        last = seen.get(day)
        is_fresh = last is not None and now - last.scanned_at < AGAIN_AFTER
        if last is None or (last.version != version and (is_asked or not is_fresh)):
            found.append(day)
    return sorted(found, reverse=True)


def scan_project(
    project: Project, *, now: Callable[[], dt.datetime], for_s: float, is_asked: bool = False
) -> int:
    """Look through days that changed until there is none or time is up; returns how many. 0 when another process is at
    this project."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [str(project.pk)])
        if not cursor.fetchone()[0]:
            return 0
    try:
        done, end = 0, time.monotonic() + for_s
        for day in pending_days(project.pk, now=now(), is_asked=is_asked):
            if time.monotonic() > end:
                break
            scan_day(project, day, now=now())
            done += 1
        return done
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_UNLOCK, [str(project.pk)])


def scan_day(project: Project, day: dt.date, *, now: dt.datetime) -> None:
    """Replace what was found on a day. Reads in no transaction: what changes meanwhile raises the day's version, and it
    is looked through again."""
    version = (
        CostDay.objects.filter(project=project.pk, day=day)
        .values_list("version", flat=True)
        .first()
    )
    cipher = crypto.data_cipher(project.organization.data_key)
    calls: list[Call] = []
    for chunk in calls_of_day(project.pk, day, cipher, limit=MAX_CALLS):
        calls += chunk
    found = detect(calls, cache_prices(project.pk))
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [project.pk, dt.datetime.combine(day, dt.time(), dt.UTC)])
        count, cost = cursor.fetchone()
    unread = int(count) - sum(call.prompt is not None for call in calls)
    rows = [
        WasteFinding(
            project=project,
            day=day,
            kind=one.kind,
            fingerprint=one.fingerprint,
            provider=one.provider,
            model=one.model,
            agent=one.agent,
            feature=one.feature,
            detail=one.detail,
            calls=one.calls,
            cost_usd=one.cost_usd,
            wasted_usd=one.wasted_usd,
            samples=one.dearest,
        )
        for one in found.findings()
    ]
    with transaction.atomic():
        WasteFinding.objects.filter(project=project.pk, day=day).delete()
        WasteFinding.objects.bulk_create(rows)
        WasteDay.objects.filter(project=project.pk, day=day).delete()
        WasteDay.objects.create(
            project=project,
            day=day,
            version=version or 0,
            calls=count,
            cost_usd=cost,
            unread_calls=max(0, unread),
            scanned_at=now,
        )


def cache_prices(project_id: UUID) -> CachePrices:
    """The prices of cached input per model and day, remembered."""
    rules = load_rules(project_id)

    @lru_cache(maxsize=1_000)
    def prices(provider: str, model: str, day: dt.date) -> tuple[Decimal, Decimal, Decimal] | None:
        at = dt.datetime.combine(day, dt.time(12), dt.UTC)
        price = list_price(provider, model, at=at, rules=rules)
        plain, read = price.of("input"), price.of("cache_read")
        if plain is None or read is None:
            return None
        write = price.of("cache_write_5m") or price.of("cache_write")
        plain_usd = plain.price_usd / plain.per
        return (
            plain_usd,
            read.price_usd / read.per,
            write.price_usd / write.per if write else plain_usd,
        )

    return lambda call: prices(call.provider, call.model, call.at.astimezone(dt.UTC).date())
