"""What a budget's page shows of alerts: which rules tell of it, and a way to add one."""

import uuid
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from accounts.selectors import page_membership
from alerts.models import Alert, AlertChannel, AlertKind
from alerts.rules.words import level_words
from core.htmx import wants_part
from costs.budgets.selectors import budget_of
from costs.models import Budget


@dataclass(frozen=True)
class Telling:
    """One rule that tells of a budget."""

    alert: Alert
    levels: str
    channels: str

    @property
    def is_forecast(self) -> bool:
        return bool(self.alert.kind == AlertKind.FORECAST)


def telling_of(budget: Budget) -> list[Telling]:
    """The rules that are on and watch this budget: its own, and those of every budget. Two queries."""
    rows = Alert.objects.filter(
        Q(budget=budget) | Q(budget=None, project=None) | Q(budget=None, project=budget.project),
        organization_id=budget.organization_id,
        kind__in=(AlertKind.BUDGET, AlertKind.FORECAST),
        is_enabled=True,
    ).order_by("name", "pk")
    alerts = list(rows.select_related("project", "budget")[:50])
    names: dict[UUID, list[str]] = {}
    links = AlertChannel.objects.filter(alert__in=alerts, is_escalation=False)
    for alert_id, name in links.order_by("channel__name").values_list("alert_id", "channel__name"):
        names.setdefault(alert_id, []).append(name)
    return [
        Telling(one, ", ".join(words for words, _ in level_words(one)), ", ".join(names.get(one.pk, [])))
        for one in alerts
    ]  # fmt: skip


@login_required
@never_cache
@require_GET
def budget_alerts_panel(request: HttpRequest, slug: str, budget_id: uuid.UUID) -> HttpResponse:
    """The panel, asked for by the budget's page; opened by itself it leads there. At most five queries."""
    membership = page_membership(request, slug)
    budget = budget_of(membership.organization_id, budget_id)
    if not wants_part(request):
        return redirect("costs:budget_detail", slug=slug, budget_id=budget_id)
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "budget": budget,
        "telling": telling_of(budget),
    }
    return render(request, "alerts/rules/_budget_panel.html", context)
