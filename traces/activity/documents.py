"""Sessions, users and errors as JSON for programs. Unknown costs are null, money is a decimal string."""

from typing import Any

from traces.activity.detail import Turn
from traces.models import ErrorGroup, SessionRow, UserRow


def _sums(row: SessionRow | UserRow) -> dict[str, Any]:
    return {
        "error_count": row.errors,
        "running_count": row.running,
        "calls": row.calls,
        "unpriced_calls": row.unpriced_calls,
        "cost_usd": None if row.is_unpriced else f"{row.cost_usd:f}",
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "environments": row.environments,
        "first_at": row.first_at,
        "last_at": row.last_at,
    }


def session_data(row: SessionRow) -> dict[str, Any]:
    """One session."""
    return {
        "session": row.session_id,
        "users": row.user_ids,
        "turns_count": row.traces,
        "duration_ms": row.duration_ms,
        **_sums(row),
    }


def turn_data(turn: Turn) -> dict[str, Any]:
    """One turn of a session."""
    trace = turn.trace
    cost = trace.known_cost_usd
    return {
        "number": turn.number,
        "trace_id": trace.trace_id,
        "name": trace.name,
        "status": trace.status,
        "started_at": trace.started_at,
        "duration_ms": trace.duration_ms,
        "input": turn.asked,
        "output": turn.answered,
        "cost_usd": None if cost is None else f"{cost:f}",
        "running_cost_usd": None if turn.running_cost is None else f"{turn.running_cost:f}",
    }


def user_data(row: UserRow) -> dict[str, Any]:
    """One user."""
    return {
        "user": row.user_id,
        "trace_count": row.traces,
        "session_count": row.sessions,
        **_sums(row),
    }


def error_data(row: ErrorGroup) -> dict[str, Any]:
    """One kind of failure."""
    return {
        "fingerprint": row.fingerprint,
        "status": row.status,
        "error_type": row.error_type,
        "message": row.message,
        "pattern": row.pattern,
        "place": row.place,
        "type": row.kind,
        "provider": row.provider,
        "count": row.spans,
        "trace_count": row.traces,
        "user_count": row.users,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "last_release": row.last_release,
        "resolved_at": row.resolved_at,
        "resolved_release": row.resolved_release,
        "reopened_at": row.reopened_at,
    }
