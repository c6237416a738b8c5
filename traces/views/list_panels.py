"""What loads around the trace list: facets, volume, totals, what is new, the tail, suggestions for the query bar."""

import datetime as dt
import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from core.errors import DomainError
from projects.access import parse_uuid, project_for
from projects.models import Project
from traces import list_facets
from traces.filters import TraceFilters, parse_filters
from traces.filters.state import PARAM_OF
from traces.query_terms import KEYS
from traces.selectors import facets as facet_selectors
from traces.selectors import listing, suggestions

_SNAPSHOT = re.compile(r"\d{1,20}:\d{1,20}:(?:\d{1,20}(?:,\d{1,20})*)?", re.ASCII)
MAX_SNAPSHOT = 4_000
TAIL_ROWS = 50


def _panel(request: HttpRequest, slug: str) -> tuple[Project, TraceFilters, str, dict[str, object]]:
    """The project, the state, the list's address, and what its links keep."""
    project = project_for(request, slug)
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    view = parse_uuid(request.GET.get("view", ""))
    return project, parse_filters(request.GET, now=timezone.now()), base, {"view": view}


def counts_context(
    project: Project, filters: TraceFilters, base: str, kept: dict[str, object]
) -> dict[str, Any]:
    """Facets with counts, for the panel and for pages read without JavaScript."""
    facets, is_sample = facet_selectors.facet_counts(project, filters)
    return {
        "facets": list_facets.facet_groups(facets, filters, base, **kept),
        "is_sample": is_sample,
        "sample": facet_selectors.sample_size(filters),
        "has_counts": True,
        "totals": listing.trace_totals(project, filters),
        "cap": listing.count_cap(filters),
        "volume_context": volume_context(project, filters, base, kept),
    }


@login_required
@never_cache
@require_GET
def facets_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The facets with counts under the other filters."""
    project, filters, base, kept = _panel(request, slug)
    facets, is_sample = facet_selectors.facet_counts(project, filters)
    context = {
        "facets": list_facets.facet_groups(facets, filters, base, **kept),
        "project": project,
        "query": filters.query(),
        "is_sample": is_sample,
        "sample": facet_selectors.sample_size(filters),
    }
    return render(request, "traces/_facets.html", context)


@login_required
@never_cache
@require_GET
def facet_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The values of one facet that contain `find`, most frequent first."""
    project, filters, base, kept = _panel(request, slug)
    key = request.GET.get("key", "")
    if key not in KEYS or key not in list_facets.LABELS:
        raise DomainError(f"key is {key[:40]!r}; it must be a facet of the list.", fields=["key"])
    find = request.GET.get("find", "").replace("\x00", "").strip()[:200]
    found = facet_selectors.value_counts(project, filters, key, containing=find)
    on = set(filters.values.get(PARAM_OF.get(key, ""), ()))
    options = [
        list_facets.facet_option(
            key, facet_selectors.FacetValue(value, n, value in on), filters, base, **kept
        )
        for value, n in found
    ]
    return render(request, "traces/_facet_options.html", {"options": options, "find": find})


def volume_context(
    project: Project, filters: TraceFilters, base: str, kept: dict[str, object]
) -> dict[str, Any]:
    """Traces per interval; each bar links to its interval."""
    volume = listing.trace_volume(project, filters)
    is_short = filters.range.duration <= dt.timedelta(days=2)
    hrefs = []
    for start in volume.starts:
        span = f"{_instant_text(start)}..{_instant_text(start + volume.step)}"
        hrefs.append(f"{base}?{filters.query(range=span, **kept)}")
    failed = sum(volume.errors)
    rest = filters.query(range=None, **kept)
    last = volume.starts[-1] + volume.step if volume.starts else filters.range.end
    return {
        "volume": volume,
        "labels": [f"{s:%H:%M}" if is_short else f"{s:%b} {s.day}" for s in volume.starts],
        "titles": [f"{s:%b} {s.day}, {s:%H:%M} UTC" for s in volume.starts],
        "hrefs": hrefs,
        "step": _interval(volume.step),
        "edges": " ".join(_instant_text(edge) for edge in [*volume.starts, last]),
        "zoom_url": f"{base}?range={{range}}{'&' if rest else ''}{rest}",
        "error_share": formats.percent(failed / volume.total) if volume.total else "",
        "summary": f"{formats.count(volume.total)} traces, {formats.count(failed)} with errors, {filters.range.label}",
        "sample": volume.sample,
    }


def _instant_text(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


@login_required
@never_cache
@require_GET
def volume_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Traces per interval."""
    project, filters, base, kept = _panel(request, slug)
    return render(request, "traces/_volume.html", volume_context(project, filters, base, kept))


def _interval(step: dt.timedelta) -> str:
    """`10 s`, `30 minutes`, `hour`, `3 hours`, `day`."""
    seconds = int(step.total_seconds())
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds} s"


@login_required
@never_cache
@require_GET
def total_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """How many traces match and what they cost; loads after the rows."""
    project, filters, _, _ = _panel(request, slug)
    context = {"totals": listing.trace_totals(project, filters), "cap": listing.count_cap(filters)}
    return render(request, "traces/_total.html", context)


def _snapshot(request: HttpRequest) -> str:
    """The page's snapshot, checked. Raises DomainError."""
    snapshot = request.GET.get("snapshot", "")
    refusal = DomainError(
        "snapshot is not one this server gave out; reload the page.", fields=["snapshot"]
    )
    if len(snapshot) > MAX_SNAPSHOT or not _SNAPSHOT.fullmatch(snapshot):
        raise refusal
    low, high, inside = snapshot.split(":")
    if not 0 < int(low) <= int(high) < 2**63 or any(
        not int(low) <= int(x) < int(high) for x in inside.split(",") if x
    ):
        raise refusal
    return snapshot


@login_required
@never_cache
@require_GET
def new_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """How many matching traces have arrived since the page's snapshot."""
    project, filters, base, kept = _panel(request, slug)
    count = listing.new_trace_count(
        project, filters, snapshot=_snapshot(request), since=_since(request)
    )
    context = {
        "count": count,
        "cap": listing.NEW_CAP,
        "href": f"{base}?{filters.query(**kept)}",
    }
    return render(request, "traces/_new.html", context)


@login_required
@never_cache
@require_GET
def tail_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The rows of matching traces that arrived since the snapshot, newest first, and where to ask next."""
    from traces.views.listing import page_layout, trace_lines

    project, filters, base, kept = _panel(request, slug)
    columns = page_layout(request, project).columns
    before = listing.current_snapshot()
    rows, left = listing.new_traces(
        project, filters, snapshot=_snapshot(request), since=_since(request), limit=TAIL_ROWS
    )
    context = {
        "project": project,
        "filters": filters,
        "rows": trace_lines(
            project,
            rows,
            filters,
            base,
            kept["view"],  # type: ignore[arg-type]
            with_scores="scores" in columns,
        ),
        "columns": columns,
        "left": left,
        "query": filters.query(**kept),
        "snapshot": before,
        "loaded_at": timezone.now().isoformat(),
    }
    return render(request, "traces/_tail.html", context)


def _since(request: HttpRequest) -> dt.datetime:
    """Never further back than a day: a page that old is reloaded, not counted for."""
    default = timezone.now() - dt.timedelta(days=1)
    try:
        at = dt.datetime.fromisoformat(request.GET.get("since", "").replace(" ", "+"))
    except ValueError:
        return default
    return max(at, default) if at.tzinfo else default


@login_required
@never_cache
@require_GET
def suggestions_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """What could stand at the caret: keys, then the key's values with their counts under the rest of the query."""
    project, _, _, _ = _panel(request, slug)
    text = request.GET.get("q", "").replace("\x00", " ")[:2_000]
    at = request.GET.get("at", "")
    caret = int(at) if at.isascii() and at.isdigit() and len(at) < 6 else len(text)
    params = request.GET.copy()
    params.pop("q", None)
    params.pop("at", None)
    found = suggestions.suggestions(
        project, params, text, min(caret, len(text)), now=timezone.now()
    )
    return render(request, "traces/_list_suggestions.html", {"suggestions": found})
