"""Deleting a project's ledger, batch by batch (registered with projects.purge)."""

from uuid import UUID

from django.db import connection

from costs.models import (
    CostAggregate,
    CostDailyAggregate,
    CostDay,
    CostRecord,
    DayFacts,
    ProjectUsage,
)

_DELETE_RECORDS = """
DELETE FROM costs_costrecord WHERE (project_id, id, occurred_at) IN (
  SELECT project_id, id, occurred_at FROM costs_costrecord WHERE project_id = %s LIMIT %s)
"""
_DELETE_AGGREGATES = """
DELETE FROM costs_costaggregate WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM costs_costaggregate WHERE project_id = %s LIMIT %s))
"""
_DELETE_DAYS = """
DELETE FROM costs_costdailyaggregate WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM costs_costdailyaggregate WHERE project_id = %s LIMIT %s))
"""


def count_rows(project_id: UUID) -> int:
    """Records and sums of the project. Three queries."""
    return sum(
        model.objects.filter(project_id=project_id).count()
        for model in (CostRecord, CostAggregate, CostDailyAggregate)
    )


def delete_batch(project_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows; 0 when none is left."""
    with connection.cursor() as cursor:
        for statement in (_DELETE_RECORDS, _DELETE_AGGREGATES, _DELETE_DAYS):
            cursor.execute(statement, [project_id, limit])
            if cursor.rowcount:
                return int(cursor.rowcount)
    DayFacts.objects.filter(project_id=project_id).delete()
    CostDay.objects.filter(project_id=project_id).delete()
    ProjectUsage.objects.filter(project_id=project_id).delete()
    return 0
