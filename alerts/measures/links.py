"""Where a message leads: exactly the calls a rule saw, in the trace list or the explorer."""

import datetime as dt
from decimal import Decimal
from urllib.parse import urlencode

from django.urls import reverse

from alerts.models import Alert, AlertKind, Direction
from core.ranges import TimeRange
from traces.query_printing import print_query
from traces.query_terms import And, Compare, Term

# (url, what the link is called)
Link = tuple[str, str]
_MONEY = (AlertKind.SPEND, AlertKind.COST_PER_CALL)
_NARROWED = {
    AlertKind.ERROR_RATE: ([("status", "error")], "See the failed calls"),
    AlertKind.UNPRICED: ([("unpriced", "1")], "See the calls without a price"),
    AlertKind.LATENCY: ([("sort", "-duration")], "See the slowest calls"),
}


def link(alert: Alert, start: dt.datetime, end: dt.datetime) -> Link:
    """The calls of a window: money in the explorer, everything else in the project's trace list; of a whole
    organisation the explorer by project. One query when the organisation is not loaded."""
    period = TimeRange(start, end, "").explicit
    if alert.project_id is None or alert.kind in _MONEY:
        return _explorer(alert, period)
    more, label = _NARROWED.get(AlertKind(alert.kind), ([], "See the calls"))
    query = [("range", period), *_filters(alert), *more]
    return f"{_traces(alert)}?{urlencode(query)}", label


def score_link(alert: Alert, start: dt.datetime, end: dt.datetime, limit: Decimal | None) -> Link:
    """The traces whose scores are on the wrong side of the limit."""
    if alert.project_id is None:
        return _explorer(alert, TimeRange(start, end, "").explicit)
    query = [("range", TimeRange(start, end, "").explicit), *_filters(alert)]
    if limit is not None:
        is_below = alert.direction == Direction.BELOW
        beyond = Compare("<=", limit) if is_below else Compare(">=", limit)
        term = Term("score", (beyond,), alert.score_name)
        query.append(("q", print_query(And((term,)))))
    return f"{_traces(alert)}?{urlencode(query)}", "See the scored traces"


def ingestion_link(alert: Alert) -> Link:
    """What came in lately and what became of it."""
    if alert.project_id is None:
        url = reverse("projects:project_list")
        return url, "Open the projects"
    return reverse("traces:ingestion", args=[alert.project_id]), "Open the ingestion page"


def _traces(alert: Alert) -> str:
    # By id: what a name stands for depends on who opens the link.
    return reverse("traces:trace_list", kwargs={"slug": alert.project_id})


def _explorer(alert: Alert, period: str) -> Link:
    by = "model" if alert.project_id else "project"
    query = [("range", period), ("by", by)]
    if alert.project_id:
        query.append(("project", str(alert.project_id)))
    measures = {
        AlertKind.COST_PER_CALL: "cost_per_call,cost_usd,calls",
        AlertKind.ERROR_RATE: "errors,calls",
        AlertKind.UNPRICED: "unpriced_calls,calls",
        AlertKind.TOKEN_RATE: "total_tokens,calls",
        AlertKind.CALL_RATE: "calls",
    }.get(AlertKind(alert.kind))
    if measures:
        query.append(("measures", measures))
    query += _filters(alert)
    url = reverse("costs:explorer", args=[alert.organization.slug])
    return f"{url}?{urlencode(query)}", "See the calls in the explorer"


def _filters(alert: Alert) -> list[tuple[str, str]]:
    named = (
        ("environment", alert.environment), ("provider", alert.provider), ("model", alert.model),
        ("agent", alert.agent), ("user", alert.user_id), ("tag", alert.tag),
    )  # fmt: skip
    return [(name, value) for name, value in named if value]
