"""Which lists there are: their columns, orders and filters."""

from traces.activity.lists import Choice, Spec
from traces.models import ErrorGroup, ErrorStatus, SessionRow, UserRow

_HAS = Choice(
    "has",
    "Only with",
    (("errors", "Errors"), ("running", "Running traces"), ("unpriced", "Unpriced calls"), ("cost", "A cost")),
)  # fmt: skip
_ENVIRONMENT = Choice("environment", "Environment")
_WHERE = {
    "has=errors": ("errors__gt", 0),
    "has=running": ("running__gt", 0),
    "has=unpriced": ("unpriced_calls__gt", 0),
    "has=cost": ("cost_usd__gt", 0),
    "environment": ("environments__contains", list),
}
SESSIONS = Spec(
    name="sessions",
    model=SessionRow,
    key="session_id",
    sorts={
        "last": "last_at",
        "cost": "cost_usd",
        "turns": "traces",
        "duration": "duration_ms",
        "tokens": "tokens",
        "errors": "errors",
        "started": "first_at",
    },
    default_sort="-last",
    search=("session_id",),
    choices=(_HAS, Choice("user", "User"), _ENVIRONMENT),
    where={**_WHERE, "user": ("user_ids__contains", list)},
)
USERS = Spec(
    name="users",
    model=UserRow,
    key="user_id",
    sorts={
        "last": "last_at",
        "cost": "cost_usd",
        "traces": "traces",
        "sessions": "sessions",
        "tokens": "tokens",
        "errors": "errors",
        "first": "first_at",
        "user": "user_id",
    },
    default_sort="-last",
    search=("user_id",),
    choices=(_HAS, _ENVIRONMENT),
    where=_WHERE,
)
ERRORS = Spec(
    name="errors",
    model=ErrorGroup,
    key="fingerprint",
    sorts={
        "last": "last_at",
        "count": "spans",
        "traces": "traces",
        "users": "users",
        "first": "first_at",
    },
    default_sort="-last",
    search=("message", "error_type", "place"),
    choices=(
        Choice(
            "status", "Status", (*((s.value, str(s.label)) for s in ErrorStatus), ("all", "All")), "open"
        ),
        Choice("type", "Type"),
        Choice("place", "Model or step"),
        Choice("provider", "Provider"),
    ),
    where={
        **{f"status={s.value}": ("status", s.value) for s in ErrorStatus},
        "type": ("error_type", ""),
        "place": ("place", ""),
        "provider": ("provider", ""),
    },
)  # fmt: skip
