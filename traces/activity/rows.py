"""Rows of the three lists as the page and the CSV show them."""

from collections.abc import Callable
from typing import Any

from django.urls import reverse

from projects.models import Project
from traces.activity.detail import error_trends
from traces.activity.lists import State
from traces.models import ErrorGroup, SessionRow, UserRow

Read = Callable[[Any], Any]
_SUMS: dict[str, Read] = {
    "calls": lambda row: row.calls,
    "unpriced_calls": lambda row: row.unpriced_calls,
    "cost_usd": lambda row: None if row.is_unpriced else f"{row.cost_usd:f}",
    "input_tokens": lambda row: row.input_tokens,
    "output_tokens": lambda row: row.output_tokens,
    "errors": lambda row: row.errors,
    "running": lambda row: row.running,
    "first_at": lambda row: row.first_at,
    "last_at": lambda row: row.last_at,
    "environments": lambda row: row.environments,
}
CSV: dict[str, dict[str, Read]] = {
    "sessions": {
        "session": lambda row: row.session_id,
        "users": lambda row: row.user_ids,
        "turns": lambda row: row.traces,
        "duration_ms": lambda row: row.duration_ms,
        **_SUMS,
    },
    "users": {
        "user": lambda row: row.user_id,
        "traces": lambda row: row.traces,
        "sessions": lambda row: row.sessions,
        **_SUMS,
    },
    "errors": {
        "fingerprint": lambda row: row.fingerprint,
        "status": lambda row: row.status,
        "error_type": lambda row: row.error_type,
        "message": lambda row: row.message,
        "pattern": lambda row: row.pattern,
        "place": lambda row: row.place,
        "count": lambda row: row.spans,
        "traces": lambda row: row.traces,
        "users": lambda row: row.users,
        "first_at": lambda row: row.first_at,
        "last_at": lambda row: row.last_at,
        "last_release": lambda row: row.last_release,
    },
}


def lines(project: Project, state: State, found: list[Any]) -> list[dict[str, Any]]:
    """What a row's template needs. No query; one for the trends of errors."""
    if state.spec.name == "errors":
        return error_lines(project, state, found)
    if state.spec.name == "users":
        return [user_line(project, row) for row in found]
    return [session_line(project, row) for row in found]


def session_line(project: Project, row: SessionRow) -> dict[str, Any]:
    """A session with its address and its first user's."""
    user = row.user_ids[0] if row.user_ids else ""
    return {
        "row": row,
        "href": session_url(project, row.session_id),
        "user": user,
        "user_href": user_url(project, user) if user else "",
        "more_users": max(0, len(row.user_ids) - 1),
    }


def user_line(project: Project, row: UserRow) -> dict[str, Any]:
    """A user with their address."""
    return {"row": row, "href": user_url(project, row.user_id)}


def error_lines(project: Project, state: State, found: list[ErrorGroup]) -> list[dict[str, Any]]:
    """Error groups with their trends in the range. One query."""
    size = state.range.bin
    trends = error_trends(project, [row.fingerprint for row in found], state.range, size)
    return [
        {"row": row, "href": error_url(project, row.fingerprint), "trend": trends[row.fingerprint]}
        for row in found
    ]


def session_url(project: Project, session_id: str) -> str:
    return reverse("traces:session_detail", kwargs={"slug": project.ref, "session_id": session_id})


def user_url(project: Project, user_id: str) -> str:
    return reverse("traces:user_detail", kwargs={"slug": project.ref, "user_id": user_id})


def error_url(project: Project, fingerprint: str) -> str:
    return reverse("traces:error_detail", kwargs={"slug": project.ref, "fingerprint": fingerprint})
