"""The lines of the bills, their corrections, and whose calls a provider's keys carry."""

import uuid
from itertools import chain
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.streaming import csv_download
from costs.billing import lines as selectors
from costs.billing import mappings
from costs.billing.doors import connection_for
from costs.billing.selectors import account_named, listed
from costs.models import ChargeCategory
from projects.models import Project

PAGE = 50


def _list_context(
    request: HttpRequest, membership: Membership, names: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "organization": membership.organization,
        "connections": listed(membership.organization_id).values_list("pk", "name"),
        "is_filtered": any(request.GET.get(name) for name in names),
    }


@login_required
@never_cache
@require_GET
def line_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Billed lines by connection, days, category and words; any sum on the other pages ends here. Three queries."""
    membership = page_membership(request, slug)
    page = selectors.lines_page(
        membership.organization_id, request.GET, limit=PAGE, after=request.GET.get("after", "")
    )
    context = _list_context(request, membership, selectors.LINE_FILTERS) | {
        "page": page,
        "sorts": selectors.LINE_SORTS.items(),
        "categories": [("", "Any category"), *ChargeCategory.choices],
        "kept": [
            (name, value)
            for name in ("provider", "sub_account", "key", "model")
            if (value := request.GET.get(name))
        ],
        "tab": "lines",
    }
    return render_page_or_part(
        request,
        page="costs/billing/lines.html",
        part="costs/billing/_lines_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def line_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The filtered lines as CSV, newest first, streamed."""
    membership = page_membership(request, slug)
    rows = selectors.lines_of(membership.organization_id, request.GET)
    cells = map(selectors.line_cells, selectors.all_rows(rows, "-pk"))
    return csv_download(
        f"{slug}-billed-lines.csv", csv_lines(chain([selectors.LINE_COLUMNS], cells))
    )


@login_required
@never_cache
@require_GET
def revision_list(request: HttpRequest, slug: str) -> HttpResponse:
    """What providers corrected after it had been read, newest first. Three queries."""
    membership = page_membership(request, slug)
    page = selectors.revisions_page(
        membership.organization_id, request.GET, limit=PAGE, before=request.GET.get("before", "")
    )
    context = _list_context(request, membership, selectors.REVISION_FILTERS) | {
        "page": page,
        "changes": selectors.CHANGES.items(),
        "kinds": selectors.KINDS.items(),
        "now": timezone.now(),
        "tab": "corrections",
    }
    return render_page_or_part(
        request,
        page="costs/billing/corrections.html",
        part="costs/billing/_corrections_results.html",
        context=context,
    )


@login_required
@never_cache
@require_GET
def revision_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The filtered corrections as CSV, newest first, streamed."""
    membership = page_membership(request, slug)
    rows = selectors.revisions_of(membership.organization_id, request.GET)
    cells = map(selectors.revision_cells, selectors.all_rows(rows, "-pk"))
    return csv_download(
        f"{slug}-corrections.csv", csv_lines(chain([selectors.REVISION_COLUMNS], cells))
    )


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def mapping_list(request: HttpRequest, slug: str, connection_id: uuid.UUID) -> HttpResponse:
    """Which project a sub-account's or a key's calls belong to; admins say so."""
    role = Role.ADMIN if request.method == "POST" else Role.VIEWER
    membership, connection = connection_for(request, slug, connection_id, role)
    account = account_named(membership.organization_id, connection_id)
    now, refused = timezone.now(), None
    if request.method == "POST":
        try:
            changed = mappings.set_mappings(
                account=account, entries=_entries(request), actor=person(request), now=now
            )
        except DomainError as error:
            refused = error
        else:
            messages.success(request, f"{changed} assignment{'s' if changed != 1 else ''} changed.")
            return redirect("costs:billing_mappings", slug=slug, connection_id=connection_id)
    projects = (
        Project.objects.filter(organization_id=membership.organization_id)
        .exclude(status=Project.Status.DELETING)
        .order_by("name", "pk")
    )
    q = selectors.text_of(request.GET, "q").lower()
    rows = mappings.rows_of(account, now=now)
    targets = [
        ("", "Nothing said"),
        *((str(one.pk), one.name) for one in projects),
        (mappings.OUTSIDE, "Outside LLMLab"),
    ]
    context = {
        "organization": membership.organization,
        "connection": connection,
        "may_change": membership.allows(Role.ADMIN),
        "rows": [row for row in rows if _matches(row, q)],
        "is_filtered": bool(q),
        "targets": targets,
        "error": refused,
        "tab": "connections",
    }
    return render_page_or_part(
        request,
        page="costs/billing/mappings.html",
        part="costs/billing/_mappings_results.html",
        context=context,
        status=refused.status if refused else 200,
    )


def _matches(row: mappings.Row, q: str) -> bool:
    names = (row.sub_account_id, row.sub_account_name, row.key_id, row.key_name)
    return not q or any(q in name.lower() for name in names)


def _entries(request: HttpRequest) -> list[tuple[str, str, str]]:
    subs, keys, targets = (request.POST.getlist(name) for name in ("sub_account", "key", "target"))
    if not len(subs) == len(keys) == len(targets):
        raise DomainError("The form is not complete; open the page again.")
    return list(zip(subs, keys, targets, strict=True))
