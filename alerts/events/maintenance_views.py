"""Maintenance windows: times in which nobody is told. Everybody sees them, admins change them."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from accounts.selectors import page_membership
from alerts.models import Maintenance


@login_required
@never_cache
@require_GET
def maintenance_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The windows, the next to end first."""
    membership = page_membership(request, slug)
    rows = Maintenance.objects.filter(organization_id=membership.organization_id)
    context = {
        "organization": membership.organization,
        "tab": "maintenance",
        "may_change": membership.allows(Role.ADMIN),
        "rows": list(rows.select_related("project").order_by("-ends_at", "-pk")[:50]),
        "now": timezone.now(),
    }
    return render(request, "alerts/maintenance/list.html", context)
