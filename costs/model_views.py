"""Models & prices of a project: every model in use, and one model's price history and unpriced calls."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import ROLE_RANK, Role
from core.charts import Series
from core.errors import DomainError
from core.htmx import render_page_or_part
from core.ranges import bin_label
from core.streaming import csv_file
from costs.frames import axis_label
from costs.labels import label_of, provider_slot
from costs.model_lists import (
    STATUSES,
    ModelState,
    cells_of,
    models_csv,
    narrowed,
    page_of,
    read_state,
    show,
)
from costs.prices import period_at, price_periods
from costs.reconciliation.names import canonical
from costs.reconciliation.selectors import latest_checks
from costs.selectors import models as selectors
from costs.selectors.price_rules import rules_of
from costs.selectors.sums import add_up
from costs.selectors.usage import usage_mark
from projects.access import project_for
from projects.models import Project


def _prices_url(project: Project) -> str:
    """Where prices are set; empty for who may not."""
    if ROLE_RANK[project.role] < ROLE_RANK[Role.ADMIN]:
        return ""
    return reverse("costs:price_create", args=[project.organization.slug])


def _rows(project: Project, state: ModelState) -> list[selectors.ModelRow]:
    """Four queries at most."""
    return selectors.models_in_use(
        project.pk,
        state.period,
        mark=usage_mark(project.pk),
        rules=rules_of(project.organization_id),
        now=timezone.now(),
    )


@login_required
@never_cache
@require_GET
def model_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every model called in the range with calls, tokens, spend and price per token class."""
    project = project_for(request, slug)
    state = read_state(request.GET, ref=project.ref, now=timezone.now())
    if "start" in request.GET and "end" in request.GET:
        return HttpResponseRedirect(state.url())
    rows = _rows(project, state)
    found = narrowed(rows, state)
    shown, after = page_of(found, state.after)
    prices_url = _prices_url(project)
    context = {
        "project": project,
        "state": state,
        "rows": [show(row, state, prices_url=prices_url) for row in shown],
        "total": add_up([row.sums for row in found]),
        "found": len(found),
        "has_models": bool(rows),
        "after": after,
        "providers": sorted({(row.provider, label_of("provider", row.provider)) for row in rows}),
        "statuses": STATUSES.items(),
        "kept": [pair for pair in state.pairs() if pair[0] != "range"],
        "export_url": state.url("costs:model_export"),
        "prices_url": reverse("costs:price_list", args=[project.organization.slug]),
    }
    return render_page_or_part(
        request, page="costs/models.html", part="costs/_models_results.html", context=context
    )


@login_required
@never_cache
@require_GET
def model_export(request: HttpRequest, slug: str) -> HttpResponse:
    """The filtered list as CSV, every page of it."""
    project = project_for(request, slug)
    state = read_state(request.GET, ref=project.ref, now=timezone.now())
    content = models_csv(narrowed(_rows(project, state), state))
    name = f"{project.slug}-models-{state.period.start:%Y%m%d}-{state.period.end:%Y%m%d}.csv"
    return csv_file(name, [content])


@login_required
@never_cache
@require_GET
def model_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One model (`?provider=&model=`): price history, why calls have no price, spend over time. Nine queries."""
    project = project_for(request, slug)
    now = timezone.now()
    state = read_state(request.GET, ref=project.ref, now=now)
    if "model" not in request.GET:
        raise DomainError(
            "model is missing; open a model from the list of models.", fields=["model"]
        )
    provider, model = state.provider, request.GET["model"]
    if len(model) > 200 or "\x00" in model:
        raise DomainError("model has at most 200 characters and no NUL.", fields=["model"])
    reasons, is_cut = selectors.unpriced_reasons(project.pk, provider, model, state.period)
    periods = price_periods(provider, model, rules=rules_of(project.organization_id))
    prices_url = _prices_url(project)
    wanted = urlencode([("provider", provider), ("model", model)])
    context = {
        "project": project,
        "state": state,
        "provider": provider,
        "model": model,
        "label": label_of("model", model),
        "note": label_of("provider", provider),
        "sums": selectors.model_sums(project.pk, provider, model, state.period),
        "reasons": reasons,
        "is_cut": is_cut,
        "most": selectors.MAX_LOOKED_AT,
        "periods": [
            {"period": period, "cells": cells_of(period.price)} for period in reversed(periods)
        ],
        "current": period_at(periods, now.date()),
        "checks": latest_checks(project.organization_id, *canonical(provider, model)),
        "checks_url": reverse("costs:reconciliation_prices", args=[project.organization.slug])
        + "?"
        + urlencode({"model": canonical(provider, model)[1]}),
        "trend": _trend(project, state, provider, model),
        "kept": [("provider", provider), ("model", model)],
        "traces_url": _traces_url(state, provider, model),
        "unpriced_url": _traces_url(state, provider, model, unpriced="1"),
        "set_url": f"{prices_url}?kind=override&{wanted}" if prices_url else "",
        "discount_url": f"{prices_url}?kind=discount&{wanted}" if prices_url else "",
        "reprice_url": reverse("costs:price_repricing", args=[project.organization.slug])
        if prices_url
        else "",
    }
    return render(request, "costs/model_detail.html", context)


def _traces_url(state: ModelState, provider: str, model: str, **extra: str) -> str:
    """The traces with such calls; the list has no name for "no provider" among its values."""
    pairs = {"range": state.period.explicit, "provider": provider, "model": model, **extra}
    query = urlencode([(name, value) for name, value in pairs.items() if value])
    return f"{reverse('traces:trace_list', kwargs={'slug': state.ref})}?{query}"


def _trend(project: Project, state: ModelState, provider: str, model: str) -> dict[str, Any]:
    """What the chart of spend over time needs. One query."""
    spend = selectors.daily_spend(project.pk, provider, model, state.period)
    bins = state.period.bins()
    size = state.period.bin
    labels = [axis_label(at, size, first=index == 0) for index, at in enumerate(bins)]
    values = [spend.get(at, 0) for at in bins]
    return {
        "labels": labels,
        "titles": [bin_label(at, size) for at in bins],
        "series": [Series("Spend", values, provider_slot(provider))],
        "summary": f"Spend on {label_of('model', model)} per {state.period.bin}",
        "has_spend": any(values),
    }
