"""What an address asks of the request list, read once for the page, CSV and the API (no database)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.errors import DomainError
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
LONGEST = 200


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
        state=_choice(query, "state", STATES),
        route=_text(query, "route"),
        model=_text(query, "model"),
        key_id=key_id,
        priority=_choice(query, "priority", PRIORITY_NAMES),
        cache=_choice(query, "cache", CACHES),
        sort=_choice(query, "sort", {"": ""} | SORTS) or "-at",
        after=str(query.get("after", "")),
    )


def _text(query: Mapping[str, Any], name: str) -> str:
    text = str(query.get(name, "")).strip()
    if len(text) > LONGEST or "\x00" in text:
        raise DomainError(f"{name} has at most {LONGEST} characters and no NUL.", fields=[name])
    return text


def _choice(query: Mapping[str, Any], name: str, allowed: Mapping[str, str]) -> str:
    value = str(query.get(name, ""))
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value
