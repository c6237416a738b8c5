"""Organisation pages: members, settings, audit trail, the switcher; the person's own page;
invitations.
"""

import uuid
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import invitations, selectors, services
from accounts.adapter import SESSION_INVITATION
from accounts.forms import (
    AppearanceForm,
    AuditFilterForm,
    InviteForm,
    OrganizationForm,
    OrganizationSettingsForm,
    ProfileForm,
    RoleForm,
    add_domain_error,
)
from accounts.models import ROLE_RANK, Membership, Role, User
from accounts.selectors import page_membership, person
from core.errors import DomainError, NotFoundError

AUDIT_PAGE = 50
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


def grantable_roles(membership: Membership) -> list[Role]:
    """The roles this member may give to others, highest first."""
    if not membership.allows(Role.ADMIN):
        return []
    return [role for role in Role if ROLE_RANK[role] <= ROLE_RANK[Role(membership.role)]]


@login_required
@require_http_methods(["GET", "POST"])
def member_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Who is in, who is invited; admins invite here."""
    membership = page_membership(
        request, slug, Role.ADMIN if request.method == "POST" else Role.VIEWER
    )
    roles = grantable_roles(membership)
    form = InviteForm(request.POST or None, roles=roles)
    if request.method == "POST" and form.is_valid():
        try:
            invitation = invitations.invite_member(
                organization=membership.organization,
                email=form.cleaned_data["email"],
                role=Role(form.cleaned_data["role"]),
                actor=membership,
                now=timezone.now(),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(
                request, f"{invitation.email} is invited. You can also hand over the link below."
            )
            return redirect("accounts:member_list", slug=slug)
    context = _members_context(membership, roles, form)
    status = UNPROCESSABLE if form.is_bound else HTTPStatus.OK
    return render(request, "accounts/member_list.html", context, status=status)


def _members_context(
    membership: Membership, roles: list[Role], form: InviteForm
) -> dict[str, object]:
    rank = ROLE_RANK[Role(membership.role)]
    rows = [
        {
            "membership": row,
            "id_text": str(row.pk),
            "is_self": row.user_id == membership.user_id,
            "may_change": bool(roles)
            and ROLE_RANK[Role(row.role)] <= rank
            and row.user_id != membership.user_id,
        }
        for row in selectors.members_of(membership.organization)
    ]
    pending = []
    if roles:
        found = selectors.open_invitations(membership.organization, now=timezone.now())
        pending = [{"invitation": row, "link": invitations.link_of(row)} for row in found]
    return {
        "organization": membership.organization,
        "membership": membership,
        "rows": rows,
        "pending": pending,
        "roles": roles,
        "form": form,
    }


def _member(membership: Membership, member_id: uuid.UUID) -> Membership:
    found = selectors.members_of(membership.organization).filter(pk=member_id).first()
    if found is None:
        raise NotFoundError("There is no such member.")
    return found


@login_required
@require_POST
def member_change(request: HttpRequest, slug: str, member_id: uuid.UUID) -> HttpResponse:
    """Give a member another role."""
    membership = page_membership(request, slug, Role.ADMIN)
    member = _member(membership, member_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise DomainError("role must be owner, admin, member or viewer.", fields=["role"])
    try:
        services.change_member_role(
            membership=member,
            role=Role(form.cleaned_data["role"]),
            actor=person(request),
        )
    except services.ForbiddenError:
        raise
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"{member.user.email} is now {form.cleaned_data['role']}.")
    return redirect("accounts:member_list", slug=slug)


@login_required
@require_POST
def member_remove(request: HttpRequest, slug: str, member_id: uuid.UUID) -> HttpResponse:
    """Take a member out, or leave."""
    membership = page_membership(request, slug)
    member = _member(membership, member_id)
    leaves = member.pk == membership.pk
    try:
        services.remove_member(membership=member, actor=person(request))
    except services.ForbiddenError:
        raise
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("accounts:member_list", slug=slug)
    if leaves:
        messages.success(request, f"You left {membership.organization.name}.")
        return redirect("home")
    messages.success(request, f"{member.user.email} was removed.")
    return redirect("accounts:member_list", slug=slug)


@login_required
@require_POST
def invitation_revoke(request: HttpRequest, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Withdraw an invitation."""
    membership = page_membership(request, slug, Role.ADMIN)
    invitation = membership.organization.invitations.filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFoundError("There is no such invitation.")
    invitations.revoke_invitation(invitation=invitation, actor=membership, now=timezone.now())
    messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return redirect("accounts:member_list", slug=slug)


@login_required
@require_http_methods(["GET", "POST"])
def organization_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Name and audit trail; admins and owners only."""
    membership = page_membership(request, slug, Role.ADMIN)
    organization = membership.organization
    initial = {"name": organization.name, "allows_sharing": organization.allows_sharing}
    form = OrganizationSettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.rename_organization(
                organization=organization,
                name=form.cleaned_data["name"],
                actor=person(request),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            services.allow_sharing(
                organization=organization,
                allowed=form.cleaned_data["allows_sharing"],
                actor=person(request),
            )
            messages.success(request, "The organisation's settings are saved.")
            return redirect("accounts:organization_settings", slug=slug)
    context = {"organization": organization, "form": form, **_audit_page(request, membership)}
    status = UNPROCESSABLE if form.is_bound else HTTPStatus.OK
    return render(request, "accounts/organization_settings.html", context, status=status)


def _audit_page(request: HttpRequest, membership: Membership) -> dict[str, object]:
    filters = AuditFilterForm(request.GET)
    if not filters.is_valid():
        raise DomainError(
            "before must be the id of an event; follow the link “Older”.", fields=["before"]
        )
    wanted = filters.cleaned_data
    events = selectors.audit_events(
        membership.organization, action=wanted["action"], actor=wanted["actor"]
    )
    if wanted["before"]:
        events = events.filter(pk__lt=wanted["before"])
    page = list(events[: AUDIT_PAGE + 1])
    older = page[AUDIT_PAGE - 1].pk if len(page) > AUDIT_PAGE else None
    return {
        "filters": wanted,
        "events": page[:AUDIT_PAGE],
        "older": older,
        "is_first_page": not wanted["before"],
    }


@login_required
@require_http_methods(["GET", "POST"])
def organization_create(request: HttpRequest) -> HttpResponse:
    """A further organisation, or a first one for somebody who left theirs."""
    user = person(request)
    initial = {"name": services.default_organization_name(user)}
    form = OrganizationForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            organization = services.create_organization(name=form.cleaned_data["name"], owner=user)
        except DomainError as error:
            add_domain_error(form, error)
        else:
            request.session[selectors.SESSION_ORGANIZATION] = str(organization.pk)
            return redirect("projects:project_create")
    status = UNPROCESSABLE if form.is_bound else HTTPStatus.OK
    return render(request, "accounts/organization_create.html", {"form": form}, status=status)


@login_required
@require_POST
def organization_switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Make this the current organisation."""
    membership = page_membership(request, slug)
    request.session[selectors.SESSION_ORGANIZATION] = str(membership.organization_id)
    return redirect("projects:project_list")


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The person's own page."""
    user = person(request)
    form = ProfileForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        services.update_profile(user=user, name=form.cleaned_data["name"])
        messages.success(request, "Your profile is saved.")
        return redirect("accounts:profile")
    status = UNPROCESSABLE if form.is_bound else HTTPStatus.OK
    return _profile_page(request, form, _appearance_form(user), status)


def _profile_page(
    request: HttpRequest, form: ProfileForm, appearance: AppearanceForm, status: int
) -> HttpResponse:
    context = {
        "form": form,
        "appearance": appearance,
        "memberships": selectors.memberships_of(person(request)),
        "session_ends_at": request.session.get_expiry_date(),
    }
    return render(request, "accounts/profile.html", context, status=status)


def _appearance_form(user: User) -> AppearanceForm:
    fields = ("time_zone", "number_style", "has_shortcuts")
    return AppearanceForm(initial={name: getattr(user, name) for name in fields})


@login_required
@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Keep how pages write times and figures for this person."""
    user = person(request)
    form = AppearanceForm(request.POST)
    if not form.is_valid():
        return _profile_page(request, ProfileForm(initial={"name": user.name}), form, UNPROCESSABLE)
    services.update_appearance(user=user, **form.cleaned_data)
    messages.success(request, "Pages are shown your way from now on.")
    return redirect("accounts:profile")


@require_GET
def invitation_detail(request: HttpRequest, token: str) -> HttpResponse:
    """What is offered, by whom; the button accepts. The browser remembers the link through sign-up
    and login.
    """
    invitation = invitations.find_open(token, now=timezone.now())
    if invitation is None:
        request.session.pop(SESSION_INVITATION, None)
        raise NotFoundError(invitations.GONE)
    request.session[SESSION_INVITATION] = token
    user = request.user
    context = {
        "invitation": invitation,
        "token": token,
        "is_for_me": user.is_authenticated and user.email.lower() == invitation.email.lower(),
        "open_signup": settings.LLMLAB_OPEN_SIGNUP,
    }
    return render(request, "accounts/invitation_detail.html", context)


@login_required
@require_POST
def invitation_accept(request: HttpRequest, token: str) -> HttpResponse:
    """Join the organisation."""
    membership = invitations.accept_invitation(
        token=token,
        user=person(request),
        now=timezone.now(),
    )
    request.session.pop(SESSION_INVITATION, None)
    request.session[selectors.SESSION_ORGANIZATION] = str(membership.organization_id)
    messages.success(request, f"Welcome to {membership.organization.name}.")
    return redirect("projects:project_list")
