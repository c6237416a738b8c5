"""The facets beside the trace list: each one's top values, counted under the other filters, over a bounded sample."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Func, Q, QuerySet, TextField

from projects.models import Project
from traces.filters import LIST_FACETS, VALUE_FACETS, TraceFilters
from traces.models import Trace
from traces.selectors.listing import matching, sample_start

FACET_SAMPLE = 20_000
FACET_TOP = 8
COST_STEPS = (Decimal("0.05"), Decimal("1"))


@dataclass(frozen=True)
class FacetValue:
    value: str
    count: int
    is_on: bool


@dataclass(frozen=True)
class Facet:
    """One facet's most frequent values; chosen values are always there, with count 0 when nothing matches."""

    key: str
    values: list[FacetValue] = field(default_factory=list)


def facet_counts(project: Project, filters: TraceFilters) -> tuple[list[Facet], bool]:
    """Each facet's top values counted under the other filters, over the newest 20,000 traces of the range.

    Twelve queries, each bounded by that sample; the flag says whether the sample is smaller than the range.
    """
    first = sample_start(project, filters, FACET_SAMPLE)
    facets = [_value_facet(project, filters, facet, first) for facet in VALUE_FACETS]
    facets += [_cost_facet(project, filters, first), _unpriced_facet(project, filters, first)]
    return facets, first is not None


def _sample(
    project: Project, filters: TraceFilters, facet: str, first: dt.datetime | None
) -> QuerySet[Trace]:
    found = matching(project, filters, without=facet)
    return found if first is None else found.filter(started_at__gt=first)


def _value_facet(
    project: Project, filters: TraceFilters, facet: str, first: dt.datetime | None
) -> Facet:
    column = VALUE_FACETS[facet]
    one: Any = (
        Func(F(column), function="unnest", output_field=TextField())
        if facet in LIST_FACETS
        else F(column)
    )
    chosen = filters.values.get(facet, ())
    counted = (
        _sample(project, filters, facet, first)
        .annotate(one=one)
        .values("one")
        .annotate(n=Count("trace_id"))
        .order_by("-n", "one")
        .values_list("one", "n")
    )
    top = dict(counted[: FACET_TOP + len(chosen)])
    names = [name for name in top if name in chosen or name != ""][:FACET_TOP]
    names += [name for name in chosen if name not in names]
    return Facet(facet, [FacetValue(name, top.get(name, 0), name in chosen) for name in names])


def _cost_facet(project: Project, filters: TraceFilters, first: dt.datetime | None) -> Facet:
    steps = [*COST_STEPS]
    if filters.min_cost is not None and filters.min_cost not in steps:
        steps.append(filters.min_cost)
    counts = _sample(project, filters, "min_cost", first).aggregate(
        **{
            f"over_{i}": Count("trace_id", filter=Q(cost_usd__gt=step))
            for i, step in enumerate(steps)
        }
    )
    return Facet(
        "min_cost",
        [
            FacetValue(f"{step.normalize():f}", counts[f"over_{i}"], step == filters.min_cost)
            for i, step in enumerate(steps)
        ],
    )


def _unpriced_facet(project: Project, filters: TraceFilters, first: dt.datetime | None) -> Facet:
    count = _sample(project, filters, "unpriced", first).filter(unpriced_calls__gt=0).count()
    return Facet("unpriced", [FacetValue("1", count, filters.unpriced)])
