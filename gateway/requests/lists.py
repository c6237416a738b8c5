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

FAILING, UNANSWERED = "failing", "unanswered"
# What somebody may want to look into.
NO_ANSWER = (RequestState.FAILED, RequestState.EXPIRED, RequestState.LOST)
FAILED_STATES = (*NO_ANSWER, RequestState.REFUSED)
# Refused by a limit, a budget or a full line.
LIMITED = "limited"
STATES = {
    "": "Any state", FAILING: "Went wrong", UNANSWERED: "No answer", LIMITED: "Refused by a limit",
    **dict(RequestState.choices),
}  # fmt: skip
FALLBACKS = {"": "With or without", "yes": "Fell back", "no": "Did not"}
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
    fallback: str = ""
    # Where it was tried, answered or not: the connection, and the model it was sent to.
    connection_id: UUID | None = None
    target: str = ""
    sort: str = "-at"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether anything besides the time range is left out."""
        parts = (self.state, self.route, self.model, self.key_id, self.priority, self.cache)
        return any(parts) or self.is_of_tries or bool(self.after)

    @property
    def is_of_tries(self) -> bool:
        """Whether it is narrowed by what the form does not offer, but links of other pages do."""
        return bool(self.fallback or self.connection_id or self.target)


def read_asked(query: Mapping[str, Any], *, now: dt.datetime) -> Asked:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    return Asked(
        range=parse_range(str(query.get("range", "")), now=now, default=RANGE),
        state=read_choice(query, "state", STATES),
        route=read_text(query, "route"),
        model=read_text(query, "model"),
        key_id=_id(query, "key", "an API key's"),
        priority=read_choice(query, "priority", PRIORITY_NAMES),
        cache=read_choice(query, "cache", CACHES),
        fallback=read_choice(query, "fallback", FALLBACKS),
        connection_id=_id(query, "connection", "a connection's"),
        target=read_text(query, "target"),
        sort=read_choice(query, "sort", SORTS) or "-at",
        after=str(query.get("after", "")),
    )


def _id(query: Mapping[str, Any], name: str, whose: str) -> UUID | None:
    text = str(query.get(name, ""))
    found = parse_uuid(text) if text else None
    if text and found is None:
        raise DomainError(f"{name} is {text[:40]!r}; it must be {whose} id.", fields=[name])
    return found
