"""Billing connections: the list, one connection with its runs and its bill, and what can be done to it."""

import datetime as dt
import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.errors import DomainError
from core.htmx import render_page_or_part
from costs.billing import connections as services
from costs.billing import removal, runs
from costs.billing.access import DELETING
from costs.billing.charts import bill_chart
from costs.billing.coverage import today_of
from costs.billing.doors import connection_for
from costs.billing.forms import SyncForm
from costs.billing.lines import choice_of, text_of
from costs.billing.selectors import (
    RUNS,
    SORTS,
    STATES,
    account_named,
    account_of,
    connection_named,
    listed,
    progress_of,
    run_named,
    runs_page,
    standings,
)
from costs.models import BillingAccount, ProviderSync
from projects.access import parse_uuid
from projects.models import ConnectionProvider, ProviderConnection

PAGE = 50
PERIODS = {"": "This month", "last": "Last month", "30d": "30 days", "90d": "90 days"}
DAY = dt.timedelta(days=1)


@login_required
@never_cache
@require_GET
def connection_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every connection with its state, last run, the month's bill and its days. Five queries with the membership."""
    membership, now = page_membership(request, slug), timezone.now()
    rows = listed(
        membership.organization_id,
        provider=choice_of(request.GET, "provider", ("", *ConnectionProvider.values)),
        state=choice_of(request.GET, "state", STATES),
        q=text_of(request.GET, "q"),
        sort=choice_of(request.GET, "sort", SORTS),
    )
    context = {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        # An organisation has at most services.MAX_CONNECTIONS of them.
        "rows": standings(rows, now=now),
        "providers": [("", "Any provider"), *ConnectionProvider.choices],
        "states": STATES.items(),
        "sorts": SORTS.items(),
        "is_filtered": any(request.GET.get(name) for name in ("provider", "state", "q")),
        "now": now,
        "tab": "connections",
    }
    return render_page_or_part(
        request,
        page="costs/billing/list.html",
        part="costs/billing/_list_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def connection_detail(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """How a connection stands, in the provider's words; its bill by day; its runs. The part polls while one runs."""
    membership, connection = connection_for(request, slug, connection_id)
    is_unfinished = account_of(connection) is None and DELETING not in connection.settings
    if is_unfinished and membership.allows(Role.ADMIN):
        return redirect("costs:billing_connection_setup", slug=slug, connection_id=connection_id)
    context = _state(request, membership, connection)
    if context["account"] is not None and request.headers.get("HX-Target") != "billing-state":
        context |= _chart(request, slug, context["account"])
    response = render_page_or_part(
        request, page="costs/billing/detail.html", part="costs/billing/_state.html", context=context
    )
    if not context["is_running"] and request.headers.get("HX-Target") == "billing-state":
        response["HX-Trigger"] = "llmlab:refresh"  # the run has ended: the bill's chart is another
    return response


def _state(
    request: HttpRequest, membership: Membership, connection: ProviderConnection
) -> dict[str, Any]:
    now = timezone.now()
    standing = standings([connection], now=now)[0]
    account = standing.account
    state = choice_of(request.GET, "run", ("", *ProviderSync.State.values))
    text = request.GET.get("before", "")
    before = parse_uuid(text)
    if text and before is None:
        raise DomainError("before must be the id of a sync.", fields=["before"])
    found = runs_page(account, state=state, before=before, limit=RUNS + 1) if account else []
    return {
        "organization": membership.organization,
        "may_change": membership.allows(Role.ADMIN),
        "connection": connection,
        "account": account,
        "standing": standing,
        "runs": [progress_of(run) for run in found[:RUNS]],
        "older": found[RUNS - 1].pk if len(found) > RUNS else None,
        "run_states": [("", "Every run"), *ProviderSync.State.choices],
        "is_running": standing.is_running,
        "yesterday": today_of(account, now) - DAY if account else None,
        "now": now,
        "tab": "connections",
    }


def _chart(request: HttpRequest, slug: str, account: BillingAccount) -> dict[str, Any]:
    period = choice_of(request.GET, "period", PERIODS)
    today = today_of(account, timezone.now())
    first, end = _period(period, today)
    url = reverse("costs:billing_lines", args=[slug])
    return {
        "chart": bill_chart(
            account, first=first, end=end, lines_url=f"{url}?connection={account.connection_id}"
        ),
        "lines_url": f"{url}?connection={account.connection_id}&from={first}&to={end - DAY}",
        "period": period,
        "periods": PERIODS.items(),
        "billing_account": account,
    }


def _period(period: str, today: dt.date) -> tuple[dt.date, dt.date]:
    month = today.replace(day=1)
    if period == "last":
        return (month - DAY).replace(day=1), month
    if period:
        return today - DAY * (int(period.removesuffix("d")) - 1), today + DAY
    return month, today + DAY


@login_required
@never_cache
@require_GET
def chart_panel(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """The bill by day, for a period."""
    membership, connection = connection_for(request, slug, connection_id)
    account = account_named(membership.organization_id, connection_id)
    context = _state(request, membership, connection) | _chart(request, slug, account)
    return render_page_or_part(
        request, page="costs/billing/detail.html", part="costs/billing/_chart.html", context=context
    )


def _done(request: HttpRequest, slug: str, connection_id: uuid.UUID, text: str) -> HttpResponse:
    messages.success(request, text)
    return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)


def _refused(
    request: HttpRequest, slug: str, connection_id: uuid.UUID, error: DomainError
) -> HttpResponse:
    """A refusal that the page can show; what is forbidden or not there is answered as such."""
    if error.status in (403, 404):
        raise error
    messages.error(request, error.detail)
    return redirect("costs:billing_connection", slug=slug, connection_id=connection_id)


@login_required
@require_POST
def sync_create(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Sync now, or read a stretch of history again."""
    membership = page_membership(request, slug, Role.ADMIN)
    connection_named(membership.organization_id, connection_id)
    form = SyncForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("Give the first and the last day to read, such as 2026-11-01.")
        account = account_named(membership.organization_id, connection_id)
        runs.start(account=account, actor=person(request), now=timezone.now(), **form.cleaned_data)
    except DomainError as error:
        return _refused(request, slug, connection_id, error)
    return _done(request, slug, connection_id, "The bill is being read; its progress stands below.")


@login_required
@require_POST
def sync_cancellation(request: HttpRequest, slug: str, sync_id: uuid.UUID) -> HttpResponse:
    """End a run before its next step; what it read stays."""
    membership = page_membership(request, slug, Role.ADMIN)
    run = run_named(membership.organization_id, sync_id)
    try:
        runs.cancel(run=run, actor=person(request), now=timezone.now())
    except DomainError as error:
        return _refused(request, slug, run.account.connection_id, error)
    return _done(request, slug, run.account.connection_id, "The run ends; what it read stays.")


@login_required
@require_POST
def sync_resumption(request: HttpRequest, slug: str, sync_id: uuid.UUID) -> HttpResponse:
    """Go on where a cancelled or given-up run stood."""
    membership = page_membership(request, slug, Role.ADMIN)
    run = run_named(membership.organization_id, sync_id)
    try:
        runs.resume(run=run, actor=person(request), now=timezone.now())
    except DomainError as error:
        return _refused(request, slug, run.account.connection_id, error)
    return _done(request, slug, run.account.connection_id, "The run goes on where it stood.")


@login_required
@require_POST
def connection_check(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Ask the provider now with what is stored."""
    _, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    try:
        services.check_again(connection=connection, actor=person(request), now=timezone.now())
    except DomainError as error:
        return _refused(request, slug, connection_id, error)
    return _done(request, slug, connection_id, "The provider accepts the credentials.")


@login_required
@require_POST
def connection_pause(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """`paused=1` reads nothing until `paused=0`."""
    _, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    is_pause = request.POST.get("paused", "1") == "1"
    change = services.pause_connection if is_pause else services.resume_connection
    try:
        change(connection=connection, actor=person(request), now=timezone.now())
    except DomainError as error:
        return _refused(request, slug, connection_id, error)
    return _done(
        request, slug, connection_id, "Paused. Nothing is read." if is_pause else "Resumed."
    )


@login_required
@require_POST
def connection_deletion(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Forget the credentials at once and the lines in the background; the name has to be typed."""
    _, connection = connection_for(request, slug, connection_id, Role.ADMIN)
    try:
        if request.POST.get("confirmation", "").strip() != connection.name:
            raise DomainError(f"Type {connection.name} to delete it; nothing was deleted.")
        job = removal.delete_connection(
            connection=connection, actor=person(request), now=timezone.now()
        )
    except DomainError as error:
        return _refused(request, slug, connection_id, error)
    messages.success(request, "The credentials are gone; its lines are being deleted.")
    return redirect("projects:job_detail", job_id=job.pk)
