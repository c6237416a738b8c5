"""Scores, sessions, users and errors for export: the rows their lists show for the same query string."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict

from core.errors import DomainError
from projects.exports.registry import Column, Cursor, Request, Row, Source, register
from projects.models import Project
from traces.activity import lists
from traces.activity.lists import Spec
from traces.activity.specs import ERRORS, SESSIONS, USERS
from traces.models import Score
from traces.score_filters import KNOWN_PARAMS, parse_score_filters
from traces.selectors.score_list import matching_scores

SCORE_COLUMNS = (
    Column("score_id", "text"), Column("name", "text"), Column("data_type", "text"), Column("value", "number"),
    Column("text", "text"), Column("reason", "text"), Column("source", "text"), Column("trace_id", "text"),
    Column("span_id", "text"), Column("session_id", "text"), Column("environment", "text"),
    Column("scored_at", "time"),
)  # fmt: skip
ACTIVITY_COLUMNS = (
    Column("traces", "integer"), Column("errors", "integer"), Column("calls", "integer"),
    Column("unpriced_calls", "integer"), Column("cost_usd", "decimal"), Column("input_tokens", "integer"),
    Column("output_tokens", "integer"), Column("first_at", "time"), Column("last_at", "time"),
    Column("environments", "list"),
)  # fmt: skip
ERROR_COLUMNS = (
    Column("error_type", "text"), Column("message", "text"), Column("pattern", "text"), Column("place", "text"),
    Column("kind", "text"), Column("provider", "text"), Column("spans", "integer"), Column("traces", "integer"),
    Column("users", "integer"), Column("first_at", "time"), Column("last_at", "time"), Column("last_release", "text"),
    Column("status", "text"),
)  # fmt: skip
_PAGE = frozenset({"after", "before"})


def register_lists() -> None:
    """Called with the other sources."""
    register(Source("scores", "Scores", SCORE_COLUMNS, read_scores, count_scores))
    for spec, label, key, columns in (
        (SESSIONS, "Sessions", "session", ACTIVITY_COLUMNS),
        (USERS, "Users", "user", ACTIVITY_COLUMNS),
        (ERRORS, "Errors", "fingerprint", ERROR_COLUMNS),
    ):
        named = (Column(key, "text"), *columns)
        names = [column.name for column in columns]
        register(
            Source(spec.name, label, named, partial(_read, spec, names), partial(_count, spec))
        )


def _params(request: Request, known: frozenset[str]) -> QueryDict:
    """The query string as a list reads it; raises DomainError for what the list does not know."""
    params = QueryDict(request.query, mutable=True)
    for name in _PAGE:
        params.pop(name, None)
    if unknown := sorted(set(params) - known):
        raise DomainError(
            f"{unknown[0][:40]} is not a filter of this list; known are {', '.join(sorted(known))}.",
            code="invalid_filter",
            fields=[name[:40] for name in unknown[:5]],
        )
    return params


def _scores(project: Project, request: Request) -> QuerySet[Score]:
    params = _params(request, frozenset(KNOWN_PARAMS) - _PAGE)
    params.pop("sort", None)
    return matching_scores(project, parse_score_filters(params, now=request.now, strict=True))


def count_scores(project: Project, request: Request) -> int:
    """One query."""
    return _scores(project, request).count()


def read_scores(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """Oldest first. One query a page."""
    found = _scores(project, request)
    if cursor:
        later = Q(scored_at__gt=cursor["at"]) | Q(score_id__gt=cursor["id"])
        found = found.filter(scored_at__gte=cursor["at"]).filter(later)
    rows = list(found.order_by("scored_at", "score_id")[:limit])
    names = [column.name for column in SCORE_COLUMNS]
    following = (
        {"at": rows[-1].scored_at.isoformat(), "id": rows[-1].score_id}
        if len(rows) == limit
        else None
    )
    return [[getattr(row, name) for name in names] for row in rows], following


def _matching(spec: Spec, project: Project, request: Request) -> QuerySet[Any]:
    state = lists.parse_state(spec, _params(request, spec.params), now=request.now, strict=True)
    if state.range.is_preset:
        # A session that goes on while the file is written belongs to it.
        state = replace(
            state, range=replace(state.range, end=state.range.end + dt.timedelta(days=7))
        )
    return lists.matching(project, state)


def _count(spec: Spec, project: Project, request: Request) -> int:
    """One query."""
    return _matching(spec, project, request).count()


def _read(
    spec: Spec, names: list[str], project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """By id. One query a page."""
    found = _matching(spec, project, request)
    if cursor:
        found = found.filter(**{f"{spec.key}__gt": cursor["id"]})
    rows = list(found.order_by(spec.key)[:limit])
    following = {"id": getattr(rows[-1], spec.key)} if len(rows) == limit else None
    return [[getattr(row, spec.key), *map(_value_of(row), names)] for row in rows], following


def _value_of(row: Any) -> Callable[[str], Any]:
    """A cell; the cost of what has no known price is null, never 0."""

    def value(name: str) -> Any:
        return None if name == "cost_usd" and row.is_unpriced else getattr(row, name)

    return value
