"""`P/scores/`: how each score spreads and moves, the scores themselves, their CSV, and the dashboard's panel."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.charts import Series
from core.csv_cells import Echo, inert
from core.cursors import InvalidCursorError
from core.errors import DomainError
from core.formats import percent
from core.htmx import render_page_or_part, wants_part
from core.ranges import PRESETS, Bin, bin_label, parse_range
from core.streaming import csv_download
from projects.access import project_for
from projects.models import Project
from traces.models import Score, ScoreSource, ScoreType
from traces.score_filters import KNOWN_PARAMS, ScoreFilters, parse_score_filters
from traces.selectors.score_list import (
    NameSummary,
    distribution,
    name_summaries,
    score_page,
)
from traces.selectors.scores import score_names

CSV_CAP = 100_000
SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6")
TOP = 5
CSV_COLUMNS = (
    "id", "name", "type", "value", "trace_id", "span_id", "session", "source", "author",
    "reason", "environment", "scored_at",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def score_list(request: HttpRequest, slug: str) -> HttpResponse:
    """One page of the filtered scores; the summary above loads by itself. Three queries."""
    project = project_for(request, slug)
    filters = parse_score_filters(request.GET, now=timezone.now())
    notes = list(filters.notes)
    if unknown := sorted(name[:40] for name in request.GET if name not in KNOWN_PARAMS)[:5]:
        notes.append(f"Unknown in the address and ignored: {', '.join(unknown)}.")
    try:
        page = score_page(project, filters, after=request.GET.get("after", ""))
    except InvalidCursorError as error:
        notes.append(error.detail)
        page = score_page(project, filters)
    base = reverse("traces:score_list", kwargs={"slug": project.ref})
    context = {
        "project": project,
        "filters": filters,
        "notes": notes,
        "rows": page.rows,
        "query": filters.query(),
        "older_href": f"{base}?{filters.query(after=page.after)}" if page.after else "",
        "first_href": f"{base}?{filters.query()}" if request.GET.get("after") else "",
        "list_url": base,
        "names": score_names(project, limit=200),
        "sources": [(v, label, v in filters.values.get("source", ())) for v, label in ScoreSource.choices],
        "types": [(v, label, v in filters.values.get("type", ())) for v, label in ScoreType.choices],
        "chosen_names": filters.values.get("name", ()),
        "range": _range_context(filters),
        "kept": parse_qsl(filters.query(range=None)),
        "csv_cap": CSV_CAP,
        "now": timezone.now(),
    }  # fmt: skip
    response = render_page_or_part(
        request, page="traces/score_list.html", part="traces/_score_swap.html", context=context
    )
    if wants_part(request):
        # The form sends its empty fields too; the address names only what is chosen.
        response["HX-Push-Url"] = f"{base}?{filters.query()}"
        response["HX-Trigger-After-Settle"] = "scores-filtered"
    return response


def _range_context(filters: ScoreFilters) -> dict[str, Any]:
    return {
        "label": filters.range.label,
        "key": filters.range.key,
        "start": filters.range.start,
        "end": filters.range.end,
        "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
    }


@login_required
@never_cache
@require_GET
def summary_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Per name: count, mean, trend; of a single name its distribution, too. Three or four queries."""
    project = project_for(request, slug)
    filters = parse_score_filters(request.GET, now=timezone.now())
    if not wants_part(request):
        return redirect(_list_url(project, filters))
    summaries = name_summaries(project, filters)
    context: dict[str, Any] = {
        "project": project,
        "filters": filters,
        "query": filters.query(),
        "cards": [_card(project, filters, summary) for summary in summaries],
    }
    if len(summaries) == 1:
        context |= _single(project, filters, summaries[0])
    return render(request, "traces/_score_summary.html", context)


def _card(project: Project, filters: ScoreFilters, summary: NameSummary) -> dict[str, Any]:
    kind = ScoreType(summary.data_type)
    return {
        "summary": summary,
        "kind": kind.label,
        "figure": _figure(summary),
        "trend": _trend(summary),
        "href": _list_url(project, filters, name=summary.name, type=summary.data_type),
    }


def _list_url(project: Project, filters: ScoreFilters, **changes: object) -> str:
    base = reverse("traces:score_list", kwargs={"slug": project.ref})
    return f"{base}?{filters.query(**changes)}"


def _figure(summary: NameSummary) -> str:
    if summary.data_type == ScoreType.CATEGORICAL:
        return summary.top
    if summary.mean is None:
        return "—"
    is_share = summary.data_type == ScoreType.BOOLEAN
    return percent(summary.mean) if is_share else f"{summary.mean:.4g}"


def _trend(summary: NameSummary) -> list[Any]:
    """The mean over time, gaps closed by what came before; of categories how many there were."""
    if summary.data_type == ScoreType.CATEGORICAL:
        return summary.counts
    found, last = [], next((mean for mean in summary.means if mean is not None), None)
    for mean in summary.means:
        last = last if mean is None else mean
        found.append(last)
    return found


def _single(project: Project, filters: ScoreFilters, summary: NameSummary) -> dict[str, Any]:
    bars = distribution(project, filters, summary)
    largest = max((bar.count for bar in bars), default=0) or 1
    bins = filters.range.bins()
    size: Bin = filters.range.bin
    return {
        "single": summary,
        "spread": [
            (bar.label, bar.count, f"{bar.count * 100 / largest:.1f}%", bar.count / summary.count)
            for bar in bars
        ],
        "labels": [_axis(at, size) for at in bins],
        "titles": [bin_label(at, size) for at in bins],
        "series": [Series("Scores", summary.counts, "c1")],
        "summary_text": f"{summary.count:,} scores named {summary.name}, {filters.range.span_label}.",
    }  # fmt: skip


def _axis(at: Any, size: Bin) -> str:
    return f"{at:%H}:00" if size == "hour" else f"{at:%b} {at.day}"


@login_required
@never_cache
@require_GET
def score_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The filtered list as CSV, streamed, at most 100,000 rows; the last line says so when there are more."""
    project = project_for(request, slug)
    filters = parse_score_filters(request.GET, now=timezone.now())
    stamp = timezone.now().strftime("%Y%m%d-%H%M%S")
    return csv_download(f"scores-{project.slug}-{stamp}.csv", _csv_lines(project, filters))


def _csv_lines(project: Project, filters: ScoreFilters) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield write(CSV_COLUMNS)
    after, left = "", CSV_CAP
    while left > 0:
        page = score_page(project, filters, after=after, limit=min(1_000, left))
        for score in page.rows:
            yield write(_csv_row(score))
        left -= len(page.rows)
        after = page.after
        if not after:
            return
    yield write([f"Cut after {CSV_CAP:,} rows; narrow the filters or the range for the rest."])


def _csv_row(score: Score) -> list[Any]:
    value = score.text if score.data_type == ScoreType.CATEGORICAL else score.value
    author = score.author.email if score.author else ""
    values = [
        score.score_id, score.name, score.data_type, value, score.trace_id, score.span_id, score.session_id,
        score.source, author, score.reason, score.environment, score.scored_at.isoformat(),
    ]  # fmt: skip
    return [inert(cell) for cell in values]


@login_required
@never_cache
@require_GET
def feedback_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The dashboard's panel: scores per bin by name, and each name's mean. Three queries.

    Range and environment are the dashboard's: from its address when it asks through htmx, else from this one.
    """
    project = project_for(request, slug)
    filters = _dashboard_filters(request)
    if not wants_part(request):
        return redirect(_list_url(project, filters))
    summaries = name_summaries(project, filters)
    top = summaries[:TOP]
    series = [
        Series(summary.name, summary.counts, SLOTS[index]) for index, summary in enumerate(top)
    ]
    rest = summaries[TOP:]
    if rest:
        other = [sum(counts) for counts in zip(*(one.counts for one in rest), strict=True)]
        series.append(Series(f"Other ({len(rest)})", other, "co"))
    bins = filters.range.bins()
    total = sum(summary.count for summary in summaries)
    context = {
        "project": project,
        "filters": filters,
        "cards": [_card(project, filters, summary) for summary in top],
        "series": series,
        "labels": [_axis(at, filters.range.bin) for at in bins],
        "titles": [bin_label(at, filters.range.bin) for at in bins],
        "total": total,
        "list_href": _list_url(project, filters),
        "summary_text": f"Scores by name, {filters.range.span_label}: {Decimal(total):,}.",
    }
    return render(request, "traces/_feedback_panel.html", context)


def _dashboard_filters(request: HttpRequest) -> ScoreFilters:
    query = request.GET
    shown = urlsplit(request.headers.get("HX-Current-URL", "")) if wants_part(request) else None
    if shown and shown.path.endswith("/dashboard/"):
        query = QueryDict(shown.query[:8_000])
    wanted = QueryDict(mutable=True)
    for name in ("range", "start", "end"):
        if query.get(name):
            wanted[name] = query[name]
    if not wanted:
        wanted["range"] = "mtd"
    wanted.setlist("environment", [v for v in query.getlist("environment") if v != "(none)"])
    now = timezone.now()
    filters = parse_score_filters(wanted, now=now)
    if filters.notes:
        try:
            parse_range(wanted.get("range", ""), now=now)
        except DomainError:
            wanted.pop("range", None)
            wanted["range"] = "mtd"
            filters = parse_score_filters(wanted, now=now)
    return filters
