"""Pages of the caches: figures, kept answers, one of them, purging, checks. Whoever sees the project sees them; admins
throw away."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Role
from accounts.selectors import person
from core import formats
from core.charts.base import Series
from core.csv_cells import csv_lines
from core.htmx import render_page_or_part, wants_part
from core.streaming import csv_download
from gateway.cache import selectors
from gateway.cache.contents import said_in
from gateway.cache.emptying import Which, purge
from gateway.cache.selectors import Asked, Figures, listed, read_asked
from gateway.cache.tightening import lift
from projects.access import project_for
from projects.models import Project

CELLS = (
    "id", "model", "route", "namespace", "prompt_version", "dialect", "by_meaning", "hits", "saved_usd", "cost_usd",
    "created_at", "expires_at", "last_hit_at", "answered_by", "finish_reason", "input_tokens", "output_tokens",
)  # fmt: skip


def may_change(project: Project) -> bool:
    """Whether the reader may throw answers away."""
    return project.role in (Role.ADMIN, Role.OWNER)


@login_required
@never_cache
@require_GET
def cache_list(request: HttpRequest, slug: str) -> HttpResponse:
    """What the caches did and hold. At most nine queries."""
    project = project_for(request, slug)
    asked, now = read_asked(request.GET), timezone.now()
    rows, after = listed(project, asked, now=now)
    context = {
        "project": project,
        "may_change": may_change(project),
        "rows": rows,
        "after": after,
        "asked": asked,
        "labels": selectors.labels_of(project, now=now),
        "sorts": selectors.SORTS.items(),
        "ranges": selectors.RANGES.items(),
        "now": now,
    }
    if not wants_part(request):
        figures = selectors.figures_of(project, asked.range, now=now)
        context |= {
            "figures": figures,
            "rate": formats.percent(figures.rate) if figures.rate is not None else "—",
            "saved": formats.money(figures.saved_usd),
            "asked_words": f"of {formats.count(figures.asked)} calls that looked",
            "hit_words": f"by {formats.count(figures.hits)} hits",
            "chart": _chart(figures, asked.range),
            "checks": selectors.checks_of(project, now=now),
        }
    return render_page_or_part(
        request,
        page="gateway/cache/list.html",
        part="gateway/cache/_list_results.html",
        context=context,
    )


def _chart(figures: Figures, span: str) -> dict[str, Any] | None:
    """Saved dollars over time."""
    if not figures.hits:
        return None
    form = "%H:00" if span == "24h" else "%d %b"
    saved = formats.money(figures.saved_usd)
    return {
        "labels": [one.at.strftime(form) for one in figures.buckets],
        "titles": [one.at.strftime("%d %b %Y, %H:00 UTC" if span == "24h" else "%d %b %Y") for one in figures.buckets],
        "series": [
            Series("Same request", [one.exact_usd for one in figures.buckets], "c1"),
            Series("Same meaning", [one.semantic_usd for one in figures.buckets], "c2"),
        ],
        "summary": f"Saved by kept answers: {saved} in {figures.hits} hits.",
    }  # fmt: skip


@login_required
@never_cache
@require_GET
def cache_export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The filtered list as CSV."""
    project = project_for(request, slug)
    asked = replace(read_asked(request.GET), after="")
    return csv_download(f"{project.slug}-cache.csv", csv_lines(_lines(project, asked)))


def _lines(project: Project, asked: Asked) -> Iterator[Any]:
    yield CELLS
    now = timezone.now()
    while True:
        rows, after = listed(project, asked, now=now, limit=200)
        for row in rows:
            facts = row.facts
            yield [
                row.id, row.model, row.route, row.namespace, row.prompt_version, row.dialect,
                "true" if row.scope else "false", row.hits, row.saved_usd, row.cost_usd, row.created_at.isoformat(),
                row.expires_at.isoformat(), row.last_hit_at.isoformat() if row.last_hit_at else "",
                facts.get("model", ""), facts.get("finish_reason", ""), facts.get("input_tokens"),
                facts.get("output_tokens"),
            ]  # fmt: skip
        if not after:
            return
        asked = replace(asked, after=after)


@login_required
@never_cache
@require_GET
def cache_detail(request: HttpRequest, slug: str, cached_id: uuid.UUID) -> HttpResponse:
    """One kept answer: what was asked and said, as far as contents may be read. At most six queries."""
    project = project_for(request, slug)
    now = timezone.now()
    entry = selectors.entry_of(project, cached_id, now=now)
    context = {
        "project": project,
        "may_change": may_change(project),
        "entry": entry,
        "said": said_in(project, entry),
        "checks": selectors.checks_about(project, entry),
        "now": now,
    }
    return render(request, "gateway/cache/detail.html", context)


@login_required
@require_POST
def cache_deletion(request: HttpRequest, slug: str, cached_id: uuid.UUID) -> HttpResponse:
    """Throw one answer away."""
    project = project_for(request, slug, Role.ADMIN)
    entry = selectors.entry_of(project, cached_id, now=timezone.now())
    purge(project=project, which=Which(id=entry.id), actor=person(request))
    messages.success(request, "The answer was thrown away.")
    return redirect("gateway:cache", slug=project.ref)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def cache_purge(request: HttpRequest, slug: str) -> HttpResponse:
    """How many answers the filter names, and a button that throws them away."""
    project = project_for(request, slug, Role.ADMIN)
    now = timezone.now()
    asked = read_asked(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST":
        which = Which(**{name: getattr(asked, name) for name in selectors.LABELS})
        count = purge(
            project=project,
            which=which,
            is_all=request.POST.get("all") == "true",
            actor=person(request),
        )
        messages.success(request, f"{count} answer{'' if count == 1 else 's'} thrown away.")
        return redirect("gateway:cache", slug=project.ref)
    context = {
        "project": project,
        "asked": asked,
        "said": [
            (name, name.replace("_", " ").capitalize(), getattr(asked, name))
            for name in selectors.LABELS
            if getattr(asked, name)
        ],
        "count": selectors.entries(project, now=now).filter(**asked.conditions).count(),
    }
    return render(request, "gateway/cache/purge.html", context)


@login_required
@require_POST
def threshold_lift(request: HttpRequest, slug: str) -> HttpResponse:
    """Give a route its own threshold back."""
    project = project_for(request, slug, Role.ADMIN)
    lift(project=project, route=request.POST.get("route", "")[:120], actor=person(request))
    messages.success(request, "The route's own threshold holds again.")
    return redirect("gateway:cache", slug=project.ref)
