"""Deleting a project's gateway rows, batch by batch (registered with projects.purge)."""

from uuid import UUID

from django.db import connection

# What goes with the project's own row (routes, settings, limits, reservations) is not here.
TABLES = (
    "gateway_llmrequest", "gateway_asyncjob", "gateway_batch", "gateway_providerfile",
    "gateway_cachedresponse", "gateway_shadowcheck", "gateway_callsum",
)  # fmt: skip
_KEYS = {"gateway_llmrequest": "id, accepted_at", "gateway_callsum": "step, at, model"}


def count(project_id: UUID) -> int:
    """How many rows the project has here."""
    with connection.cursor() as cursor:
        total = 0
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [project_id])  # noqa: S608
            total += cursor.fetchone()[0]
        return total


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows; how many it were."""
    done = 0
    with connection.cursor() as cursor:
        for table in TABLES:
            if done >= limit:
                break
            key = _KEYS.get(table, "id")
            cursor.execute(
                f"DELETE FROM {table} WHERE project_id = %s AND ({key}) IN"  # noqa: S608
                f" (SELECT {key} FROM {table} WHERE project_id = %s LIMIT %s)",
                [project_id, project_id, limit - done],
            )
            done += cursor.rowcount
    return done
