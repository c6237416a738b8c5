"""What a digest tells: what fired, is open and resolved, budgets, spend against the period before, messages that did
not arrive. A fixed number of queries, whatever happened."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, QuerySet

from alerts.events.selectors import RANK
from alerts.inbox.selectors import severities_from
from alerts.models import AlertEvent, Delivery, DeliveryState, EventState
from core.ranges import ceil_hour
from costs.budgets.selectors import Standing, amounts, open_budgets, part_of, standings
from costs.budgets.sums import Amount
from costs.models import BudgetScope

MOST_LISTED = 10
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Listed:
    """The most severe of some incidents, and how many there are."""

    number: int
    events: Sequence[AlertEvent]


@dataclass(frozen=True)
class Unsent:
    """Messages that one channel never took."""

    channel_id: UUID
    name: str
    number: int
    error: str


@dataclass(frozen=True)
class Facts:
    """Of an organisation from `start` to before `end`; open incidents and budgets as they are now."""

    start: dt.datetime
    end: dt.datetime
    fired: Listed
    open: Listed
    resolved: Listed
    budgets: Sequence[Standing]
    spent: Amount
    spent_before: Amount
    unsent: Sequence[Unsent]

    @property
    def is_quiet(self) -> bool:
        """Nothing that anybody would have to look at."""
        lists = (self.fired, self.open, self.resolved)
        return not (any(one.number for one in lists) or self.unsent or self.strained)

    @property
    def strained(self) -> list[Standing]:
        """Budgets that have reached a threshold."""
        return [one for one in self.budgets if one.crossed]


def facts_of(
    organization_id: UUID, *, severity: str, start: dt.datetime, end: dt.datetime, now: dt.datetime
) -> Facts:
    """Incidents below `severity` are left out. At most ten queries and those that rules about teams take."""
    rows = AlertEvent.objects.filter(
        organization_id=organization_id, severity__in=severities_from(severity)
    )
    spent, spent_before = _spend(organization_id, start, end)
    return Facts(
        start,
        end,
        _listed(rows.filter(fired_at__gte=start, fired_at__lt=end)),
        _listed(rows.exclude(state=EventState.RESOLVED)),
        _listed(rows.filter(resolved_at__gte=start, resolved_at__lt=end)),
        _budgets(organization_id, now),
        spent,
        spent_before,
        _unsent(organization_id, start, end),
    )


def _listed(rows: "QuerySet[AlertEvent]") -> Listed:
    found = rows.annotate(rank=RANK).order_by("-rank", "-fired_at", "-pk").defer("evidence")
    shown = list(found.select_related("project")[: MOST_LISTED + 1])
    return Listed(len(shown) if len(shown) <= MOST_LISTED else rows.count(), shown[:MOST_LISTED])


def _budgets(organization_id: UUID, now: dt.datetime) -> list[Standing]:
    found = standings(open_budgets(organization_id, now=now), now)
    return sorted(found, key=lambda one: (-one.share, one.budget.name))


def _spend(organization_id: UUID, start: dt.datetime, end: dt.datetime) -> tuple[Amount, Amount]:
    """The period and the one of the same length before it, on the hour borders that sums have."""
    whole = SimpleNamespace(
        organization_id=organization_id, project_id=None, scope=BudgetScope.ORGANIZATION, value=""
    )
    first, last = ceil_hour(start), ceil_hour(end)
    now, before = amounts(
        [part_of(whole, first, last), part_of(whole, first - (last - first), first)]
    )
    return now, before


def _unsent(organization_id: UUID, start: dt.datetime, end: dt.datetime) -> list[Unsent]:
    """By channel: e-mails to single people are nobody else's business."""
    rows: Any = (
        Delivery.objects.filter(
            organization_id=organization_id,
            channel__isnull=False,
            state=DeliveryState.DEAD,
            ended_at__gte=start,
            ended_at__lt=end,
        )
        .values_list("channel_id", "channel__name")
        .annotate(number=Count("pk"), error=Max("error"))
        .order_by("-number", "channel__name")
    )
    return [Unsent(*row) for row in rows[:MOST_LISTED]]
