"""Ingestion health: what was sent, what became of it, and what to do about refusals."""

import csv
import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from core.charts import Series
from core.csv_cells import Echo, inert
from core.htmx import render_page_or_part
from core.ranges import (
    DAY,
    PRESETS,
    InvalidRangeError,
    TimeRange,
    instant,
    make_range,
    parse_instant,
    parse_range,
)
from core.streaming import csv_download
from projects.access import project_for
from projects.models import Project
from traces.ingest import tally
from traces.intake_words import ADVICE, DOORS, OUTCOMES, door_name, limits
from traces.selectors.intake import Health, ingestion_health

DEFAULT = "24h"


def _period(request: HttpRequest, now: dt.datetime) -> tuple[TimeRange, list[str]]:
    """The asked range, or the default and a note."""
    params = request.GET
    try:
        if params.get("start") and params.get("end"):
            start, end = (
                parse_instant(params["start"], "start"),
                parse_instant(params["end"], "end"),
            )
            return make_range(start, end, fields=("start", "end")), []
        return parse_range(params.get("range", ""), now=now, default=DEFAULT), []
    except InvalidRangeError as error:
        return parse_range(DEFAULT, now=now), [f"{error.detail}. Shown is the last day."]


def _health(request: HttpRequest, slug: str) -> tuple[Project, Health, list[str]]:
    project = project_for(request, slug)
    now = timezone.now()
    period, notes = _period(request, now)
    door = request.GET.get("door", "")
    if door and door not in tally.DOORS:
        notes.append(f"There is no door {door[:40]!r}; all are shown.")
        door = ""
    return project, ingestion_health(project, period, now=now, door=door), notes


@login_required
@never_cache
@require_GET
def ingestion(request: HttpRequest, slug: str) -> HttpResponse:
    """The page. Two queries beside access and frame."""
    project, health, notes = _health(request, slug)
    base = reverse("traces:ingestion", kwargs={"slug": project.ref})
    kept = {"door": health.door} if health.door else {}
    context = {
        "project": project,
        "tab": "health",
        "health": health,
        "notes": notes,
        "base": base,
        "range": _range(health.range),
        "kept": kept.items(),
        "doors": DOORS.items(),
        "query": urlencode({"range": health.range.key, **kept}),
        "limits": limits(),
        **_chart(health, base, kept),
        "counts": [(OUTCOMES[name][0], value) for name, value in health.counts.items()],
        "sources": [(door_name(one.door), one) for one in health.sources()],
        "refusals": [
            (tally.REASONS.get(one.reason, one.reason), ADVICE.get(one.reason, ADVICE["other"]),
             ", ".join(sorted(door_name(door) for door in one.doors)), one)
            for one in health.refusals()
        ],
    }  # fmt: skip
    return render_page_or_part(
        request, page="traces/ingestion.html", part="traces/_ingestion.html", context=context
    )


def _range(period: TimeRange) -> dict[str, Any]:
    presets = [{"key": key, "label": label} for key, label in PRESETS.items()]
    return {
        "label": period.label,
        "key": period.key,
        "start": period.start,
        "end": period.end,
        "presets": presets,
    }


def _chart(health: Health, base: str, kept: dict[str, str]) -> dict[str, Any]:
    edges = [*health.starts, health.starts[-1] + health.step]
    spans = [f"{instant(a)}..{instant(b)}" for a, b in pairwise(edges)]
    series = [Series(label, health.series(name), slot) for name, (label, slot) in OUTCOMES.items()]
    by_day = health.step >= DAY
    is_short = not by_day and health.range.duration <= 2 * DAY
    counts = health.counts
    return {
        "labels": [f"{at:%H:%M}" if is_short else f"{at:%b} {at.day}" for at in health.starts],
        "titles": [f"{at:%b} {at.day}" if by_day else f"{at:%b} {at.day}, {at:%H:%M} UTC" for at in health.starts],
        "series": [one for one in series if any(one.values)],
        "hrefs": [f"{base}?{urlencode({'range': span, **kept})}" for span in spans],
        "edges": " ".join(f"{edge:%Y-%m-%dT%H:%M:%S}Z" for edge in edges),
        "summary": f"{formats.count(health.sent)} items sent, {formats.count(counts['rejected'])} rejected, "
        f"{health.range.label}",
    }  # fmt: skip


@login_required
@never_cache
@require_GET
def ingestion_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Every line behind the page's figures."""
    project, health, _ = _health(request, slug)

    def rows() -> Iterator[Any]:
        writer = csv.writer(Echo())
        yield writer.writerow(
            ["start", "door", "dialect", "outcome", "reason", "items", "requests"]
        )
        for line in health.lines:
            said = [line.door, inert(line.dialect), line.outcome, line.reason]
            yield writer.writerow([line.start.isoformat(), *said, line.items, line.batches])

    return csv_download(f"{project.slug}-ingestion.csv", rows())
