"""What of the ledgers changed: a fingerprint of each month or day, compared with the one of when it was sent last."""

import datetime as dt
import hashlib
from collections import defaultdict
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Sum

from accounts.models import Organization
from costs.exporting import sources
from costs.exporting.ask import Asked, partitions
from costs.focus import source as focus
from costs.focus.coverage import accounts_of, covered_spans
from costs.models import BilledCost, CostDay
from projects.models import Project

Facts = dict[dt.date, list[str]]


def fingerprints(organization: Organization, kind: str, asked: Asked) -> dict[str, str]:
    """Month or day → what it holds now, for those that hold anything. At most five queries."""
    facts: Facts = defaultdict(list)
    if kind != sources.BILLED:
        _recorded(organization.pk, asked, facts)
    if kind in (sources.BILLED, focus.KIND):
        _billed(organization.pk, asked, facts)
    if kind == focus.KIND and facts:
        _coverage(organization.pk, asked, facts)
    prints = {}
    for name, first, end in partitions(asked, sources.PARTITIONS[kind]):
        days = [day for day in facts if first <= day < end]
        if days:
            text = ";".join(f"{day}={','.join(facts[day])}" for day in sorted(days))
            prints[name] = hashlib.sha256(f"{asked.version}|{text}".encode()).hexdigest()[:32]
    return prints


def _recorded(organization_id: UUID, asked: Asked, facts: Facts) -> None:
    rows = CostDay.objects.filter(
        project_id__in=focus.project_ids(organization_id), day__gte=asked.first, day__lt=asked.end
    )
    for project, day, version in rows.order_by("project_id").values_list(
        "project_id", "day", "version"
    ):
        facts[day].append(f"{project}:{version}")


def _billed(organization_id: UUID, asked: Asked, facts: Facts) -> None:
    rows = (
        BilledCost.objects.filter(
            organization_id=organization_id, day__gte=asked.first, day__lt=asked.end
        )
        .values("account_id", "day")
        .annotate(
            lines=Count("id"),
            revisions=Sum("revision"),
            amount=Sum("amount"),
            usd=Sum("amount_usd"),
            in_usd=Count("amount_usd"),
            last=Max("id"),
        )
        .order_by("account_id", "day")
    )
    for row in rows:
        # Rates that are set later change dollars alone.
        usd = f"{row['in_usd']}:{row['usd']}"
        facts[row["day"]].append(
            f"{row['account_id']}:{row['lines']}:{row['revisions']}:{row['amount']}:{usd}:{row['last']}"
        )


def _coverage(organization_id: UUID, asked: Asked, facts: Facts) -> None:
    """Where a bill begins to speak, recorded rows go: that changes a month as well."""
    spans = covered_spans(organization_id, accounts_of(organization_id), asked.first, asked.end)
    for provider, found in sorted(spans.items()):
        for start, end in found:
            for day in list(facts):
                at = dt.datetime.combine(day, dt.time(), dt.UTC)
                if start < at + dt.timedelta(days=1) and end > at:
                    facts[day].append(
                        f"{provider}:{max(start, at)}:{min(end, at + dt.timedelta(days=1))}"
                    )


def oldest_day(organization_id: UUID, kind: str, *, today: dt.date) -> dt.date:
    """Calls of days before are being removed by retention: a month sent again would lack them. One query."""
    if kind == sources.BILLED:
        return dt.date.min
    own = Project.objects.filter(organization_id=organization_id, retention_days__isnull=False)
    days: list[int] = [days or 0 for days in own.values_list("retention_days", flat=True)]
    return today - dt.timedelta(days=min([*days, int(settings.LLMLAB_RETENTION_DAYS)]))
