"""The trace list and the panels around it."""

import datetime as dt
import re
from typing import Any
from urllib.parse import parse_qsl

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.ranges import PRESETS
from costs.filters import NONE
from projects.access import project_for
from projects.models import Project
from traces import lines
from traces.filters import TraceFilters, parse_filters, unknown_params
from traces.models import Trace
from traces.selectors import facets as facet_selectors
from traces.selectors import listing
from traces.views.export import CSV_CAP
from traces.waterfall import dom_id

FACET_LABELS = {
    "status": "Status",
    "name": "Trace name",
    "model": "Model",
    "provider": "Provider",
    "environment": "Environment",
    "agent": "Agent",
    "user": "User",
    "session": "Session",
    "tag": "Tag",
    "min_cost": "Cost",
    "unpriced": "Price",
}
OPEN_FACETS = frozenset({"status", "name", "model", "environment", "min_cost", "unpriced"})
VALUE_LABELS = {"ok": "OK", "error": "Error", "running": "Running"}
_SNAPSHOT = re.compile(r"\d{1,20}:\d{1,20}:(?:\d{1,20}(?:,\d{1,20})*)?")
MAX_SNAPSHOT = 4_000


@login_required
@never_cache
@require_GET
def trace_list(request: HttpRequest, slug: str) -> HttpResponse:
    """`P/traces/`: one page of the filtered list; htmx gets the results only."""
    project = project_for(request, slug)
    now = timezone.now()
    filters = parse_filters(request.GET, now=now)
    notes = list(filters.notes)
    if unknown := unknown_params(request.GET):
        notes.append(f"Unknown in the address and ignored: {', '.join(unknown)}.")
    try:
        page = listing.trace_page(
            project,
            filters,
            after=request.GET.get("after", ""),
            before=request.GET.get("before", ""),
        )
    except listing.InvalidCursorError as error:
        notes.append(error.detail)
        page = listing.trace_page(project, filters)
    context = _list_context(request, project, filters, page, now) | {"notes": notes}
    response = render_page_or_part(
        request, page="traces/list.html", part="traces/_list_results.html", context=context
    )
    if request.htmx:  # type: ignore[attr-defined]
        response["HX-Push-Url"] = context["here"]
        response["HX-Trigger-After-Settle"] = "traces-filtered"
    return response


def _list_context(
    request: HttpRequest,
    project: Project,
    filters: TraceFilters,
    page: listing.TracePage,
    now: dt.datetime,
) -> dict[str, Any]:
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    query = filters.query()
    cursor = {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}
    outside = None
    if not page.rows and filters.q:
        outside = listing.trace_outside_range(project, filters)
    return {
        "project": project,
        "filters": filters,
        "range": {
            "label": filters.range.label,
            "key": filters.range.key,
            "start": filters.range.start,
            "end": filters.range.end,
            "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
        },
        "kept": _kept(filters),
        "rows": _trace_lines(project, page.rows, filters),
        "page": page,
        "chips": _chips(filters),
        "query": query,
        "here": f"{base}?{filters.query(**cursor)}",
        "list_url": base,
        "newer_href": f"{base}?{filters.query(before=page.before)}" if page.before else "",
        "older_href": f"{base}?{filters.query(after=page.after)}" if page.after else "",
        "wider": _wider(filters, base),
        "outside": outside,
        "loaded_at": now.isoformat(),
        "is_first_page": not cursor,
        "is_open_ended": filters.range.is_preset,
        "facets": _facet_groups([], filters),
        "csv_cap": CSV_CAP,
    }


def _kept(filters: TraceFilters) -> list[tuple[str, str]]:
    """The filters as hidden fields, without the range."""
    return parse_qsl(filters.query(range=None), keep_blank_values=True)


def _wider(filters: TraceFilters, base: str) -> dict[str, str] | None:
    """The next longer preset, for an empty list."""
    steps = {"15m": "24h", "1h": "24h", "24h": "7d", "7d": "30d", "mtd": "30d", "30d": "90d"}
    key = steps.get(filters.range.key)
    if key is None:
        return None
    return {"label": PRESETS[key].lower(), "href": f"{base}?{filters.query(range=key)}"}


def _trace_lines(
    project: Project, rows: list[Trace], filters: TraceFilters
) -> list[dict[str, Any]]:
    previews = listing.previews(project, rows)
    found = []
    for trace in rows:
        url = reverse(
            "traces:trace_detail",
            kwargs={"slug": project.ref, "trace_id": trace.trace_id},
        )
        found.append(
            {
                "trace": trace,
                "href": lines.with_query(url, list=filters.query() if filters.is_narrowed else ""),
                "preview": previews[trace.trace_id],
                "tokens": trace.input_tokens + trace.output_tokens,
                "strip": lines.strip_steps(trace),
            }
        )
    return found


def _chips(filters: TraceFilters) -> list[dict[str, str]]:
    """Active filters with the query string that removes each."""
    chips = [
        {
            "label": FACET_LABELS[facet],
            "value": VALUE_LABELS.get(value, value) if facet == "status" else value or "none",
            "href": "?" + filters.query(**{facet: [one or NONE for one in chosen if one != value]}),
        }
        for facet, chosen in filters.values.items()
        for value in chosen
    ]
    if filters.min_cost is not None:
        words = f"over {formats.money(filters.min_cost)}"
        chips.append({"label": "Cost", "value": words, "href": "?" + filters.query(min_cost=None)})
    if filters.unpriced:
        chips.append(
            {
                "label": "Price",
                "value": "has unpriced calls",
                "href": "?" + filters.query(unpriced=None),
            }
        )
    if filters.q:
        chips.append({"label": "Search", "value": filters.q, "href": "?" + filters.query(q=None)})
    return chips


def _facet_groups(
    facets: list[facet_selectors.Facet], filters: TraceFilters
) -> list[dict[str, Any]]:
    """The facet form's groups; before the counts are known, what is chosen and what has fixed values."""
    if not facets:
        facets = [
            facet_selectors.Facet(
                key, [facet_selectors.FacetValue(v, -1, True) for v in filters.values.get(key, ())]
            )
            for key in FACET_LABELS
            if key not in ("status", "min_cost", "unpriced")
        ]
        chosen = filters.values.get("status", ())
        status = [facet_selectors.FacetValue(v, -1, v in chosen) for v in VALUE_LABELS]
        steps = [
            facet_selectors.FacetValue(f"{s.normalize():f}", -1, s == filters.min_cost)
            for s in facet_selectors.COST_STEPS
        ]
        facets = [
            facet_selectors.Facet("status", status),
            *facets,
            facet_selectors.Facet("min_cost", steps),
            facet_selectors.Facet(
                "unpriced", [facet_selectors.FacetValue("1", -1, filters.unpriced)]
            ),
        ]
    groups = []
    for facet in facets:
        options = [
            {
                "id": f"f-{facet.key}-{dom_id(one.value)[5:13]}",
                "value": one.value or NONE,
                "label": _option_label(facet.key, one.value),
                "count": one.count if one.count >= 0 else None,
                "selected": one.is_on,
            }
            for one in facet.values
        ]
        is_open = facet.key in OPEN_FACETS or any(option["selected"] for option in options)
        groups.append(
            {
                "key": facet.key,
                "label": FACET_LABELS[facet.key],
                "options": options,
                "open": is_open,
            }
        )
    return groups


def _option_label(facet: str, value: str) -> str:
    if facet == "min_cost":
        return f"> {formats.money(formats.decimal(value))}"
    if facet == "unpriced":
        return "Has unpriced calls"
    return VALUE_LABELS.get(value, value) if facet == "status" else value or "none"


def _panel(request: HttpRequest, slug: str) -> tuple[Project, TraceFilters]:
    return project_for(request, slug), parse_filters(request.GET, now=timezone.now())


@login_required
@never_cache
@require_GET
def facets_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The facets with counts under the other filters."""
    project, filters = _panel(request, slug)
    facets, is_sample = facet_selectors.facet_counts(project, filters)
    context = {
        "facets": _facet_groups(facets, filters),
        "filters": filters,
        "is_sample": is_sample,
        "sample": facet_selectors.FACET_SAMPLE,
    }
    return render(request, "traces/_facets.html", context)


@login_required
@never_cache
@require_GET
def volume_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Traces per interval; each bar links to its interval."""
    project, filters = _panel(request, slug)
    volume = listing.trace_volume(project, filters)
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    is_short = filters.range.duration <= dt.timedelta(days=2)
    hrefs = []
    for start in volume.starts:
        span = f"{start:%Y-%m-%dT%H:%M:%S}Z..{start + volume.step:%Y-%m-%dT%H:%M:%S}Z"
        hrefs.append(f"{base}?{filters.query(range=span)}")
    failed = sum(volume.errors)
    context = {
        "volume": volume,
        "labels": [f"{s:%H:%M}" if is_short else f"{s:%b} {s.day}" for s in volume.starts],
        "titles": [f"{s:%b} {s.day}, {s:%H:%M} UTC" for s in volume.starts],
        "hrefs": hrefs,
        "step": _interval(volume.step),
        "error_share": formats.percent(failed / volume.total) if volume.total else "",
        "summary": f"{formats.count(volume.total)} traces, {formats.count(failed)} with errors, {filters.range.label}",
        "sample": listing.VOLUME_SAMPLE,
    }
    return render(request, "traces/_volume.html", context)


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
    project, filters = _panel(request, slug)
    context = {"totals": listing.trace_totals(project, filters), "cap": listing.COUNT_CAP}
    return render(request, "traces/_total.html", context)


@login_required
@never_cache
@require_GET
def new_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """How many matching traces have arrived since the page's snapshot."""
    project, filters = _panel(request, slug)
    snapshot = request.GET.get("snapshot", "")
    if len(snapshot) > MAX_SNAPSHOT or not _SNAPSHOT.fullmatch(snapshot):
        raise DomainError(
            "snapshot is not one this server gave out; reload the page.", fields=["snapshot"]
        )
    low, high, inside = snapshot.split(":")
    if not 0 < int(low) <= int(high) < 2**63 or any(
        not int(low) <= int(x) < int(high) for x in inside.split(",") if x
    ):
        raise DomainError(
            "snapshot is not one this server gave out; reload the page.", fields=["snapshot"]
        )
    since = _instant(request.GET.get("since", ""), default=timezone.now() - dt.timedelta(days=1))
    count = listing.new_trace_count(project, filters, snapshot=snapshot, since=since)
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    context = {
        "count": count,
        "cap": listing.NEW_CAP,
        "href": f"{base}?{filters.query()}",
        "poll": f"{request.path}?{request.META.get('QUERY_STRING', '')}",
    }
    return render(request, "traces/_new.html", context)


def _instant(text: str, *, default: dt.datetime) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return default
    # Never further back than a day: a page that old is reloaded, not counted for.
    return max(at, default) if at.tzinfo else default
