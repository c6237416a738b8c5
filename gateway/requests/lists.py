"""What an address asks of the request list, read once for the page, CSV and the API (no database)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.errors import DomainError
from core.list_query import read_choice, read_text
from core.ranges import TimeRange, parse_range
from gateway.models import RequestState
from gateway.structs import PRIORITIES
from projects.access import parse_uuid

FAILING = "failing"
# What somebody may want to look into.
FAILED_STATES = (RequestState.FAILED, RequestState.EXPIRED, RequestState.LOST, RequestState.REFUSED)
STATES = {"": "Any state", FAILING: "Went wrong", **dict(RequestState.choices)}
PRIORITY_NAMES = {"": "Any priority"} | {name: name.capitalize() for name in PRIORITIES}
HIT = "hit"
CACHES = {
    "": "Any cache", HIT: "Kept answer", "exact": "Same request", "semantic": "Same meaning", "miss": "Not found",
    "bypass": "Not asked", "none": "No cache",
}  # fmt: skip
DIRECT = "-"
SORTS = {"-at": "Newest first", "at": "Oldest first"}
RANGES = ("15m", "1h", "24h", "7d", "30d", "90d")
RANGE = "24h"


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by and how it is ordered; checked by `read_asked`."""

    range: TimeRange
    state: str = ""
    route: str = ""  # DIRECT: calls no route names
    model: str = ""
    key_id: UUID | None = None
    priority: str = ""
    cache: str = ""
    sort: str = "-at"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether anything besides the time range is left out."""
        parts = (self.state, self.route, self.model, self.key_id, self.priority, self.cache)
        return any(parts) or bool(self.after)


def read_asked(query: Mapping[str, Any], *, now: dt.datetime) -> Asked:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    key = str(query.get("key", ""))
    key_id = parse_uuid(key) if key else None
    if key and key_id is None:
        raise DomainError(f"key is {key[:40]!r}; it must be an API key's id.", fields=["key"])
    return Asked(
        range=parse_range(str(query.get("range", "")), now=now, default=RANGE),
        state=read_choice(query, "state", STATES),
        route=read_text(query, "route"),
        model=read_text(query, "model"),
        key_id=key_id,
        priority=read_choice(query, "priority", PRIORITY_NAMES),
        cache=read_choice(query, "cache", CACHES),
        sort=read_choice(query, "sort", SORTS) or "-at",
        after=str(query.get("after", "")),
    )
