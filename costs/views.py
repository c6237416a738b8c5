"""The dashboard: one page, and one address per panel, all reading the same state from the query string."""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh, push_url, trigger_client_event

from core.errors import DomainError
from core.htmx import render_page_or_part, wants_part
from core.ranges import parse_range
from core.streaming import csv_file
from costs import board, caching, charts, controls, export, panels, tables
from costs.dashboard import DIMENSIONS, read_state
from costs.filters import EXTRA_FIELDS, NONE, ROW_FIELDS
from costs.frames import Chart
from costs.labels import label_of
from costs.panels import Question
from costs.selectors import spend
from costs.selectors.usage import project_spends, usage_mark
from projects.access import parse_uuid, project_for
from projects.models import Project
from projects.preferences import preference
from projects.selectors import projects_of

MAX_PROJECTS = 500
# How many of a person's panels come with the page itself; the others follow, each by itself, so the page stays light.
INLINE = 1
CHARTS: dict[str, Callable[[Question], Chart]] = {
    "spend": charts.spend,
    "latency": charts.latency,
    "first_token": charts.first_token,
    "tokens": charts.tokens,
    "errors": charts.errors,
    "calls": charts.calls,
    "cost_per_call": charts.cost_per_call,
    "cache": charts.cache,
    "error_rate": charts.error_rate,
}
OTHERS: dict[str, tuple[str, Callable[[Question], dict[str, Any]]]] = {
    "figures": ("figures", panels.figures),
    "mix": ("mix", panels.mix),
    "models": ("models", tables.models),
    "who": ("who", tables.who),
    "users": ("who", tables.users),
    "features": ("who", tables.features),
    "tags": ("who", tables.tags),
    "keys": ("who", tables.keys),
    "attention": ("attention", tables.attention),
}


def _question(request: HttpRequest, project: Project, query: QueryDict) -> Question:
    state = read_state(query, ref=project.ref, now=timezone.now())
    return Question(project.pk, usage_mark(project.pk), state)


def _page_query(request: HttpRequest) -> QueryDict:
    """The dashboard's query string as the browser shows it now, with this request's own parameters on top.

    A panel's control only names what it changes, so links drawn before another control was used are never stale.
    """
    query = request.GET.copy()
    shown = urlsplit(request.headers.get("HX-Current-URL", "")) if wants_part(request) else None
    if shown and shown.path.endswith("/dashboard/"):
        merged = QueryDict(shown.query[:8000], mutable=True)
        for name in query:
            merged.setlist(name, query.getlist(name))
        return merged
    return query


@cache
def available() -> tuple[board.Panel, ...]:
    """The catalogue without panels of apps whose address does not exist (once per process)."""

    def exists(panel: board.Panel) -> bool:
        try:
            reverse(panel.address, args=["x"])
        except NoReverseMatch:
            return False
        return True

    return tuple(panel for panel in board.CATALOGUE if exists(panel))


def shown_to(request: HttpRequest, project: Project) -> list[board.Panel]:
    """The panels of the person asking, as they arranged them. One query."""
    kept = preference(user=request.user, project=project, key=board.PREFERENCE)  # type: ignore[arg-type]
    return board.listed(available(), kept)


@require_GET
@login_required
def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """The first panel; the others follow, or come along with `?full=1`. At most ten queries."""
    project = project_for(request, slug)
    question = _question(request, project, request.GET)
    state = question.state
    if not wants_part(request) and {"start", "only"} & set(request.GET):
        return HttpResponseRedirect(state.url())
    shown = shown_to(request, project) if question.mark.version else []
    inline = len(shown) if state.choices["full"] == "1" else INLINE
    context = controls.bar(question, now=timezone.now()) | {
        "project": project,
        "has_data": question.mark.version > 0,
        "panels": [
            {
                "panel": panel,
                "href": _panel_address(panel, question),
                # What is below the fold waits until it is seen.
                "trigger": "load" if place < 6 else "revealed",
                "html": _render(request, panel.key, question)
                if place < inline and not panel.url_name
                else "",
            }
            for place, panel in enumerate(shown)
        ],
    }
    return render_page_or_part(
        request, page="costs/dashboard.html", part="costs/_dashboard.html", context=context
    )


def _panel_address(panel: board.Panel, question: Question) -> str:
    """Our own panels read the page's address; another app's is told the range."""
    address = reverse(panel.address, args=[question.state.ref])
    return f"{address}?range={question.state.period.explicit}" if panel.url_name else address


def _render(request: HttpRequest, key: str, question: Question) -> str:
    """One panel's markup."""
    context: dict[str, Any] = {
        "key": key,
        "state": question.state,
        "panel_url": reverse(f"costs:{key}_panel", args=[question.state.ref]),
        "export_url": question.state.url("costs:dashboard_export", panel=key),
    }
    context |= controls.of_panel(key, question.state)
    if key in CHARTS:
        context["chart"] = CHARTS[key](question)
        if key == "spend":
            context["total"] = question.total().current
            context["unpriced_url"] = question.state.traces_url(unpriced="1")
        return render_to_string("costs/_chart_panel.html", context, request)
    template, build = OTHERS[key]
    return render_to_string(f"costs/_{template}_panel.html", context | build(question), request)


@require_GET
@login_required
@never_cache
def panel(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """One panel as a fragment; opened as a page, it is the dashboard in the same state."""
    project = project_for(request, slug)
    question = _question(request, project, _page_query(request))
    if not wants_part(request):
        return HttpResponseRedirect(question.state.url())
    response = HttpResponse(_render(request, key, question))
    patch_vary_headers(response, ["HX-Request", "HX-Current-URL"])
    return push_url(response, question.state.url()) if request.GET else response


@require_GET
@login_required
def filters_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The filter form with the values seen in the range; a page of its own without JavaScript."""
    project = project_for(request, slug)
    question = _question(request, project, _page_query(request))
    state = question.state
    options = caching.cached(
        project.pk,
        question.mark,
        ("options", state.period.explicit),
        lambda: spend.filter_options(project.pk, state.period),
    )
    facets = [
        {
            "name": name,
            "legend": name.capitalize(),
            "options": [
                (
                    value or NONE,
                    label_of(name, value),
                    calls,
                    value in state.filters.rows.get(name, ()),
                )
                for value, calls in options[name]
            ],
        }
        for name in ROW_FIELDS
    ]
    context = {
        "state": state,
        "facets": facets,
        "extras": [(name, DIMENSIONS[name]) for name in EXTRA_FIELDS],
        "only": state.filters.extra,
        "value": state.filters.values[0] if state.filters.values else "",
        "kept": [pair for pair in state.pairs() if pair[0] not in (*ROW_FIELDS, *EXTRA_FIELDS)],
    }
    return render_page_or_part(
        request, page="costs/filters.html", part="costs/_filters.html", context=context
    )


@require_GET
@login_required
@never_cache
def usage_pulse(request: HttpRequest, slug: str) -> HttpResponse:
    """204 while the ledger is where the page saw it (`?version=`); else a new version; the panels come again."""
    project = project_for(request, slug)
    mark = usage_mark(project.pk)
    if request.GET.get("version") == str(mark.version):
        return HttpResponse(status=204)
    if request.GET.get("reload"):  # the page had nothing to show
        return HttpResponseClientRefresh()
    response = render(request, "costs/_usage_version.html", {"mark": mark})
    return trigger_client_event(response, "llmlab:refresh", {}, after="settle")


@require_GET
@login_required
def dashboard_export(request: HttpRequest, slug: str) -> HttpResponse:
    """A chart's numbers as CSV, every digit: of `?panel=`, or spend by bin and group with every measure."""
    project = project_for(request, slug)
    question = _question(request, project, request.GET)
    key = request.GET.get("panel", "")
    if key and key not in CHARTS:
        raise DomainError(
            f"panel is {key[:40]!r}; it must be one of {', '.join(CHARTS)}.", fields=["panel"]
        )
    state = question.state
    if key:
        name, content = key.replace("_", "-"), export.chart_csv(CHARTS[key](question))
    else:
        group = state.choices["group"]
        name = f"spend-by-{group}"
        cells = spend.spend_series(project.pk, state.period, state.filters, (group,), state.bin)
        content = export.spend_csv(cells, period=state.period, size=state.bin, group=group)
    file = f"{project.slug}-{name}-{state.period.start:%Y%m%d}-{state.period.end:%Y%m%d}.csv"
    response = csv_file(file, [content])
    response["Cache-Control"] = "no-store"
    return response


@require_GET
@login_required
@never_cache
def project_spend_panel(request: HttpRequest) -> HttpResponse:
    """This month's spend and the last activity of the listed projects, as out-of-band cells.

    Ids the reader may not see are left out. Two queries besides those that say who is asking.
    """
    wanted = [parse_uuid(text) for text in request.GET.get("ids", "").split(",") if text][
        : MAX_PROJECTS + 1
    ]
    if len(wanted) > MAX_PROJECTS:
        raise DomainError(f"ids has more than {MAX_PROJECTS} values.", fields=["ids"])
    mine = [project.pk for project in projects_of(request.user)]  # type: ignore[arg-type]
    shown = [pk for pk in mine if not wanted or pk in set(wanted)]
    period = parse_range("mtd", now=timezone.now()).whole_hours()
    return render(
        request,
        "costs/_project_spend.html",
        {"rows": project_spends(shown, period), "period": period},
    )
