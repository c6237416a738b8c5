"""One session, one user, one kind of failure."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core import formats
from core.charts import Series
from core.errors import DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.ranges import PRESETS, TimeRange, bin_label, parse_range
from projects.access import project_for
from projects.models import Project
from traces.activity import detail, rows
from traces.errors.status import set_error_status
from traces.models import ErrorGroup, SessionRow, Trace, UserRow
from traces.search import status as search_status
from traces.views.activity import traces_url

NOT_YET = "It has not been counted yet, or its traces were deleted. New traces are counted within a few seconds."


@login_required
@never_cache
@require_GET
def session_detail(request: HttpRequest, slug: str, session_id: str) -> HttpResponse:
    """`P/sessions/<id>/`: the turns in order, what was asked and answered, and the running total."""
    project = project_for(request, slug)
    row = SessionRow.objects.filter(project=project.pk, session_id=session_id).first()
    if row is None:
        raise NotFoundError(f"There is no such session. {NOT_YET}")
    after = request.GET.get("after", "").replace("\x00", "")
    turns, next_after = detail.session_turns(project, session_id, after=after)
    failures = detail.failures_of(
        project, [turn.trace.trace_id for turn in turns if turn.trace.error_count]
    )
    here = rows.session_url(project, session_id)
    context = {
        "project": project,
        "row": row,
        "may_erase": _may_erase(project),
        "line": rows.session_line(project, row),
        "users": [(user, rows.user_url(project, user)) for user in row.user_ids],
        "turns": [_turn(project, turn, failures) for turn in turns],
        "next_href": f"{here}?after={next_after}" if next_after else "",
        "first_href": here if after else "",
        "here": request.get_full_path(),
        "traces_href": _all_time(project, row, session=session_id),
        "reading": search_status.reading(project, now=timezone.now()),
    }
    return render_page_or_part(
        request,
        page="traces/session_detail.html",
        part="traces/_session_turns.html",
        context=context,
    )


def _may_erase(project: Project) -> bool:
    return ROLE_RANK[project.role] >= ROLE_RANK[Role.ADMIN]


def _turn(
    project: Project, turn: detail.Turn, failures: dict[str, list[ErrorGroup]]
) -> dict[str, Any]:
    trace_id = turn.trace.trace_id
    return {
        "turn": turn,
        "trace": turn.trace,
        "href": reverse("traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace_id}),
        "failures": [
            (group, rows.error_url(project, group.fingerprint))
            for group in failures.get(trace_id, [])
        ],
    }


def _all_time(project: Project, row: SessionRow | UserRow, **params: str) -> str:
    """The trace list over everything the row has seen."""
    start = f"{row.first_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M}Z"
    end = f"{row.last_at.astimezone(dt.UTC) + dt.timedelta(minutes=1):%Y-%m-%dT%H:%M}Z"
    return traces_url(project, range=f"{start}..{end}", **params)


@login_required
@never_cache
@require_GET
def user_detail(request: HttpRequest, slug: str, user_id: str) -> HttpResponse:
    """`P/users/<id>/`: figures, spend over time, models, sessions and failures."""
    project = project_for(request, slug)
    now = timezone.now()
    row = UserRow.objects.filter(project=project.pk, user_id=user_id).first()
    if row is None:
        raise NotFoundError(f"There is no such user. {NOT_YET}")
    period, note = _period(request, now)
    figures = detail.user_figures(project, user_id, period)
    sessions, errors = detail.user_recent(project, user_id)
    context = {
        "project": project,
        "row": row,
        "may_erase": _may_erase(project),
        "period": period,
        "range": _range(period),
        "notes": [note] if note else [],
        "chart": _spend_chart(figures, period),
        "figures": figures,
        "models": [
            {
                "name": group.key[0] or "unnamed model",
                "sums": group.current,
                "href": traces_url(
                    project, range=period.key, user=user_id, model=group.key[0] or "(none)"
                ),
            }
            for group in figures.models
        ],
        "sessions": [rows.session_line(project, one) for one in sessions],
        "errors": [
            {"row": one, "href": rows.error_url(project, one.fingerprint)} for one in errors
        ],
        "traces_href": traces_url(project, range=period.key, user=user_id),
        "sessions_href": reverse("traces:session_list", kwargs={"slug": project.ref})
        + f"?{urlencode({'user': user_id, 'range': period.key})}",
        "reading": search_status.reading(project, now=now),
    }
    return render_page_or_part(
        request,
        page="traces/user_detail.html",
        part="traces/_user_body.html",
        context=context,
    )


def _period(request: HttpRequest, now: dt.datetime) -> tuple[TimeRange, str]:
    """The range of the address on whole hours (the sums are hourly), and what was wrong with it."""
    params = request.GET
    text = params.get("range", "")
    if "start" in params and "end" in params:
        text = f"{params['start']}..{params['end']}"
    try:
        return parse_range(text, now=now, default="30d").whole_hours(), ""
    except DomainError as error:
        return parse_range("30d", now=now).whole_hours(), error.detail


def _range(period: TimeRange) -> dict[str, Any]:
    return {
        "label": period.label,
        "key": period.key,
        "start": period.start,
        "end": period.end,
        "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
    }


def _spend_chart(figures: detail.UserFigures, period: TimeRange) -> dict[str, Any]:
    bins = period.bins()
    values = [figures.total.trend[at].cost_usd if at in figures.total.trend else 0 for at in bins]
    total = figures.total.current
    return _chart(
        period, "Spend", values, f"Spend per {period.bin}, {formats.money(total.cost_usd)} in all"
    )


def _chart(
    period: TimeRange, label: str, values: Sequence[Any], what: str, slot: str = "c1"
) -> dict[str, Any]:
    """One series over the range."""
    bins = period.bins()
    return {
        "labels": [f"{at:%H:%M}" if period.bin == "hour" else f"{at:%b} {at.day}" for at in bins],
        "titles": [bin_label(at, period.bin) for at in bins],
        "series": [Series(label, values, slot=slot)],
        "summary": f"{what}, {period.label}",
    }


@login_required
@never_cache
@require_GET
def error_detail(request: HttpRequest, slug: str, fingerprint: str) -> HttpResponse:
    """`P/errors/<fingerprint>/`: what fails, since when, where, in which traces."""
    project = project_for(request, slug)
    row = (
        ErrorGroup.objects.select_related("changed_by")
        .filter(project=project.pk, fingerprint=fingerprint)
        .first()
    )
    if row is None:
        raise NotFoundError(f"There is no such error. {NOT_YET}")
    now = timezone.now()
    period, note = _period(request, now)
    trend = detail.error_trends(project, [fingerprint], period, period.bin)[fingerprint]
    context = {
        "project": project,
        "row": row,
        "notes": [note] if note else [],
        "range": _range(period),
        "chart": _chart(period, "Failures", trend, f"{formats.count(sum(trend))} failures", "c4"),
        "samples": [
            _sample(project, trace) for trace in detail.error_samples(project, fingerprint)
        ],
        "shares": [
            (title, detail.error_shares(project, fingerprint, column))
            for title, column in (
                ("Releases", "release"),
                ("Environments", "environment"),
                ("Users", "user_id"),
            )
        ],
        "may_change": ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER],
        "status_url": reverse(
            "traces:error_status", kwargs={"slug": project.ref, "fingerprint": fingerprint}
        ),
        "reading": search_status.reading(project, now=now),
    }
    return render_page_or_part(
        request,
        page="traces/error_detail.html",
        part="traces/_error_body.html",
        context=context,
    )


def _sample(project: Project, trace: Trace) -> dict[str, Any]:
    return {
        "trace": trace,
        "href": reverse(
            "traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace.trace_id}
        ),
        "user_href": rows.user_url(project, trace.user_id) if trace.user_id else "",
    }


@login_required
@require_POST
def error_status(request: HttpRequest, slug: str, fingerprint: str) -> HttpResponse:
    """Resolve, ignore or reopen a kind of failure; back to its page, which says what happened."""
    project = project_for(request, slug, Role.MEMBER)
    group = set_error_status(
        project=project,
        fingerprint=fingerprint,
        status=request.POST.get("status", ""),
        in_next_release=request.POST.get("in_next_release") == "1",
        actor=person(request),
        now=timezone.now(),
    )
    words = {
        "open": "Open again.",
        "resolved": f"Resolved. It opens again when it is seen in another release than {group.resolved_release}."
        if group.resolved_release
        else "Resolved. It opens again when it is seen again.",
        "ignored": "Ignored. It stays counted and does not open again by itself.",
    }
    messages.success(request, words[group.status])
    return redirect(rows.error_url(project, fingerprint))
