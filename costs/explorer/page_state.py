"""What the address of the explorer's page says: the API's question, read once and written back into every link."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse

from core.ranges import Bin, TimeRange
from costs.dashboard import fits
from costs.explorer.ask import Question
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES
from costs.explorer.query import (
    DEFAULT_LIMIT,
    DEFAULT_MEASURES,
    DEFAULT_RANGE,
    Asked,
    read_question,
)
from costs.filters import NONE

# What somebody sees who comes without a question.
OPENING = "by=model&compare=previous"
# Sums stack up; ratios and counts of distinct things do not.
STACKED = frozenset(
    name
    for name, one in MEASURES.items()
    if not one.distinct and name not in ("cost_per_call", "cost_per_user", "cost_per_session")
)
PIVOT_ROWS, MOST_PIVOT_ROWS, PIVOT_COLUMNS = 20, 200, 8
MOST_ROWS = 1000
# Always asked for: they tell unknown from nothing.
_SILENT = ("calls", "unpriced_calls")
Values = tuple[str, ...]


@dataclass(frozen=True)
class PageState:
    """`params` is the address in its shortest form; `size` are the bins that are drawn."""

    slug: str
    asked: Asked
    params: Mapping[str, Values]
    size: Bin

    @property
    def by(self) -> Values:
        return self.asked.question.by

    @property
    def period(self) -> TimeRange:
        return self.asked.period

    @property
    def measures(self) -> Values:
        return self.asked.question.measures

    @property
    def measure(self) -> str:
        """The one that is drawn, and that fills a pivot."""
        return self.measures[0]

    @property
    def filters(self) -> dict[str, Values]:
        return dict(self.asked.question.filters)

    @property
    def is_pivot(self) -> bool:
        return len(self.by) == 2

    @property
    def question(self) -> Question:
        """What the page needs to know: by bin, with what tells unknown from nothing."""
        asked = self.asked.question
        measures = tuple(dict.fromkeys((*asked.measures, *_SILENT)))
        limit = asked.limit or DEFAULT_LIMIT
        if self.is_pivot:
            limit = min(limit, MOST_PIVOT_ROWS) if "limit" in self.params else PIVOT_ROWS
        return replace(asked, bin=self.size, measures=measures, limit=limit)

    def before(self, keys: Sequence[Values], by: Values) -> Question | None:
        """The same about the period before, for these groups of `by`."""
        earlier = self.asked.before(keys)
        if earlier is None:
            return None
        return replace(earlier, by=by, bin=self.size, measures=self.question.measures)

    def query(self, **changes: str | Sequence[str] | None) -> str:
        """The query string with some parameters changed; None or nothing removes one."""
        params = dict(self.params)
        for name, value in changes.items():
            params.pop(name, None)
            if values := (value,) if isinstance(value, str) else tuple(value or ()):
                params[name] = values
        return urlencode([(name, value) for name, values in params.items() for value in values])

    def url(self, to: str = "costs:explorer", /, **changes: str | Sequence[str] | None) -> str:
        return f"{reverse(to, args=[self.slug])}?{self.query(**changes)}"

    def without(self, name: str, value: str) -> str:
        """The page without one filter value."""
        left = [kept for kept in self.filters[name] if kept != value]
        return self.url(limit=None, **{name: shown_values(left)})


def shown_values(values: Sequence[str]) -> Values:
    """Filter values as an address has them."""
    return tuple(value or NONE for value in values)


def read_page(
    query: QueryDict,
    *,
    slug: str,
    project_ids: Sequence[UUID],
    now: dt.datetime,
    extra: Sequence[str] = (),
) -> PageState:
    """The state of an address. Raises DomainError naming the parameter, its value and the rule."""
    given = query if set(query) - {*extra} else QueryDict(OPENING)
    asked = read_question(given, project_ids=project_ids, now=now, extra=extra)
    question, params = asked.question, dict[str, Values]()
    if asked.period.key != DEFAULT_RANGE:
        params["range"] = (asked.period.key,)
    params["by"] = question.by
    if question.measures != DEFAULT_MEASURES:
        params["measures"] = question.measures
    if question.sort or question.ascending:
        sign = "" if question.ascending else "-"
        params["sort"] = (f"{sign}{question.ranked_by}",)
    if question.limit != DEFAULT_LIMIT or "limit" in given:
        params["limit"] = (str(question.limit),)
    if question.bin:
        params["bin"] = (question.bin,)
    # Always there, so that an address with nothing chosen is not taken for one without a question.
    params["compare"] = (given.get("compare") or "none",)
    params |= {name: shown_values(values) for name, values in question.filters}
    size = question.bin if question.bin and fits(question.bin, asked.period) else ""
    return PageState(slug, asked, params, cast(Bin, size or asked.period.bin))


def filters_of(state: PageState) -> list[tuple[str, str]]:
    """(dimension, value) of every filter, in the order of dimensions."""
    return [(name, value) for name in DIMENSIONS for value in state.filters.get(name, ())]
