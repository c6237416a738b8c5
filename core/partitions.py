"""Day partitions of the growing tables: the migration operation, and making, listing and dropping partitions.

A partitioned table's real primary key may differ from the one Django believes in (`primary_key=`): PostgreSQL wants
the partition column in it, and no foreign key points at such a table. A row outside every partition is refused by
PostgreSQL, so partitions are made ahead (beat, hourly) and on demand by the writer for late data.
"""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, migrations, transaction

DAYS_AHEAD = 3
_REGISTRY: dict[str, str] = {}
_STORAGE: dict[str, str] = {}


def register(table: str, column: str, *, storage: str = "") -> None:
    """Name a table whose day partitions this module keeps (called from the owning app's `ready`); `storage` are the
    storage parameters of new partitions, as in `fillfactor = 90`: PostgreSQL does not inherit them."""
    _REGISTRY[table] = column
    _STORAGE[table] = storage


def registered_tables() -> tuple[str, ...]:
    return tuple(sorted(_REGISTRY))


class CreateKeyedModel(migrations.CreateModel):
    """CreateModel whose table has the given `primary_key` columns and, with `partition_by`, is range-partitioned.

    Only CREATE TABLE is rewritten; later AddField, AddIndex and AddConstraint run as usual.
    """

    def __init__(
        self,
        *args: Any,
        primary_key: Sequence[str] = (),
        partition_by: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.primary_key = tuple(primary_key)
        self.partition_by = partition_by

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        return (
            name,
            args,
            {**kwargs, "primary_key": self.primary_key, "partition_by": self.partition_by},
        )

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        original = schema_editor.execute

        def execute(sql: Any, params: Any = ()) -> Any:
            text = str(sql)
            if text.startswith("CREATE TABLE"):
                text = re.sub(r",\s*PRIMARY KEY \([^)]*\)", "", text).replace(" PRIMARY KEY", "")
                columns = ", ".join(schema_editor.quote_name(column) for column in self.primary_key)
                text = text.rstrip().removesuffix(")") + f", PRIMARY KEY ({columns}))"
                if self.partition_by:
                    text += f" PARTITION BY RANGE ({schema_editor.quote_name(self.partition_by)})"
                return original(text, params)
            return original(sql, params)

        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute = execute
            try:
                schema_editor.create_model(model)
            finally:
                schema_editor.execute = original


def partition_name(table: str, day: dt.date) -> str:
    return f"{table}_p{day:%Y%m%d}"


def existing_days(table: str) -> set[dt.date]:
    """The days that `table` has a partition for. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(%s)",
            [table],
        )
        names = [row[0] for row in cursor.fetchall()]
    return {
        dt.datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=dt.UTC).date()
        for name in names
        if re.fullmatch(r"\d{8}", name[-8:])
    }


_AHEAD = """
SELECT t.name, count(c.oid) FILTER (WHERE right(c.relname, 8) > %s)
FROM unnest(%s::text[]) AS t(name)
LEFT JOIN pg_inherits i ON i.inhparent = to_regclass(t.name)
LEFT JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ '_p[0-9]{8}$'
GROUP BY 1 ORDER BY 1
"""


def days_ahead(today: dt.date) -> dict[str, int]:
    """How many days after `today` each registered table has partitions for. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD, [f"{today:%Y%m%d}", list(registered_tables())])
        return {str(table): int(number) for table, number in cursor.fetchall()}


def ensure_days(days: Iterable[dt.date], *, tables: Iterable[str] | None = None) -> int:
    """Make the missing partitions of `days`; returns how many were made.

    Runs in its own transaction per partition under an advisory lock, so that two processes never make the same one and
    the ACCESS EXCLUSIVE lock on the parent is held for milliseconds. Call it outside a transaction.
    """
    wanted = set(days)
    made = 0
    for table in tables or registered_tables():
        for day in sorted(wanted - existing_days(table)):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('llmlab.partitions'))")
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [partition_name(table, day)])
                row = cursor.fetchone()
                if row and row[0]:
                    continue
                storage = f" WITH ({_STORAGE[table]})" if _STORAGE.get(table) else ""
                # Identifiers are this module's own: a registered table name and digits. DDL takes no parameters.
                cursor.execute(
                    f'CREATE TABLE "{partition_name(table, day)}" PARTITION OF "{table}"'
                    f" FOR VALUES FROM ('{day.isoformat()} 00:00:00+00')"
                    f" TO ('{(day + dt.timedelta(days=1)).isoformat()} 00:00:00+00'){storage}"
                )
                made += 1
    return made


def ensure_ahead(today: dt.date) -> int:
    """Yesterday to three days ahead of `today`, for every registered table."""
    return ensure_days(today + dt.timedelta(days=offset) for offset in range(-1, DAYS_AHEAD + 1))


def drop_before(day: dt.date, *, tables: Iterable[str]) -> int:
    """Drop the partitions of days before `day`; returns how many. Each in its own transaction: the lock on the parent
    is held for milliseconds. Call it outside a transaction."""
    dropped = 0
    for table in tables:
        for old in sorted(one for one in existing_days(table) if one < day):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('llmlab.partitions'))")
                cursor.execute(f'DROP TABLE IF EXISTS "{partition_name(table, old)}"')
            dropped += 1
    return dropped
