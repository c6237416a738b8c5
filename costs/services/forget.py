"""Taking a person out of the ledger: the amounts stay, the id goes."""

from typing import Any
from uuid import UUID

from costs.models import BY_FIELDS

AT_ONCE = 5_000
SUM_TABLES = ("costs_costaggregate", "costs_costdailyaggregate")

_RECORDS = {
    column: (
        f"UPDATE costs_costrecord SET {column} = '' WHERE (project_id, record_id, occurred_at) IN ("  # noqa: S608
        " SELECT project_id, record_id, occurred_at FROM costs_costrecord"
        f" WHERE project_id = %s AND {column} = %s LIMIT %s)"
    )
    for column in ("user_id", "session_id")
}
_VERSION = "UPDATE costs_projectusage SET version = version + 1 WHERE project_id = %s"


def forget_person(cursor: Any, *, project_id: UUID, column: str, value: str) -> bool:
    """Blank `column` (user_id or session_id) in some of the records that hold `value`; for a user also drop its sums.
    True when there may be more records. Inside the caller's transaction."""
    cursor.execute(_RECORDS[column], [project_id, value, AT_ONCE])
    if cursor.rowcount == AT_ONCE:
        return True
    if column == "user_id":
        for table in SUM_TABLES:
            cursor.execute(
                f"DELETE FROM {table} WHERE project_id = %s AND dimension = ANY(%s) AND value = %s",  # noqa: S608
                [project_id, ["user", f"user{BY_FIELDS}"], value],
            )
    cursor.execute(_VERSION, [project_id])
    return False
