"""The dashboard: one page, and one address per panel, all reading the same state from the query string."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh, push_url, trigger_client_event

from core.errors import DomainError
from core.htmx import render_page_or_part, wants_part
from core.ranges import PRESETS, parse_range
from costs import caching, export, panels, tables
from costs.dashboard import GROUP_LABELS, MIX_LABELS, WHO_LABELS, DashboardState, read_state
from costs.filters import NONE, ROW_FIELDS
from costs.labels import label_of
from costs.panels import Question
from costs.selectors import spend
from costs.selectors.usage import project_spends, usage_mark
from projects.access import parse_uuid, project_for
from projects.models import Project
from projects.selectors import projects_of

MAX_PROJECTS = 500
Build = Callable[[Question], dict[str, Any]]
# Panels the first document leaves to the browser; the others are in it.
LAZY: dict[str, Build] = {
    "mix": panels.mix,
    "models": tables.models,
    "who": tables.who,
    "attention": tables.attention,
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


@require_GET
@login_required
def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """Figures and the main chart; the other panels follow, or come along with `?full=1`. At most eight queries."""
    project = project_for(request, slug)
    question = _question(request, project, request.GET)
    state = question.state
    if "start" in request.GET and not wants_part(request):
        return HttpResponseRedirect(state.url())
    context = _bar(question) | {
        "project": project,
        "has_data": question.mark.version > 0,
        "figures": panels.figures(question),
        "chart": panels.chart(question)
        | {"group_options": _options(state, "group", GROUP_LABELS, "spend")},
        "panel_urls": {name: reverse(f"costs:{name}_panel", args=[project.ref]) for name in LAZY},
    }
    if state.choices["full"] == "1":
        context["full"] = {
            name: build(question) | _extras(name, state) for name, build in LAZY.items()
        }
    return render_page_or_part(
        request, page="costs/dashboard.html", part="costs/_dashboard.html", context=context
    )


def _bar(question: Question) -> dict[str, Any]:
    """What the controls above the panels need. No query."""
    state = question.state
    now = timezone.now()
    return {
        "state": state,
        "mark": question.mark,
        "presets": [
            (label, state.with_period(parse_range(key, now=now)).url(), key == state.period.key)
            for key, label in PRESETS.items()
        ],
        "kept": [pair for pair in state.pairs() if pair[0] != "range"],
        "chips": [
            (name, name.replace("_", " ").capitalize(), label_of(name, "" if value == NONE else value),
             state.without(name, value).url())
            for name, value in state.filters.pairs()
        ],
        "compare_url": state.choose(compare="none" if state.previous else "prev").url(),
        "export_url": state.url("costs:dashboard_export"),
        "filters_url": state.url("costs:filters_panel"),
    }  # fmt: skip


def _options(
    state: DashboardState, name: str, labels: dict[str, str], panel: str
) -> list[dict[str, Any]]:
    """A segmented control: each choice with its page address and its panel address."""
    address = reverse(f"costs:{panel}_panel", args=[state.ref])
    return [
        {
            "key": key,
            "label": label,
            "href": state.choose(**{name: key}).url(),
            "panel": f"{address}?{name}={key}",
            "current": state.choices[name] == key,
        }
        for key, label in labels.items()
    ]


def _extras(name: str, state: DashboardState) -> dict[str, Any]:
    """The controls of one panel."""
    found: dict[str, Any] = {"panel_url": reverse(f"costs:{name}_panel", args=[state.ref])}
    if name == "spend":
        found["group_options"] = _options(state, "group", GROUP_LABELS, "spend")
    elif name == "mix":
        found["mix_options"] = _options(state, "mix", MIX_LABELS, "mix")
    elif name == "who":
        found["who_options"] = _options(state, "who", WHO_LABELS, "who")
    elif name == "models":
        other = "top" if state.choices["models"] == "all" else "all"
        found |= {"toggle": other, "toggle_url": state.choose(models=other).url()}
    return found


def _panel(request: HttpRequest, slug: str, name: str, build: Build) -> HttpResponse:
    """One panel as a fragment; opened as a page, it is the dashboard in the same state."""
    project = project_for(request, slug)
    question = _question(request, project, _page_query(request))
    if not wants_part(request):
        return HttpResponseRedirect(question.state.url())
    context = build(question) | _extras(name, question.state)
    response = render(request, f"costs/_{name}_panel.html", context)
    patch_vary_headers(response, ["HX-Request", "HX-Current-URL"])
    return push_url(response, question.state.url()) if request.GET else response


@require_GET
@login_required
@never_cache
def figures_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The key figures."""
    return _panel(request, slug, "figures", panels.figures)


@require_GET
@login_required
@never_cache
def spend_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Spend over time, stacked."""
    return _panel(request, slug, "spend", panels.chart)


@require_GET
@login_required
@never_cache
def mix_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Shares of spend."""
    return _panel(request, slug, "mix", panels.mix)


@require_GET
@login_required
@never_cache
def models_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Top or all models."""
    return _panel(request, slug, "models", tables.models)


@require_GET
@login_required
@never_cache
def who_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Top agents or users."""
    return _panel(request, slug, "who", tables.who)


@require_GET
@login_required
@never_cache
def attention_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """Unpriced and failing models and agents."""
    return _panel(request, slug, "attention", tables.attention)


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
        "kept": [pair for pair in state.pairs() if pair[0] not in ROW_FIELDS],
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
    """The chart's numbers as CSV: one line per bin and group, every measure, amounts with all their digits."""
    project = project_for(request, slug)
    question = _question(request, project, request.GET)
    state = question.state
    group = state.choices["group"]
    name = (
        f"{project.slug}-spend-by-{group}-{state.period.start:%Y%m%d}-{state.period.end:%Y%m%d}.csv"
    )
    content = export.spend_csv(question.series(group), period=state.period, group=group)
    return HttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


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
