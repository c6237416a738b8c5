"""What admins do to rules outside their form: switch on and off, mute, test, delete, several at once."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import Role
from accounts.selectors import page_membership, person
from alerts.rules import services
from alerts.rules.overview import rule_of
from alerts.rules.services import By
from alerts.rules.starters import add_starters
from alerts.rules.testing import send_test
from alerts.rules.timing import muted_until
from core.errors import DomainError
from core.formats import exact_time
from projects.access import parse_uuid

MAX_SELECTED = 200
_DONE = {"enable": "on", "disable": "off", "mute": "muted", "unmute": "telling again"}


@login_required
@require_POST
def rule_enabled(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """Switch a rule on (`enabled` is 1) or off (0)."""
    membership = page_membership(request, slug, Role.ADMIN)
    wanted = request.POST.get("enabled", "")
    if wanted not in ("0", "1"):
        raise DomainError(f"enabled is {wanted[:40]!r}; it must be 0 or 1.", fields=["enabled"])
    alert = services.enable_rule(
        organization_id=membership.organization_id,
        rule_id=alert_id,
        is_enabled=wanted == "1",
        by=By(person(request)),
        now=timezone.now(),
    )
    done = "is judged again" if alert.is_enabled else "is off; its open incidents ended"
    messages.success(request, f"{alert.name} {done}.")
    return redirect("alerts:rule_detail", slug=slug, alert_id=alert_id)


@login_required
@require_POST
def rule_mute(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """Tell nobody for an hour, a day or until an instant, or tell again."""
    membership = page_membership(request, slug, Role.ADMIN)
    now = timezone.now()
    alert = rule_of(membership.organization_id, alert_id)
    try:
        until = muted_until(request.POST, now)
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("alerts:rule_detail", slug=slug, alert_id=alert_id)
    services.mute_rule(
        organization_id=membership.organization_id,
        rule_id=alert_id,
        until=until,
        actor=person(request),
        now=now,
    )
    done = f"muted until {exact_time(until)}" if until else "no longer muted"
    messages.success(request, f"{alert.name} is {done}.")
    return redirect("alerts:rule_detail", slug=slug, alert_id=alert_id)


@login_required
@require_POST
def rule_test(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """Send a test message of this rule to its channels."""
    membership = page_membership(request, slug, Role.ADMIN)
    alert = rule_of(membership.organization_id, alert_id)
    try:
        sent = send_test(alert=alert, actor=person(request), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        names = ", ".join(one.channel.name for one in sent if one.channel)
        messages.success(
            request, f"A test is on its way to {names}. Each channel shows the answer."
        )
    return redirect("alerts:rule_detail", slug=slug, alert_id=alert_id)


@login_required
@require_POST
def rule_deletion(request: HttpRequest, slug: str, alert_id: uuid.UUID) -> HttpResponse:
    """Delete a rule; its name must be typed."""
    membership = page_membership(request, slug, Role.ADMIN)
    alert = rule_of(membership.organization_id, alert_id)
    if request.POST.get("confirmation", "").strip() != alert.name:
        messages.error(request, f"Nothing was deleted: type {alert.name} to confirm.")
        return redirect("alerts:rule_detail", slug=slug, alert_id=alert_id)
    services.delete_rule(
        organization_id=membership.organization_id,
        rule_id=alert_id,
        by=By(person(request)),
        now=timezone.now(),
    )
    messages.success(request, f"Deleted: {alert.name}. Its incidents stay in the history.")
    return redirect("alerts:rule_list", slug=slug)


@login_required
@require_POST
def rules_selected(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch the selected rules on or off, mute them or tell again; all or none of them."""
    membership = page_membership(request, slug, Role.ADMIN)
    action, ids = request.POST.get("action", ""), _selected(request)
    if action not in ("enable", "disable", "mute-1h", "mute-1d", "unmute"):
        raise DomainError(
            f"action is {action[:40]!r}; it must be enable, disable, mute-1h, mute-1d or unmute.",
            fields=["action"],
        )
    if not ids:
        messages.error(request, "Nothing was changed: choose some rules first.")
        return redirect("alerts:rule_list", slug=slug)
    services.change_several(
        organization_id=membership.organization_id,
        rule_ids=ids,
        action=action,
        actor=person(request),
        now=timezone.now(),
    )
    rules = "1 rule is" if len(ids) == 1 else f"{len(ids)} rules are"
    messages.success(request, f"{rules} {_DONE[action.partition('-')[0]]}.")
    return redirect("alerts:rule_list", slug=slug)


def _selected(request: HttpRequest) -> list[uuid.UUID]:
    """Raises DomainError for what is no id, or too many."""
    given: list[Any] = request.POST.getlist("rule")
    if len(given) > MAX_SELECTED:
        raise DomainError(f"rule is given {len(given)} times; at most {MAX_SELECTED}.", fields=["rule"])  # fmt: skip
    found = []
    for text in given:
        uid = parse_uuid(text)
        if uid is None:
            raise DomainError(f"rule is {text[:40]!r}; it must be a rule's id.", fields=["rule"])
        found.append(uid)
    return list(dict.fromkeys(found))


@login_required
@require_POST
def rules_recommended(request: HttpRequest, slug: str) -> HttpResponse:
    """Add ready-made rules (`starter`, several) that tell this person by e-mail where no channel is."""
    membership = page_membership(request, slug, Role.ADMIN)
    added = add_starters(
        organization_id=membership.organization_id,
        keys=request.POST.getlist("starter")[:50],
        actor=person(request),
        now=timezone.now(),
    )
    count = "1 rule" if len(added) == 1 else f"{len(added)} rules"
    messages.success(
        request, f"Added: {count}. They are judged from now on; open one to send a test."
    )
    return redirect("alerts:rule_list", slug=slug)
