"""Statements: the months, one month by team, its lines, closing it."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Role
from accounts.selectors import page_membership, person
from core import formats
from core.csv_cells import csv_lines
from core.streaming import csv_download
from costs.allocation import selectors, statements
from costs.allocation.reading import next_month
from costs.labels import label_of
from costs.models import LineKind, Statement
from costs.selectors.sums import ZERO


@login_required
@never_cache
@require_GET
def statement_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every month with its total and whether it is closed."""
    membership = page_membership(request, slug)
    rows = selectors.statements_of(membership.organization_id)
    today = timezone.now().date()
    # The first open month is the next to close, once it is over.
    first_open = next((row for row in reversed(rows) if row.closed_at is None), None)
    context = {
        "organization": membership.organization,
        "tab": "statements",
        "rows": [
            {
                "statement": row,
                "key": f"{row.month:%Y-%m}",
                "total": row.bill_usd + row.adjusted_usd,
                "is_over": next_month(row.month) <= today,
                "is_next": row is first_open and next_month(row.month) <= today,
            }
            for row in rows
        ],
        "may_change": membership.allows(Role.ADMIN),
        "may_ask": membership.allows(Role.MEMBER),
    }
    return render(request, "costs/allocation/statements.html", context)


@login_required
@never_cache
@require_GET
def statement_detail(request: HttpRequest, slug: str, month: str) -> HttpResponse:
    """A month by team; `?team=` shows the lines of one (empty: unassigned)."""
    membership = page_membership(request, slug)
    statement = selectors.statement_of(membership.organization_id, selectors.read_month(month))
    team = request.GET.get("team") if "team" in request.GET else None
    sums = selectors.team_sums(statement)
    total = sum((one.total_usd for one in sums), ZERO)
    context = {
        "organization": membership.organization,
        "tab": "statements",
        "statement": statement,
        "key": month,
        "sums": sums,
        "kinds": [LineKind(kind).label for kind in selectors.KINDS],
        "total": total,
        "expected": statement.bill_usd + statement.adjusted_usd,
        "adds_up": total == statement.bill_usd + statement.adjusted_usd,
        "team": team,
        "lines": _shown_lines(statement, team) if team is not None else [],
        "may_change": membership.allows(Role.ADMIN),
        "may_close": _may_close(statement),
    }
    return render(request, "costs/allocation/statement.html", context)


def _may_close(statement: Statement) -> bool:
    return statement.closed_at is None and next_month(statement.month) <= timezone.now().date()


def _shown_lines(statement: Statement, team: str) -> list[dict[str, Any]]:
    return [
        {
            "line": line,
            "kind": LineKind(line.kind).label,
            "provider": label_of("provider", line.provider) if line.provider else "",
        }
        for line in selectors.lines_of(statement, team=team)
    ]


@login_required
@never_cache
@require_GET
def statement_export(request: HttpRequest, slug: str, month: str) -> HttpResponseBase:
    """Every line of the month as CSV."""
    membership = page_membership(request, slug)
    statement = selectors.statement_of(membership.organization_id, selectors.read_month(month))
    return csv_download(f"{slug}-statement-{month}.csv", csv_lines(_rows(statement)))


def _rows(statement: Statement) -> Iterator[list[Any]]:
    yield [
        "month", "team", "cost_centre", "kind", "provider", "project", "pool", "adjusts_month", "basis", "amount_usd",
    ]  # fmt: skip
    for line in selectors.lines_of(statement).iterator(chunk_size=2_000):
        yield [
            f"{statement.month:%Y-%m}", line.team_name, line.cost_centre, line.kind, line.provider, line.project_name,
            line.pool_name, f"{line.adjusts_month:%Y-%m}" if line.adjusts_month else "",
            "billed" if line.is_billed else "recorded", line.amount_usd,
        ]  # fmt: skip


@login_required
@require_POST
def statement_close(request: HttpRequest, slug: str, month: str) -> HttpResponse:
    """Lock the month for ever."""
    membership = page_membership(request, slug, Role.ADMIN)
    statement = statements.close_month(
        organization_id=membership.organization_id,
        month=selectors.read_month(month),
        actor=person(request),
        now=timezone.now(),
    )
    messages.success(
        request,
        f"{statement.month:%B %Y} is closed at {formats.money(statement.bill_usd + statement.adjusted_usd)};"
        " later corrections go into the first open month.",
    )
    return redirect("costs:statement_detail", slug=slug, month=month)


@login_required
@require_POST
def statement_compute(request: HttpRequest, slug: str) -> HttpResponse:
    """Compute the open months again now."""
    membership = page_membership(request, slug, Role.MEMBER)
    statements.ask(membership.organization_id, now=timezone.now(), is_forced=True)
    messages.success(request, "The open months are being computed; reload in a moment.")
    return redirect("costs:statement_list", slug=slug)
