"""The billed side: bills that cannot be read, and bills that differ from what was recorded."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Abs, TruncMonth
from django.urls import reverse

from alerts.measures.base import Cause, Evidence, History, Point, Reading
from alerts.models import Alert, AlertKind
from core import formats
from core.ranges import DAY
from costs.labels import PROVIDERS
from costs.models import BillingAccount, GapKind, ProviderSync, ReconciledCause, ReconciledDay
from projects.models import ProviderConnection

HUNDRED, ZERO = Decimal(100), Decimal(0)
TOP = 6
_PAUSED = "The connection was paused."


class SyncMeasure:
    """Rules of the kind SYNC_FAILED: how many readings of a bill failed in a row; one incident per connection."""

    kind: str = AlertKind.SYNC_FAILED
    label = "Provider sync failed"
    unit = "failures"
    help = "Tells when a provider's bill could not be read so many times in a row; each time is several tries."
    fields = frozenset({"provider"})
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each connection of each rule. One query."""
        failed = ProviderSync.objects.filter(
            account=OuterRef("pk"), state=ProviderSync.State.FAILED
        ).order_by("-created_at")
        rows = BillingAccount.objects.filter(
            organization_id__in={one.organization_id for one in alerts}
        ).select_related("connection")
        rows = rows.annotate(last_error=Subquery(failed.values("error")[:1]))
        own: dict[UUID, list[Any]] = defaultdict(list)
        for row in rows.order_by("pk"):
            own[row.organization_id].append(row)
        return [
            _sync(alert, row)
            for alert in alerts
            for row in own[alert.organization_id]
            if alert.provider in ("", row.connection.provider)
        ]

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """How many had failed in a row at the end of each reading, of the connection that failed most. One query."""
        rows = ProviderSync.objects.filter(
            organization_id=alert.organization_id, ended_at__gte=start, ended_at__lt=end,
            state__in=(ProviderSync.State.DONE, ProviderSync.State.FAILED),
        )  # fmt: skip
        if alert.provider:
            rows = rows.filter(account__connection__provider=alert.provider)
        courses: dict[Any, list[Point]] = defaultdict(list)
        ended = rows.order_by("ended_at", "pk").values_list("account_id", "ended_at", "state")
        for account_id, at, state in ended:
            course = courses[account_id]
            before = course[-1].value or ZERO if course else ZERO
            is_failed = state == ProviderSync.State.FAILED
            if at is not None:
                course.append(Point(at, before + 1 if is_failed else ZERO))
        chosen = max(
            courses.values(), key=lambda one: max(p.value or ZERO for p in one), default=()
        )
        note = "Drawn is the connection that failed most." if len(courses) > 1 else ""
        return History(chosen, dt.timedelta(hours=1), is_coarse=True, note=note)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """The last readings. Two queries."""
        connection = ProviderConnection.objects.select_related("organization").get(pk=reading.key)
        runs = ProviderSync.objects.filter(account__connection=connection).order_by("-created_at")
        rows = [
            (f"{one.created_at:%Y-%m-%d %H:%M} UTC", one.error or one.get_state_display())
            for one in runs[:3]
        ]
        url = reverse(
            "costs:billing_connection", args=[connection.organization.slug, connection.pk]
        )
        return Evidence([("Connection", connection.name), *rows], url=url, url_label="Open the connection")  # fmt: skip


def _sync(alert: Alert, row: Any) -> Reading:
    connection = row.connection
    facts: dict[str, Any] = {"error": connection.status_message or row.last_error or ""}
    if row.last_success_at:
        facts["last_ok_at"] = f"{row.last_success_at:%Y-%m-%d %H:%M} UTC"
    if connection.status == ProviderConnection.Status.PAUSED:
        facts["gone"] = _PAUSED
    return Reading(
        alert, Decimal(row.failures_in_a_row), key=str(connection.pk), subject=connection.name, facts=facts
    )  # fmt: skip


class ReconciliationMeasure:
    """Rules of the kind RECONCILIATION: how far a provider's bill and the records are apart, in percent of the bill.

    Of the days of this month that the provider has said all about; while there are none, of the month before.
    """

    kind: str = AlertKind.RECONCILIATION
    label = "Reconciliation gap"
    unit = "percent"
    help = (
        "Tells when bill and records differ by so much of the bill, in settled days of the month."
    )
    fields = frozenset({"provider"})
    is_windowed = False

    def read(self, alerts: Sequence[Alert], now: dt.datetime) -> list[Reading]:
        """A reading for each provider of each rule. One query."""
        month = now.date().replace(day=1)
        rows = (
            ReconciledDay.objects.filter(
                organization_id__in={one.organization_id for one in alerts},
                day__gte=(month - DAY).replace(day=1),
                is_settled=True,
            )
            .annotate(month=TruncMonth("day"))
            .values("organization_id", "provider", "month")
            .annotate(
                billed=Sum("billed_usd"),
                recorded=Sum("recorded_usd"),
                unexplained=Sum("unexplained_usd"),
                unknown=Count("pk", filter=~Q(unconverted={})),
                days=Count("pk"),
            )
            .order_by("month", "provider")
        )
        newest = {(row["organization_id"], row["provider"]): row for row in rows}
        return [
            _gap(alert, provider, row)
            for alert in alerts
            for (organization_id, provider), row in newest.items()
            if organization_id == alert.organization_id and alert.provider in ("", provider)
        ]

    def history(self, alert: Alert, start: dt.datetime, end: dt.datetime) -> History:
        """Day by day what the month's gap had come to, of the provider with the largest bill. One query."""
        rows = ReconciledDay.objects.filter(
            organization_id=alert.organization_id,
            day__gte=start.date().replace(day=1),
            day__lte=end.date(),
            is_settled=True,
        ).order_by("day")
        if alert.provider:
            rows = rows.filter(provider=alert.provider)
        courses: dict[str, list[ReconciledDay]] = defaultdict(list)
        for row in rows:
            courses[row.provider].append(row)
        chosen = max(
            courses.values(), key=lambda days: sum(one.billed_usd for one in days), default=[]
        )
        points, month, billed, recorded = [], None, ZERO, ZERO
        for row in chosen:
            if row.day.replace(day=1) != month:
                month, billed, recorded = row.day.replace(day=1), ZERO, ZERO
            billed, recorded = billed + row.billed_usd, recorded + row.recorded_usd
            if row.day >= start.date():
                at = dt.datetime.combine(row.day, dt.time(), dt.UTC)
                points.append(Point(at, _share(billed, recorded)))
        note = "Drawn is the provider with the largest bill." if len(courses) > 1 else ""
        return History(points, DAY, is_coarse=True, note=note)

    def evidence(self, reading: Reading, now: dt.datetime) -> Evidence:
        """Both sides and what the gap is made of. One query."""
        facts, alert = reading.facts, reading.alert
        month = dt.date.fromisoformat(facts["month"])
        found = (
            ReconciledCause.objects.filter(
                organization_id=alert.organization_id,
                provider=reading.key,
                day__gte=month,
                day__lt=(month + 32 * DAY).replace(day=1),
            )
            .values("kind")
            .annotate(usd=Sum("amount_usd"), size=Abs(Sum("amount_usd")))
            .order_by("-size")[:TOP]
        )
        gap = abs(Decimal(facts["billed_usd"]) - Decimal(facts["recorded_usd"]))
        causes = [
            Cause(
                "cause",
                str(GapKind(one["kind"]).label),
                formats.money(one["usd"]),
                one["size"] / gap if gap else None,
            )
            for one in found
        ]
        rows = [
            ("Billed", formats.money(Decimal(facts["billed_usd"]))),
            ("Recorded", formats.money(Decimal(facts["recorded_usd"]))),
            ("Unexplained", formats.money(Decimal(facts["unexplained_usd"]))),
            ("Settled days", str(facts["days"])),
        ]
        url = reverse(
            "costs:reconciliation_month",
            args=[alert.organization.slug, reading.key, f"{month:%Y-%m}"],
        )
        return Evidence(rows, causes=causes, url=url, url_label="Open the month")


def _share(billed: Decimal, recorded: Decimal) -> Decimal | None:
    return abs(billed - recorded) * HUNDRED / billed if billed > 0 else None


def _gap(alert: Alert, provider: str, row: Mapping[str, Any]) -> Reading:
    """Amounts without a rate are in no sum: with such there is nothing to judge."""
    billed, recorded = row["billed"], row["recorded"]
    return Reading(
        alert,
        None if row["unknown"] else _share(billed, recorded),
        key=provider,
        subject=PROVIDERS.get(provider, provider),
        period=f"{row['month']:%B %Y}",
        facts={
            "billed_usd": formats.plain_decimal(billed),
            "recorded_usd": formats.plain_decimal(recorded),
            "unexplained_usd": formats.plain_decimal(row["unexplained"]),
            "month": row["month"].isoformat(),
            "days": row["days"],
        },
    )


MEASURES = (SyncMeasure(), ReconciliationMeasure())
