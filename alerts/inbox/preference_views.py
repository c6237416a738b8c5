"""What one person wants to hear, and the link that stops digests."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Membership, User
from accounts.selectors import page_membership, person
from alerts.inbox import digest_times, digests, preferences, selectors
from alerts.inbox.digest_mail import preference_behind
from alerts.inbox.forms import form_of
from alerts.models import Digest, NotificationPreference
from core.errors import DomainError, NotFoundError


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def preference_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The person's own choice about one organisation. Five queries, and those of the tabs."""
    membership = page_membership(request, slug)
    preference = selectors.preference_of(membership)
    form = form_of(preference, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            preferences.save_preference(
                membership=membership, user=person(request), draft=form.draft(), now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved.")
            return redirect("alerts:preferences", slug=slug)
    user = person(request)
    context = {
        "organization": membership.organization,
        "tab": "preferences",
        "form": form,
        "preference": preference,
        "when": _when(preference, user),
        "zone": digest_times.zone_of(user.time_zone),
        "has_zone": bool(user.time_zone),
        "now": timezone.now(),
    }
    return render(
        request, "alerts/inbox/preferences.html", context, status=422 if form.errors else 200
    )


def _when(preference: NotificationPreference, user: User) -> str:
    return digest_times.words_of(
        preference.digest,
        hour=preference.digest_hour,
        weekday=preference.digest_weekday,
        zone=digest_times.zone_of(user.time_zone),
    )


@login_required
@require_POST
def digest_sending(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the reader a digest now."""
    membership = page_membership(request, slug)
    user = person(request)
    try:
        digests.send_now(membership=membership, user=user, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"On its way to {user.email}.")
    return redirect("alerts:preferences", slug=slug)


@csrf_exempt  # the token is the authority, and mail clients unsubscribe with one bare POST (RFC 8058)
@never_cache
@require_http_methods(["GET", "POST"])
def digest_unsubscribe(request: HttpRequest, digest_token: str) -> HttpResponse:
    """Stop one person's digests of one organisation, or with `again` go on; needs no account."""
    preference = preference_behind(digest_token)
    if preference is None:
        raise NotFoundError("This link is not one LLMLab gave out, or what it is about is gone.")
    before = preference.digest
    if request.method == "POST":
        if "again" in request.POST:
            _go_on(preference, request.POST["again"])
        else:
            preferences.stop_digest(preference)
    context = {
        "preference": preference,
        "organization": preference.organization,
        "before": before if before != Digest.NONE else Digest.DAILY.value,
    }
    return render(request, "alerts/inbox/unsubscribe.html", context)


def _go_on(preference: NotificationPreference, digest: str) -> None:
    """Raises DomainError, NotFoundError."""
    user = preference.user
    rows = Membership.objects.select_related("organization")
    membership = rows.filter(user=user, organization_id=preference.organization_id).first()
    if membership is None:
        raise NotFoundError(f"{user.email} is not a member of the organisation any more.")
    draft = preferences.draft_of(preference)
    saved = preferences.save_preference(
        membership=membership,
        user=user,
        draft=preferences.replace_digest(draft, digest),
        now=timezone.now(),
    )
    preference.digest, preference.digest_next_at = saved.digest, saved.digest_next_at
