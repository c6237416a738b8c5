"""Where a figure of the explorer leads: the traces of exactly its calls, else the explorer narrowed to them (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from core.ranges import TimeRange
from costs.explorer.dimensions import CUSTOMER
from costs.explorer.page_state import PageState, Values, shown_values
from projects.models import Project

# What the trace list can be narrowed by.
TRACE_FIELDS = ("provider", "model", "agent", "environment", "user", "tag", "feature")


@dataclass(frozen=True)
class Drill:
    """Links out of one state of the page; `projects` are those the reader may open."""

    state: PageState
    projects: Sequence[Project]

    def url(
        self,
        values: Mapping[str, str],
        period: TimeRange | None = None,
        *,
        is_unpriced: bool = False,
    ) -> str:
        """What lies behind the figure of these values; empty where nothing narrower can be shown."""
        period = period or self.state.period
        filters = {**self.state.filters, **{name: (value,) for name, value in values.items()}}
        project = self._project(filters)
        pairs = self._trace_pairs(filters)
        if project is not None and pairs is not None:
            found = [("range", period.explicit), *pairs, *([("unpriced", "1")] if is_unpriced else [])]  # fmt: skip
            return (
                f"{reverse('traces:trace_list', kwargs={'slug': project.ref})}?{urlencode(found)}"
            )
        return self._narrowed(filters, period, has_project=project is not None)

    def _project(self, filters: Mapping[str, Values]) -> Project | None:
        """The only project the figure can be of."""
        wanted = filters.get("project")
        found = [one for one in self.projects if wanted is None or str(one.pk) in wanted]
        return found[0] if len(found) == 1 else None

    def _trace_pairs(self, filters: Mapping[str, Values]) -> list[tuple[str, str]] | None:
        """The filters as the trace list has them; None where it cannot tell these calls from others."""
        found = []
        for name, values in filters.items():
            if name == "project":
                continue
            if name == "customer" and "" not in values:
                name, values = "tag", tuple(f"{CUSTOMER}{value}" for value in values)
            if name not in TRACE_FIELDS:
                return None
            found += [(name, value) for value in shown_values(values)]
        return found

    def _narrowed(
        self, filters: Mapping[str, Values], period: TimeRange, *, has_project: bool
    ) -> str:
        """The explorer of these calls alone: by project first, as traces belong to one."""
        left = tuple(name for name in self.state.by if len(filters.get(name, ())) != 1)
        by = left or (() if has_project else ("project",))
        changes: dict[str, Values | str | None] = {
            name: shown_values(values) for name, values in filters.items()
        }
        changes |= {"by": by, "limit": None}
        is_same = period.explicit == self.state.period.explicit
        if not is_same:
            changes |= {"range": period.key, "bin": None}
        is_same = is_same and by == self.state.by and filters == self.state.filters
        return "" if is_same else self.state.url(**changes)
