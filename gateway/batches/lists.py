"""A project's batches as people list them."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q

from core.errors import DomainError, NotFoundError
from core.keyset import keyset_page
from gateway.batches.owned import UNDER_WAY
from gateway.models import Batch, BatchState, Wire
from projects.access import parse_uuid
from projects.models import Project

PAGE, MAX_EXPORT, CHUNK = 50, 10_000, 500
LONGEST = 200
STATES = {"": "Any state", **dict(BatchState.choices)}
WIRES = {"": "Any provider", **dict(Wire.choices)}
SORTS = {"-at": "Newest first", "at": "Oldest first"}


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by and how it is ordered."""

    q: str = ""
    state: str = ""
    wire: str = ""
    sort: str = "-at"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.state or self.wire or self.after)


def read_asked(query: Mapping[str, Any]) -> Asked:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    q = str(query.get("q", "")).strip()
    if len(q) > LONGEST or "\x00" in q:
        raise DomainError(f"q has at most {LONGEST} characters and no NUL.", fields=["q"])
    return Asked(
        q=q,
        state=_choice(query, "state", STATES),
        wire=_choice(query, "wire", WIRES),
        sort=_choice(query, "sort", {"": ""} | SORTS) or "-at",
        after=str(query.get("after", "")),
    )


def _choice(query: Mapping[str, Any], name: str, allowed: Mapping[str, str]) -> str:
    value = str(query.get(name, ""))
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value


def listed(project: Project, asked: Asked, *, limit: int = PAGE) -> tuple[Sequence[Batch], str]:
    """A page, and where the next begins (empty: nowhere). One query. Raises InvalidCursorError."""
    rows = Batch.objects.filter(project=project).defer("document", "caller")
    if asked.q:
        rows = rows.filter(Q(provider_id__icontains=asked.q) | Q(model_names__contains=[asked.q]))
    if asked.state:
        rows = rows.filter(state=asked.state)
    if asked.wire:
        rows = rows.filter(wire=asked.wire)
    return keyset_page(
        rows, sort=asked.sort, column="created_at", kind=dt.datetime, after=asked.after, limit=limit
    )


def exported(project: Project, asked: Asked) -> Iterator[Batch]:
    """At most MAX_EXPORT batches in order, CHUNK per query."""
    left, asked = MAX_EXPORT, replace(asked, after="")
    while left > 0:
        rows, after = listed(project, asked, limit=min(CHUNK, left))
        yield from rows
        left -= len(rows)
        if not after:
            return
        asked = replace(asked, after=after)


def one_of(project: Project, text: str) -> Batch:
    """By our id. One query. Raises NotFoundError."""
    wanted = parse_uuid(text)
    found = Batch.objects.filter(project=project, id=wanted).first() if wanted else None
    if found is None:
        raise NotFoundError("There is no such batch in this project.")
    return found


def may_cancel(row: Batch) -> bool:
    """Whether the provider may be asked to stop it."""
    return row.state in UNDER_WAY and row.state != BatchState.CANCELLING
