"""Windows of the gateway's calls: whole hours from the sums per hour, their ends from those per minute."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.histogram import merge
from costs.selectors.source import fetch
from gateway.sums.adding import COUNTS, HOUR, MINUTE, MONEY

_HOUR = dt.timedelta(hours=1)
_SUMS = (*COUNTS, *MONEY)
_TOTALS = ", ".join(f"sum(s.{one})" for one in _SUMS)
_WINDOWS = f"""
SELECT q.place, {_TOTALS}, sum(s.waits)::real[]
FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[])
  AS q(place, project_id, model, step, start, finish)
JOIN gateway_callsum s ON s.project_id = q.project_id AND s.step = q.step AND s.at >= q.start AND s.at < q.finish
  AND (q.model = '' OR lower(s.model) = q.model)
GROUP BY q.place
"""  # noqa: S608
_COURSE = f"""
SELECT s.at, {_TOTALS}, sum(s.waits)::real[] FROM gateway_callsum s
WHERE s.project_id = ANY(%s) AND s.step = %s AND s.at >= %s AND s.at < %s AND (%s = '' OR lower(s.model) = %s)
GROUP BY s.at ORDER BY s.at
"""  # noqa: S608
_PARTS = f"""
SELECT s.project_id, s.model, {_TOTALS}, sum(s.waits)::real[]
FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[]) AS q(project_id, step, start, finish)
JOIN gateway_callsum s ON s.project_id = q.project_id AND s.step = q.step AND s.at >= q.start AND s.at < q.finish
  AND (%s = '' OR lower(s.model) = %s)
GROUP BY s.project_id, s.model
"""  # noqa: S608


@dataclass(frozen=True)
class Calls:
    """Some calls together (gateway.models.CallSum)."""

    calls: int = 0
    failed: int = 0
    tried: int = 0
    fell_back: int = 0
    limited: int = 0
    exact: int = 0
    semantic: int = 0
    missed: int = 0
    unpriced_hits: int = 0
    exact_usd: Decimal = Decimal(0)
    semantic_usd: Decimal = Decimal(0)
    waits: Sequence[int] = field(default=())

    def __add__(self, other: "Calls") -> "Calls":
        waits = merge(self.waits, other.waits) if self.waits and other.waits else ()
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        return Calls(**sums, waits=waits or self.waits or other.waits)

    def __sub__(self, part: "Calls") -> "Calls":
        """Without some of them."""
        sums = {name: getattr(self, name) - getattr(part, name) for name in _SUMS}
        if not part.waits:
            return Calls(**sums, waits=self.waits)
        return Calls(**sums, waits=[a - b for a, b in zip(self.waits, part.waits, strict=True)])


@dataclass(frozen=True)
class Stretch:
    """Whose calls of which time; `model` is a name that was asked for, letters' case ignored, empty: any."""

    project_ids: Sequence[UUID]
    start: dt.datetime
    end: dt.datetime
    model: str = ""


def totals(stretches: Sequence[Stretch]) -> list[Calls]:
    """What is known of each, in their order. Begins and ends on whole minutes. One query, or none."""
    rows = [
        (place, project_id, one.model.lower(), step, start, end)
        for place, one in enumerate(stretches)
        for step, start, end in parts_of(one.start, one.end)
        for project_id in one.project_ids
    ]
    found = [Calls()] * len(stretches)
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        for place, *sums in fetch(_WINDOWS, columns):
            found[place] = _calls(sums)
    return found


def course(one: Stretch, *, step: int = HOUR) -> dict[dt.datetime, Calls]:
    """By the beginning of each hour (minute) that had calls. One query."""
    model = one.model.lower()
    params = [list(one.project_ids), step, one.start, one.end, model, model]
    return {at: _calls(sums) for at, *sums in fetch(_COURSE, params)}


def parts_of(start: dt.datetime, end: dt.datetime) -> list[tuple[int, dt.datetime, dt.datetime]]:
    """Whole hours and the minutes at both ends (pure)."""
    first = start.replace(minute=0, second=0, microsecond=0)
    first += _HOUR if first < start else dt.timedelta()
    last = end.replace(minute=0, second=0, microsecond=0)
    if first >= last:
        return [(MINUTE, start, end)] if start < end else []
    ends = [(MINUTE, start, first), (HOUR, first, last), (MINUTE, last, end)]
    return [part for part in ends if part[1] < part[2]]


def _calls(sums: Sequence[Any]) -> Calls:
    *numbers, waits = sums
    found: dict[str, Any] = dict(zip(_SUMS, numbers, strict=True))
    found |= {name: int(found[name]) for name in COUNTS}
    return Calls(**found, waits=[round(one) for one in waits] if waits else ())


def by_model(one: Stretch) -> list[tuple[UUID, str, Calls]]:
    """The same calls per project and name that was asked for. One query, or none."""
    parts = [(pk, *part) for part in parts_of(one.start, one.end) for pk in one.project_ids]
    if not parts:
        return []
    model = one.model.lower()
    columns = [list(column) for column in zip(*parts, strict=True)]
    return [
        (project_id, name, _calls(sums))
        for project_id, name, *sums in fetch(_PARTS, [*columns, model, model])
    ]
