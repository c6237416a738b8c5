"""What people do about an incident: acknowledge, snooze, comment, mute its rule, send its messages again.

The pages of acknowledging and snoozing are where messages link to: a login, one look, one button. Each act answers a
plain form with the incident's page and an htmx request with its changed part.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from alerts import acting
from alerts.events.deliveries import cancel_messages, replay_messages
from alerts.events.selectors import event_of, events_of
from alerts.events.views import incident_context
from alerts.models import AlertEvent
from alerts.rules.services import mute_rule
from alerts.rules.timing import muted_until
from core.errors import ConflictError, DomainError
from core.htmx import wants_part
from projects.access import parse_uuid

SNOOZES: dict[str, dt.timedelta | None] = {
    "1h": dt.timedelta(hours=1),
    "1d": dt.timedelta(days=1),
    "resolved": None,
}
MAX_AT_ONCE = 200


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def event_acknowledge(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Say that one looks after it, or with `take_back=1` that one does not after all; members may."""
    membership, event = _event(request, slug, event_id)
    if request.method == "GET":
        return _ask(request, membership, event, "acknowledge")
    is_back = bool(request.POST.get("take_back"))
    act = acting.unacknowledge if is_back else acting.acknowledge
    done = "Taken back: nobody looks after it now." if is_back else "Acknowledged: it is yours now."
    return _do(request, membership, event, done, lambda **who: act(event=event, **who))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def event_snooze(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Be quiet about it for a time (`for`: 1h, 1d, resolved) or no more (`end`); members may."""
    membership, event = _event(request, slug, event_id)
    if request.method == "GET":
        return _ask(request, membership, event, "snooze")
    wanted = request.POST.get("for", "")
    if wanted == "end":
        return _do(
            request, membership, event, "The snooze has ended.",
            lambda **who: acting.wake(event=event, **who),
        )  # fmt: skip
    if wanted not in SNOOZES:
        raise DomainError(
            f"for is {wanted[:40]!r}; it must be one of {', '.join(SNOOZES)}, end.", fields=["for"]
        )
    span = SNOOZES[wanted]
    until = timezone.now() + span if span else None
    done = "Snoozed until it resolves." if span is None else "Snoozed."
    return _do(
        request, membership, event, done,
        lambda **who: acting.snooze(event=event, until=until, **who),
    )  # fmt: skip


@login_required
@require_POST
def event_comment(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Say something in the timeline (`words`); members may, also when it is over."""
    membership, event = _event(request, slug, event_id)
    words = request.POST.get("words", "")
    return _do(
        request, membership, event, "Comment added.",
        lambda **who: acting.comment(event=event, words=words, **who), is_said=True,
    )  # fmt: skip


@login_required
@require_POST
def event_mute(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Tell nobody of its rule for a time (`for`: 1h, 1d, 7d, until with `until`), or again (`none`); admins may."""
    membership, event = _event(request, slug, event_id, Role.ADMIN)
    until = muted_until(request.POST, timezone.now())
    if event.alert_id is None:
        raise ConflictError("The rule is deleted; there is nothing to mute.")
    done = "The rule is muted." if until else "The rule tells again."
    organization_id, rule_id = membership.organization_id, event.alert_id
    return _do(
        request, membership, event, done,
        lambda **who: mute_rule(organization_id=organization_id, rule_id=rule_id, until=until, **who),
    )  # fmt: skip


@login_required
@require_POST
def event_messages(request: HttpRequest, slug: str, event_id: uuid.UUID) -> HttpResponse:
    """Send messages of the incident again or give waiting ones up (`act`: replay, cancel; `delivery`: ids, none: all
    that it can be done to); members may."""
    membership, event = _event(request, slug, event_id, Role.MEMBER)
    wanted = request.POST.get("act", "")
    acts: dict[str, tuple[Callable[..., int], str]] = {
        "replay": (replay_messages, "queued again"),
        "cancel": (cancel_messages, "cancelled"),
    }
    if wanted not in acts:
        raise DomainError(f"act is {wanted[:40]!r}; it must be replay or cancel.", fields=["act"])
    act, said = acts[wanted]
    ids = request.POST.getlist("delivery")
    try:
        count = act(event=event, ids=ids, actor=person(request), now=timezone.now())
    except ConflictError as error:
        return _answer(request, membership, event, error.detail, level="info")
    return _answer(
        request, membership, event, f"{count} message{'' if count == 1 else 's'} {said}."
    )


@login_required
@require_POST
def bulk_acknowledge(request: HttpRequest, slug: str) -> HttpResponse:
    """Acknowledge what is chosen on the firing page (`ids`, or by a row's own button `only` that one); members may."""
    membership = page_membership(request, slug, Role.MEMBER)
    chosen = request.POST.getlist("only") or request.POST.getlist("ids")
    wanted = [parse_uuid(one) for one in chosen[:MAX_AT_ONCE]]
    rows = events_of(membership.organization_id).filter(pk__in=[one for one in wanted if one])
    done, left, actor, now = 0, 0, person(request), timezone.now()
    for event in rows.order_by("pk"):
        try:
            acting.acknowledge(event=event, actor=actor, now=now)
            done += 1
        except ConflictError:
            left += 1
    words = f"{done} incident{'' if done == 1 else 's'} acknowledged."
    if left:
        words += f" {left} had been acknowledged or resolved before."
    messages.success(request, words if done or left else "Choose the incidents first.")
    query = QueryDict(request.POST.get("query", "")[:2000]).urlencode()
    return redirect(reverse("alerts:firing", args=[slug]) + (f"?{query}" if query else ""))


def _event(
    request: HttpRequest, slug: str, event_id: uuid.UUID, role: Role | None = None
) -> tuple[Membership, AlertEvent]:
    """The incident, for reading by everybody and for acts by members. Two queries."""
    if role is None:
        role = Role.VIEWER if request.method == "GET" else Role.MEMBER
    membership = page_membership(request, slug, role)
    return membership, event_of(membership.organization_id, event_id)


def _ask(request: HttpRequest, membership: Membership, event: AlertEvent, act: str) -> HttpResponse:
    """The page a message's link opens."""
    context = incident_context(membership, event) | {"act": act}
    return render(request, "alerts/events/confirm.html", context)


def _do(
    request: HttpRequest,
    membership: Membership,
    event: AlertEvent,
    done: str,
    act: Callable[..., Any],
    *,
    is_said: bool = False,
) -> HttpResponse:
    """Act and answer; what somebody else did meanwhile is said, and what is now is shown. `is_said`: a comment is no
    longer being written."""
    try:
        act(actor=person(request), now=timezone.now())
    except ConflictError as error:
        return _answer(request, membership, event, error.detail, level="info")
    return _answer(request, membership, event, done, is_said=is_said)


def _answer(
    request: HttpRequest,
    membership: Membership,
    event: AlertEvent,
    words: str,
    level: str = "success",
    *,
    is_said: bool = False,
) -> HttpResponse:
    slug = membership.organization.slug
    if not wants_part(request):
        messages.add_message(request, messages.INFO if level == "info" else messages.SUCCESS, words)
        return redirect("alerts:event_detail", slug=slug, event_id=event.pk)
    fresh = event_of(membership.organization_id, event.pk)
    context = incident_context(membership, fresh) | {"is_said": is_said}
    response = render(request, "alerts/events/_incident.html", context)
    response["HX-Trigger"] = json.dumps({"toast": {"text": words, "level": level}})
    return response
