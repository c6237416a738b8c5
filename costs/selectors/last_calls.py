"""When calls of some scopes happened last, to the minute where minutes are kept. Any number of scopes at once."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.ranges import floor
from costs.selectors.minutes import ASKED, SAME_FIELDS, Scope, scope_row
from costs.selectors.source import fetch

LOOK_BACK = dt.timedelta(days=30)
_SAME = f"""a.project_id = q.project_id AND a.dimension = q.dimension AND a.value = q.value AND {SAME_FIELDS}
  AND a.calls > 0"""
# Hour by hour backwards through the primary key, until one has a call.
_HOURS = f"""
SELECT q.place, (SELECT g FROM generate_series(%s::timestamptz, %s::timestamptz, interval '-1 hour') AS g
  WHERE EXISTS (SELECT 1 FROM costs_costaggregate a WHERE {_SAME} AND a.hour = g) LIMIT 1)
FROM {ASKED.format(types="", names="")}
"""  # noqa: S608
_MINUTES = f"""
SELECT q.place, max(a.minute) FROM {ASKED.format(types=", %s::timestamptz[]", names=", hour")}
JOIN costs_minutesum a ON {_SAME} AND a.minute >= q.hour AND a.minute < q.hour + interval '1 hour'
GROUP BY q.place
"""  # noqa: S608


@dataclass(frozen=True)
class LastCall:
    """The last call happened before `before`: the end of its minute, or of its hour where minutes are not kept."""

    before: dt.datetime
    is_exact: bool


def last_calls(scopes: Sequence[Scope], *, now: dt.datetime) -> list[LastCall | None]:
    """Of each scope, in their order; None: none in LOOK_BACK. Two queries."""
    if not scopes:
        return []
    rows = [scope_row(place, scope, scope.dimension) for place, scope in enumerate(scopes)]
    hour = floor(now, "hour")
    hours = dict(fetch(_HOURS, [hour, hour - LOOK_BACK, *_columns(rows)]))
    asked = [(*row, hours[row[0]]) for row in rows if hours[row[0]] is not None]
    minutes: dict[int, dt.datetime] = dict(fetch(_MINUTES, _columns(asked))) if asked else {}
    found: list[LastCall | None] = []
    for place in range(len(scopes)):
        if place in minutes:
            found.append(LastCall(minutes[place] + dt.timedelta(minutes=1), is_exact=True))
        elif hours[place] is not None:
            found.append(LastCall(hours[place] + dt.timedelta(hours=1), is_exact=False))
        else:
            found.append(None)
    return found


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
