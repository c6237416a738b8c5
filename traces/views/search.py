"""The search page: the best traces for a question, by words, by meaning or both; or those like one trace."""

import datetime as dt
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.errors import DomainError
from core.htmx import render_page_or_part
from core.ranges import PRESETS, TimeRange, make_range, parse_instant, parse_range
from projects.access import project_for
from projects.models import Project
from traces import lines, search
from traces.filters import TraceFilters, parse_filters
from traces.search.ranking import CANDIDATES
from traces.selectors.listing import matching

DEFAULT_RANGE = "30d"
MAX_TEXT = 200
MAX_WITHIN = 4_000
LIMIT = 50
# No more are ranked (search.ranking): as many by words as by meaning.
LAST_PLACE = 2 * CANDIDATES
MODE_LABELS = {"words": "Words", "meaning": "Meaning", "both": "Both"}


@login_required
@never_cache
@require_GET
def search_page(request: HttpRequest, slug: str) -> HttpResponse:
    """`P/search/?q=&match=words|meaning|both&range=` or `?like=<trace id>`; `within` is a query string of the trace
    list whose filters hold as well."""
    project = project_for(request, slug)
    now = timezone.now()
    notes: list[str] = []
    period = _period(request, now, notes)
    text = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_TEXT]
    like = request.GET.get("like", "").replace("\x00", "")[:128]
    match = request.GET.get("match", "") or "words"
    if match not in search.MODES:
        notes.append(
            f"match is {match[:40]!r}; it must be one of {', '.join(search.MODES)}, so words are searched."
        )
        match = "words"
    filters = parse_filters(QueryDict(request.GET.get("within", "")[:MAX_WITHIN]), now=now)
    notes += filters.notes
    within = matching(project, replace(filters, range=period))
    skip = _skip(request, notes)
    hits: list[search.Hit] = []
    try:
        if like:
            hits = search.similar(project, like, within=within, limit=LIMIT + 1, skip=skip)
        elif text:
            hits = search.ranked(
                project,
                text,
                within=within,
                mode=match,  # type: ignore[arg-type]
                limit=LIMIT + 1,
                skip=skip,
            )
    except search.MeaningUnavailableError as error:
        notes.append(f"Meaning search is not available: {error.detail}")
        hits = search.ranked(project, text, within=within, limit=LIMIT + 1, skip=skip)
    # The range as it stands now: what arrives meanwhile moves no place.
    here = {"q": text, "like": like, "match": match, "within": _within(filters)}
    following = {**here, "range": period.explicit}
    context = _context(request, project, period, now) | {
        "q": text,
        "like": like,
        "match": match,
        "notes": notes,
        "lines": _lines(project, hits[:LIMIT], within),
        "first_place": skip + 1,
        "last_place": skip + len(hits[:LIMIT]),
        "next_href": lines.with_query(request.path, **following, skip=skip + LIMIT)
        if len(hits) > LIMIT
        else "",
        "first_href": lines.with_query(request.path, **here, range=period.key) if skip else "",
        "is_asked": bool(text or like),
        "limit": LIMIT,
        "within": _within(filters),
        "within_text": filters.text,
        "unfiltered_href": lines.with_query(
            request.path, q=text, like=like, match=match, range=period.key
        ),
        "modes": [(mode, MODE_LABELS[mode]) for mode in search.MODES],
    }
    return render_page_or_part(
        request, page="traces/search.html", part="traces/_search_results.html", context=context
    )


def _within(filters: TraceFilters) -> str:
    return filters.query(range=None, sort=None) if filters.is_narrowed else ""


def _skip(request: HttpRequest, notes: list[str]) -> int:
    """How many better ones the pages before have shown."""
    text = request.GET.get("skip", "") or "0"
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) < LAST_PLACE:
        return int(text)
    notes.append(f"skip is {text[:40]!r}; it must be a number below {LAST_PLACE}.")
    return 0


def _context(
    request: HttpRequest, project: Project, period: TimeRange, now: dt.datetime
) -> dict[str, Any]:
    kept = [
        (name, request.GET[name])
        for name in ("q", "match", "like", "within")
        if request.GET.get(name)
    ]
    base = reverse("traces:search", kwargs={"slug": project.ref})
    return {
        "project": project,
        "search_url": base,
        "status": search.status_of(project, now=now),
        "kept": kept,
        "list_href": f"{reverse('traces:trace_list', kwargs={'slug': project.ref})}?{urlencode({'range': period.key})}",
        "range": {
            "label": period.label,
            "key": period.key,
            "start": period.start,
            "end": period.end,
            "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
        },
    }


def _period(request: HttpRequest, now: dt.datetime, notes: list[str]) -> TimeRange:
    params = request.GET
    try:
        if "start" in params and "end" in params:
            ends = [parse_instant(str(params[name]), name) for name in ("start", "end")]
            return make_range(ends[0], ends[1], fields=("start", "end"))
        return parse_range(params.get("range", ""), now=now, default=DEFAULT_RANGE)
    except DomainError as error:
        notes.append(error.detail)
        return parse_range(DEFAULT_RANGE, now=now)


def _lines(project: Project, hits: list[search.Hit], within: Any) -> list[dict[str, Any]]:
    """Hits with their traces. One query."""
    traces = within.defer("metadata").in_bulk([(project.pk, hit.trace_id) for hit in hits])
    by_id = {trace.trace_id: trace for trace in traces.values()}
    return [
        {
            "hit": hit,
            "trace": by_id[hit.trace_id],
            "href": reverse(
                "traces:trace_detail", kwargs={"slug": project.ref, "trace_id": hit.trace_id}
            ),
            "similarity": None if hit.similarity is None else round(hit.similarity * 100),
        }
        for hit in hits
        if hit.trace_id in by_id
    ]
