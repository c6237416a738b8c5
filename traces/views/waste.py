"""Waste: what bought nothing, by kind and reason, with the calls behind."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import ROLE_RANK, Role
from core.charts import Series
from core.csv_cells import csv_lines
from core.errors import NotFoundError
from core.htmx import render_page_or_part
from core.streaming import csv_download
from costs.frames import axis_label
from projects.access import project_for
from projects.models import Project
from traces.models import WasteKind
from traces.waste import selectors, sweep
from traces.waste.state import RANGES, WasteState, cursor_of, read_state
from traces.waste.words import MEANS

PAGE = 50
CSV_PAGE = 1_000
SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6", "co")


@login_required
@never_cache
@require_GET
def waste(request: HttpRequest, slug: str) -> HttpResponse:
    """The page. Six queries beside access and frame."""
    project, now = project_for(request, slug), timezone.now()
    state = read_state(request.GET, now=now)
    found = selectors.reasons(
        project.pk, state.filters, sort=state.sort, limit=PAGE + 1, after=state.after
    )
    shown = found[:PAGE]
    base = reverse("traces:waste", args=[project.ref])
    context = {
        "project": project,
        "state": state,
        "tab": "waste",
        "base": base,
        "sums": _sums(project, state),
        "looked": selectors.looked(project.pk, state.filters, now=now),
        "reasons": shown,
        "next_query": state.query(after=cursor_of(shown[-1], state.sort))
        if len(found) > PAGE
        else "",
        "kinds": WasteKind.choices,
        "may_ask": ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER],
        "csv_url": f"{reverse('traces:waste_csv', args=[project.ref])}?{state.query()}",
        "range": _shown_range(state),
        "chart": _chart(project, state),
    }
    return render_page_or_part(
        request, page="traces/waste.html", part="traces/_waste_results.html", context=context
    )


def _shown_range(state: WasteState) -> dict[str, Any]:
    period = state.period
    return {
        "label": period.label,
        "key": period.key,
        "start": period.start,
        "end": period.end,
        "presets": [{"key": key, "label": label} for key, label in RANGES.items()],
    }


def _sums(project: Project, state: WasteState) -> dict[str, Any]:
    """All kinds of the range, whatever kind is chosen, so that one can choose another."""
    every = selectors.kind_sums(project.pk, selectors.Filters.of(state.period, q=state.q))
    total = sum((one.wasted_usd for one in every), Decimal(0))
    return {
        "total": total,
        "kinds": [
            {
                "one": one,
                "share": one.wasted_usd / total if total else None,
                "slot": slot,
                "href": "?" + state.query(kind="" if one.kind == state.kind else one.kind),
                "is_chosen": one.kind == state.kind,
            }
            for one, slot in zip(every, SLOTS, strict=True)
        ],
    }


def _chart(project: Project, state: WasteState) -> dict[str, Any] | None:
    """Waste by day, stacked by kind; None when there is none."""
    found = selectors.daily_waste(project.pk, state.filters)
    if not found:
        return None
    filters = state.filters
    days = [
        filters.first + dt.timedelta(days=number)
        for number in range((filters.last - filters.first).days + 1)
    ]
    starts = [dt.datetime.combine(day, dt.time(), dt.UTC) for day in days]
    series = [
        Series(str(kind.label), [found.get((day, kind.value), Decimal(0)) for day in days], slot)
        for kind, slot in zip(WasteKind, SLOTS, strict=True)
        if any(key[1] == kind for key in found)
    ]
    return {
        "labels": [axis_label(at, "day", first=at == starts[0]) for at in starts],
        "titles": [f"{day:%a %d %b %Y}" for day in days],
        "series": series,
        "summary": f"Waste by day, {state.period.label.lower()}",
    }


@login_required
@never_cache
@require_GET
def waste_detail(request: HttpRequest, slug: str, kind: str, mark: str) -> HttpResponse:
    """One reason with its dearest calls. One query beside access and frame."""
    project, now = project_for(request, slug), timezone.now()
    state = read_state(request.GET, now=now)
    fingerprint = "" if mark == "rest" else mark
    found = selectors.reason_of(project.pk, state.filters, kind, fingerprint)
    if found is None:
        raise NotFoundError("Nothing of the kind was found in this range; choose a longer one.")
    means, helps = MEANS[WasteKind(found.kind)]
    context = {
        "project": project,
        "reason": found,
        "means": means,
        "helps": helps,
        "tab": "waste",
        "back_url": f"{reverse('traces:waste', args=[project.ref])}?{state.query()}",
        "samples": [
            {
                "trace_id": trace,
                "span_id": span,
                "at": dt.datetime.fromisoformat(at),
                "usd": Decimal(usd),
            }
            for trace, span, at, usd in found.samples
        ],
    }
    return render(request, "traces/waste_detail.html", context)


@login_required
@never_cache
@require_GET
def waste_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The filtered list as CSV, every row of it."""
    project, now = project_for(request, slug), timezone.now()
    state = read_state(request.GET, now=now)
    return csv_download(f"{project.slug}-waste.csv", csv_lines(_rows(project, state)))


def _rows(project: Project, state: WasteState) -> Iterator[list[Any]]:
    yield [
        "kind", "detail", "provider", "model", "agent", "feature", "calls", "days", "cost_usd", "wasted_usd",
        "last_day",
    ]  # fmt: skip
    after = None
    while True:
        rows = selectors.reasons(
            project.pk, state.filters, sort=state.sort, limit=CSV_PAGE, after=after
        )
        for one in rows:
            yield [
                one.kind, one.detail, one.provider, one.model, one.agent, one.feature, one.calls, one.days,
                one.cost_usd, one.wasted_usd, one.last_day,
            ]  # fmt: skip
        if len(rows) < CSV_PAGE:
            return
        after = rows[-1].place(state.sort)


@login_required
@require_POST
def waste_scan(request: HttpRequest, slug: str) -> HttpResponse:
    """Look through the changed days now, today included."""
    project = project_for(request, slug, Role.MEMBER)
    sweep.ask(project_id=project.pk, now=timezone.now())
    messages.success(
        request, "The days that changed are being looked through; come back in a minute."
    )
    return HttpResponseRedirect(reverse("traces:waste", args=[project.ref]))
