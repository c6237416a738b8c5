"""Statements that every upload repeats: PostgreSQL parses and plans them once per connection.

Django binds parameters on the client, so PostgreSQL reads each statement anew. For a few hot, fixed ones that is most
of what they cost. Only for statements whose plan does not hang on the values (writes by key): a plan kept for all
values would be wrong where the size of a list or a range of time decides.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection

ALWAYS = 0  # executions before a statement is prepared


class _Cursor(psycopg.Cursor[Any]):
    """Binds on the server and keeps what it prepared with the connection."""

    def execute(self, query: Any, params: Any = None, **_: Any) -> "_Cursor":
        return super().execute(query, params, prepare=True)


def execute(statement: str, params: Sequence[Any]) -> Any:
    """Run `statement`, one of a fixed few, on Django's connection (its transaction, its errors, its query log);
    returns the cursor."""
    django: Any = connection
    django.ensure_connection()
    django.connection.prepare_threshold = (
        ALWAYS  # Django's own cursors bind on the client: never prepared
    )
    cursor = django._prepare_cursor(_Cursor(django.connection))
    cursor.execute(statement, params)
    return cursor
