"""Taking a person out of the ledger and the explorer's facts: the amounts stay, the id goes."""

import datetime as dt
from typing import Any
from uuid import UUID

import msgspec

from costs import minutes
from costs.explorer import keeping
from costs.models import BY_FIELDS
from costs.services import aggregates
from costs.services.rows import COLUMNS, SELECTED, CostRow

AT_ONCE = 5_000
SUM_TABLES = ("costs_costaggregate", "costs_costdailyaggregate")

_RECORDS = {
    column: (
        f"UPDATE costs_costrecord c SET {column} = '' WHERE (project_id, id, occurred_at) IN ("  # noqa: S608
        " SELECT project_id, id, occurred_at FROM costs_costrecord"
        f" WHERE project_id = %s AND {column} = %s LIMIT %s) RETURNING {SELECTED}"
    )
    for column in ("user_id", "session_id")
}
_DAYS = """
INSERT INTO costs_costday AS v (project_id, day, version)
SELECT %s, day, 1 FROM unnest(%s::date[]) AS d(day) ORDER BY day
ON CONFLICT (project_id, day) DO UPDATE SET version = v.version + 1
"""
_VERSION = "UPDATE costs_projectusage SET version = version + 1 WHERE project_id = %s"


def forget_person(cursor: Any, *, project_id: UUID, column: str, value: str) -> bool:
    """Blank `column` (user_id or session_id) in some of the records that hold `value`; for a user also take them out of
    its sums. True when there may be more records. Inside the caller's transaction.

    Sums lose exactly these records: one of the same user that arrives meanwhile keeps its share.
    """
    cursor.execute(_RECORDS[column], [project_id, value, AT_ONCE])
    found = cursor.fetchall()
    rows = [CostRow(**dict(zip(COLUMNS, values, strict=True))) for values in found]
    if column == "user_id":
        deltas: aggregates.Deltas = {}
        owned = [msgspec.structs.replace(row, user_id=value) for row in rows]
        aggregates.add(deltas, owned, sign=-1)
        own = {key: sums for key, sums in deltas.items() if key[1:3] == ("user", value)}
        aggregates.apply(cursor, project_id=project_id, deltas=own)
        for table in SUM_TABLES:
            cursor.execute(
                f"DELETE FROM {table} WHERE project_id = %s AND dimension = ANY(%s) AND value = %s AND calls = 0",  # noqa: S608
                [project_id, ["user", f"user{BY_FIELDS}"], value],
            )
        minutes.forget_user(cursor, project_id=project_id, user_id=value)
    days = sorted({row.occurred_at.astimezone(dt.UTC).date() for row in rows})
    cursor.execute(_DAYS, [project_id, days])
    is_more = len(found) == AT_ONCE
    if not is_more:
        keeping.forget_id(project_id=project_id, column=column, value=value)
    cursor.execute(_VERSION, [project_id])
    return is_more
