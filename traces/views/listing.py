"""The trace list: one page of the filtered list with its views, columns, peek and facets."""

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import ROLE_RANK, Role
from core.cursors import InvalidCursorError
from core.htmx import render_page_or_part, wants_part
from core.ranges import PRESETS
from projects.access import parse_uuid, project_for
from projects.models import Project
from projects.preferences import preference
from traces import lines, list_facets, saved_views
from traces.filters import SORTS, TraceFilters, parse_filters, unknown_params
from traces.filters.state import STATE_PARAMS
from traces.list_columns import COLUMNS, DENSITIES, Layout, read_layout
from traces.models import SavedView, Trace
from traces.query_terms import Text
from traces.selectors import listing
from traces.selectors.scores import score_facts
from traces.views.export import CSV_CAP
from traces.views.list_panels import counts_context
from traces.views.peek import peek_context

PREFERENCE = "traces.list"


@login_required
@never_cache
@require_GET
def trace_list(request: HttpRequest, slug: str) -> HttpResponse:
    """`P/traces/`: one page of the filtered list; htmx gets the results only."""
    project = project_for(request, slug)
    now = timezone.now()
    views = saved_views.visible_views(project, request.user)  # type: ignore[arg-type]
    view, notes = _chosen_view(request, views)
    if view is not None and not any(request.GET.get(name) for name in STATE_PARAMS):
        return _opened(request, project, view, now)
    filters = parse_filters(request.GET, now=now)
    notes += filters.notes
    if unknown := unknown_params(request.GET, also=frozenset({"counts"})):
        notes.append(f"Unknown in the address and ignored: {', '.join(unknown)}.")
    try:
        page = listing.trace_page(
            project,
            filters,
            after=request.GET.get("after", ""),
            before=request.GET.get("before", ""),
        )
    except InvalidCursorError as error:
        notes.append(error.detail)
        page = listing.trace_page(project, filters)
    layout, gone = _layout(request, project, view)
    if gone:
        notes.append(f"Columns that no longer exist are left out: {', '.join(gone)}.")
    context = _list_context(request, project, filters, page, layout, view, now)
    context |= _view_context(request, project, filters, views, view, layout) | {"notes": notes}
    response = render_page_or_part(
        request, page="traces/list.html", part="traces/_list_swap.html", context=context
    )
    if wants_part(request):
        response["HX-Push-Url"] = context["here"]
        response["HX-Trigger-After-Settle"] = "traces-filtered"
    return response


def _chosen_view(
    request: HttpRequest, views: list[SavedView]
) -> tuple[SavedView | None, list[str]]:
    """The view the address names, else the project's default when it names no filter."""
    named = request.GET.get("view", "")
    if not named:
        is_bare = not any(request.GET.get(name) for name in STATE_PARAMS)
        return (saved_views.default_view(views) if is_bare else None), []
    uid = parse_uuid(named)
    found = next((view for view in views if view.pk == uid), None)
    return found, [] if found else ["That view was deleted, or it is not shared with you."]


def _opened(
    request: HttpRequest, project: Project, view: SavedView, now: dt.datetime
) -> HttpResponse:
    """To the address that spells the view out, so that every link on the page starts from it."""
    filters = parse_filters(QueryDict(view.query), now=now)
    more = {name: request.GET.get(name) for name in ("peek", "tail", "counts")}
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    return HttpResponseRedirect(f"{base}?{filters.query(view=view.pk, **more)}")


def _layout(
    request: HttpRequest, project: Project, view: SavedView | None
) -> tuple[Layout, list[str]]:
    """The view's columns, else the person's."""
    if view is not None and view.layout:
        return read_layout(view.layout)
    return read_layout(preference(user=request.user, project=project, key=PREFERENCE))  # type: ignore[arg-type]


def _list_context(
    request: HttpRequest,
    project: Project,
    filters: TraceFilters,
    page: listing.TracePage,
    layout: Layout,
    view: SavedView | None,
    now: dt.datetime,
) -> dict[str, Any]:
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    kept: dict[str, object] = {"view": view.pk if view else None}
    cursor = {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}
    peek = request.GET.get("peek", "")[:128]
    is_tail = request.GET.get("tail") == "1" and filters.range.is_preset
    role: Role = getattr(project, "role", Role.VIEWER)
    settled = _settled(request, filters)
    counts = counts_context(project, filters, base, kept) if request.GET.get("counts") else None
    return {
        "project": project,
        "filters": filters,
        "range": _range_context(filters),
        "kept": parse_qsl(filters.query(range=None, **kept), keep_blank_values=True),
        "rows": trace_lines(
            project,
            page.rows,
            filters,
            base,
            view.pk if view else None,
            with_scores="scores" in layout.columns,
        ),
        "page": page,
        "columns": layout.columns,
        "layout": layout,
        "heads": _heads(filters, layout, base, kept),
        "chips": list_facets.chips(filters, base, **kept),
        "problems": list_facets.problem_parts(settled),
        "is_unfinished": settled.problems != filters.problems,
        "query": filters.query(),
        "match_links": match_links(project, filters),
        "view_id": view.pk if view else "",
        "here": f"{base}?{filters.query(**kept, **cursor, peek=peek, tail='1' if is_tail else None)}",
        "list_url": base,
        "newer_href": f"{base}?{filters.query(**kept, before=page.before)}" if page.before else "",
        "older_href": f"{base}?{filters.query(**kept, after=page.after)}" if page.after else "",
        "wider": _wider(filters, base),
        "outside": listing.trace_outside_range(project, filters) if not page.rows else None,
        "loaded_at": now.isoformat(),
        "is_first_page": not cursor,
        "is_open_ended": filters.range.is_preset,
        "is_tail": is_tail,
        "tail_href": f"{base}?{filters.query(**kept, sort=None, tail=None if is_tail else '1')}",
        "counts_href": f"{base}?{filters.query(**kept, counts='1')}",
        "is_typed": request.headers.get("HX-Trigger") == "trace-filter",
        "facets": list_facets.facet_groups(
            list_facets.placeholder_facets(filters), filters, base, **kept
        ),
        "peek": peek_context(project, peek, filters, base, kept) if peek else None,
        "can_edit": ROLE_RANK[role] >= ROLE_RANK[Role.MEMBER],
        "csv_cap": CSV_CAP,
        **(counts or {}),
    }


def _settled(request: HttpRequest, filters: TraceFilters) -> TraceFilters:
    """While somebody types, query_bar.js says where: the part being written is not warned about yet."""
    caret = request.headers.get("X-Typing-At", "")
    is_place = caret.isascii() and caret.isdigit() and len(caret) <= 5
    return list_facets.being_typed(filters, int(caret)) if is_place else filters


def page_layout(request: HttpRequest, project: Project) -> Layout:
    """The columns of the view the address names, else the person's own."""
    uid = parse_uuid(request.GET.get("view", ""))
    views = saved_views.visible_views(project, request.user) if uid else []  # type: ignore[arg-type]
    view = next((one for one in views if one.pk == uid), None)
    return _layout(request, project, view)[0]


def _range_context(filters: TraceFilters) -> dict[str, Any]:
    return {
        "label": filters.range.label,
        "key": filters.range.key,
        "start": filters.range.start,
        "end": filters.range.end,
        "presets": [{"key": key, "label": label} for key, label in PRESETS.items()],
    }


def _heads(
    filters: TraceFilters, layout: Layout, base: str, kept: dict[str, object]
) -> list[dict[str, str]]:
    """The table's head cells; sortable ones link to their order and back."""
    found = []
    for name in layout.columns:
        column = COLUMNS[name]
        href, state = "", ""
        if column.sort in SORTS:
            is_this = filters.sort_key == column.sort
            state = ("descending" if filters.is_descending else "ascending") if is_this else ""
            following = column.sort if state == "descending" else f"-{column.sort}"
            # The default order is written out: without it the address would name the view's own order.
            href = f"{base}?{filters.query(**kept, sort=following)}"
        found.append({"label": column.label, "css": column.css, "href": href, "state": state})
    return found


def _view_context(
    request: HttpRequest,
    project: Project,
    filters: TraceFilters,
    views: list[SavedView],
    view: SavedView | None,
    layout: Layout,
) -> dict[str, Any]:
    """The menu of views and the columns form."""
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    actor = saved_views.Actor(request.user, project.role)  # type: ignore[arg-type]
    is_changed = False
    if view is not None:
        is_changed = (
            parse_filters(QueryDict(view.query), now=filters.now).query() != filters.query()
        )
    items = [
        {"view": one, "href": f"{base}?view={one.pk}", "is_mine": one.author_id == request.user.pk}
        for one in views
    ]
    shown = [{"key": key, "label": COLUMNS[key].label, "on": True} for key in layout.columns]
    hidden = [
        {"key": key, "label": column.label, "on": False}
        for key, column in COLUMNS.items()
        if key not in layout.columns
    ]
    return {
        "view": view,
        "is_changed": is_changed,
        "my_views": [item for item in items if item["is_mine"]],
        "shared_views": [item for item in items if not item["is_mine"]],
        "may_change_view": view is not None and saved_views.may_change(view, actor),
        "column_choices": shown + hidden,
        "densities": DENSITIES,
        "view_query": filters.query(),
    }


def _wider(filters: TraceFilters, base: str) -> dict[str, str] | None:
    """The next longer preset, for an empty list."""
    steps = {"15m": "24h", "1h": "24h", "24h": "7d", "7d": "30d", "mtd": "30d", "30d": "90d"}
    key = steps.get(filters.range.key)
    if key is None:
        return None
    return {"label": PRESETS[key].lower(), "href": f"{base}?{filters.query(range=key)}"}


def match_links(project: Project, filters: TraceFilters) -> list[dict[str, str]]:
    """Where the same free text is searched by meaning, or by words and meaning; the other filters come along."""
    if not filters.q:
        return []
    url = reverse("traces:search", kwargs={"slug": project.ref})
    rest = filters.with_nodes(node for node in filters.nodes if not isinstance(node, Text))
    fixed = {
        "q": filters.q,
        "range": filters.range.key,
        "within": rest.query(range=None, sort=None) if rest.is_narrowed else "",
    }
    return [
        {"label": label, "href": lines.with_query(url, **fixed, match=mode)}
        for mode, label in (("meaning", "Meaning"), ("both", "Both"))
    ]


def trace_lines(
    project: Project,
    rows: list[Trace],
    filters: TraceFilters,
    base: str,
    view_id: UUID | None = None,
    *,
    with_scores: bool = False,
) -> list[dict[str, Any]]:
    """Rows ready to place. Scores cost one query more."""
    previews = listing.previews(project, rows)
    scores = score_facts(project, [trace.trace_id for trace in rows]) if with_scores else {}
    came_from = filters.query(view=view_id)
    found = []
    for trace in rows:
        url = reverse(
            "traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace.trace_id}
        )
        found.append(
            {
                "trace": trace,
                "href": lines.with_query(url, list=filters.query() if filters.is_narrowed else ""),
                "peek": f"{base}panels/peek/{trace.trace_id}/?{came_from}",
                "preview": previews[trace.trace_id],
                "tokens": trace.input_tokens + trace.output_tokens,
                "strip": lines.strip_steps(trace),
                "scores": scores.get(trace.trace_id, []),
            }
        )
    return found
