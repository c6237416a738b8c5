"""Pages of saved reports: the list, saving, changing, sending, and the link that stops the e-mails."""

import datetime as dt
import uuid
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import members_of, page_membership, person
from core.csv_cells import csv_lines
from core.errors import DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.streaming import csv_file
from costs.explorer import report_lists, reports, sending
from costs.explorer.drawing import words_of
from costs.explorer.mails import recipient_of
from costs.explorer.page_state import read_page
from costs.explorer.report_forms import ReportForm, ScheduleForm, schedule_initial
from costs.explorer.report_lists import listed, read_wanted, rows_of, words_of_query
from costs.explorer.views import own_projects
from costs.models import CostReport, ReportRecipient


@login_required
@never_cache
@require_GET
def report_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The reader's own reports and the shared ones. At most six queries."""
    membership = page_membership(request, slug)
    wanted = read_wanted(request.GET)
    found, after = listed(membership.organization_id, membership.user, wanted)
    context = {
        "organization": membership.organization,
        "tab": "explorer",
        "rows": _rows(membership, found),
        "after": after,
        "wanted": wanted,
        "whose": report_lists.WHOSE.items(),
        "sorts": report_lists.SORTS.items(),
        "is_filtered": any((wanted.q, wanted.whose, wanted.after)),
        "may_save": membership.allows(Role.MEMBER),
    }
    return render_page_or_part(
        request,
        page="costs/explorer/reports.html",
        part="costs/explorer/_reports_results.html",
        context=context,
    )


def _rows(membership: Membership, found: list[CostReport]) -> list[report_lists.ReportRow]:
    return rows_of(
        found,
        slug=membership.organization.slug,
        user=membership.user,
        is_admin=membership.allows(Role.ADMIN),
    )


@login_required
@never_cache
@require_GET
def report_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV."""
    membership = page_membership(request, slug)
    wanted = read_wanted(request.GET)
    found, _ = listed(
        membership.organization_id, membership.user, wanted, limit=reports.MAX_REPORTS
    )
    rows: list[list[Any]] = [["id", "name", "author", "is_shared", "question", "query", "schedule"]]
    for row in _rows(membership, found):
        one = row.report
        author = one.author.email if one.author else ""
        shared = "true" if one.is_shared else "false"
        rows.append([one.pk, one.name, author, shared, row.words, one.query, row.when])
    return csv_file(f"{membership.organization.slug}-reports.csv", csv_lines(rows))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def report_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Save the question of the address under a name."""
    membership = page_membership(request, slug, Role.MEMBER)
    ids = [one.pk for one in own_projects(request, membership)]
    now = timezone.now()
    state = read_page(request.GET, slug=slug, project_ids=ids, now=now)
    form = ReportForm(request.POST or None, initial={"name": words_of(state)[:120]})
    if request.method == "POST" and form.is_valid():
        try:
            saved = reports.save_report(
                organization=membership.organization,
                draft=form.draft(state.query()),
                author=person(request),
                replaces=form.cleaned_data["replaces"],
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved: {saved.name}.")
            return redirect("costs:report_edit", slug=slug, report_id=saved.pk)
    context = {
        "organization": membership.organization,
        "form": form,
        "words": words_of_query(state.query()),
        "back": state.url(),
    }
    return render(request, "costs/explorer/report_form.html", context, status=_status(form))


def _status(*forms: Any) -> int:
    is_wrong = any(form.is_bound and form.errors for form in forms)
    return HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def report_edit(request: HttpRequest, slug: str, report_id: uuid.UUID) -> HttpResponse:
    """A report's name, sharing and schedule. The author changes it, admins change shared ones."""
    membership = page_membership(request, slug, Role.MEMBER)
    report = reports.changeable_report(membership, report_id)
    initial = {"name": report.name, "is_shared": report.is_shared}
    form = ReportForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            reports.save_report(
                organization=membership.organization,
                draft=form.draft(report.query),
                author=person(request),
                report=report,
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved: {report.name}.")
            return redirect("costs:report_edit", slug=slug, report_id=report_id)
    return _edit_page(request, membership, report, form)


def _edit_page(
    request: HttpRequest,
    membership: Membership,
    report: CostReport,
    form: ReportForm | None = None,
    schedule_form: ScheduleForm | None = None,
) -> HttpResponse:
    stored = CostReport.objects.get(pk=report.pk)
    schedule = reports.schedule_of(stored)
    recipients = _recipients(stored)
    if form is None:
        form = ReportForm(initial={"name": stored.name, "is_shared": stored.is_shared})
    if schedule_form is None:
        on_list = [one.user_id for one in recipients if not one.unsubscribed_at]
        schedule_form = _schedule_form(
            membership,
            recipients,
            initial=schedule_initial(stored, schedule, on_list, membership.user.time_zone),
        )
    context = {
        "organization": membership.organization,
        "report": stored,
        "form": form,
        "schedule": schedule,
        "schedule_form": schedule_form,
        "recipients": recipients,
        "words": words_of_query(stored.query),
        "when": report_lists.when_of(schedule),
        "href": f"{reverse('costs:explorer', args=[membership.organization.slug])}?{stored.query}",
        "now": timezone.now(),
    }
    status = _status(form, schedule_form)
    return render(request, "costs/explorer/report_edit.html", context, status=status)


def _recipients(report: CostReport) -> list[ReportRecipient]:
    rows = ReportRecipient.objects.filter(schedule__report=report).select_related("user")
    return list(rows.order_by("user__email"))


def _schedule_form(
    membership: Membership, recipients: list[ReportRecipient], data: Any = None, **more: Any
) -> ScheduleForm:
    left = [one.user_id for one in recipients if one.unsubscribed_at]
    members = list(members_of(membership.organization))
    return ScheduleForm(data, members=members, left=left, **more)


@login_required
@require_POST
def report_schedule(request: HttpRequest, slug: str, report_id: uuid.UUID) -> HttpResponse:
    """Save when it is sent, or with `stop` send it no more."""
    membership = page_membership(request, slug, Role.MEMBER)
    report = reports.changeable_report(membership, report_id)
    if "stop" in request.POST:
        reports.unschedule_report(report=report, actor=person(request))
        messages.success(request, f"{report.name} is not sent any more.")
        return redirect("costs:report_edit", slug=slug, report_id=report_id)
    form = _schedule_form(membership, _recipients(report), request.POST)
    if form.is_valid():
        try:
            reports.schedule_report(
                report=report, draft=form.draft(), actor=person(request), now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{report.name} will be sent.")
            return redirect("costs:report_edit", slug=slug, report_id=report_id)
    return _edit_page(request, membership, report, schedule_form=form)


@login_required
@require_POST
def report_sending(request: HttpRequest, slug: str, report_id: uuid.UUID) -> HttpResponse:
    """Send it to everybody on its list now."""
    membership = page_membership(request, slug, Role.MEMBER)
    report = reports.changeable_report(membership, report_id)
    schedule = reports.schedule_of(report)
    if schedule is None:
        raise NotFoundError("This report has no schedule; say to whom it goes first.")
    try:
        count = sending.send_now(schedule=schedule, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"On its way to {count} {'person' if count == 1 else 'people'}.")
    return redirect("costs:report_edit", slug=slug, report_id=report_id)


@login_required
@require_POST
def report_deletion(request: HttpRequest, slug: str, report_id: uuid.UUID) -> HttpResponse:
    """Delete a report and its schedule."""
    membership = page_membership(request, slug, Role.MEMBER)
    report = reports.changeable_report(membership, report_id)
    reports.delete_report(report=report, actor=person(request))
    messages.success(request, f"Deleted: {report.name}.")
    return redirect("costs:report_list", slug=slug)


@csrf_exempt  # the token is the authority, and mail clients unsubscribe with one bare POST (RFC 8058)
@never_cache
@require_http_methods(["GET", "POST"])
def report_unsubscribe(request: HttpRequest, subscription: str) -> HttpResponse:
    """Stop one person's e-mails of one report, or with `again` go on; needs no account."""
    recipient = recipient_of(subscription)
    if recipient is None:
        gone = "This link is not one LLMLab gave out, or the report is sent no more."
        raise NotFoundError(gone)
    if request.method == "POST":
        left: dt.datetime | None = None if "again" in request.POST else timezone.now()
        ReportRecipient.objects.filter(pk=recipient.pk).update(unsubscribed_at=left)
        recipient.unsubscribed_at = left
    context = {"recipient": recipient, "report": recipient.schedule.report}
    return render(request, "costs/explorer/unsubscribe.html", context)
