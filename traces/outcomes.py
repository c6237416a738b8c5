"""Which traces a project's scores call solved, for the cost of a solved task (costs.explorer.outcomes).

A project says so by the name of its score: `solved`, `resolved`, `success` or `task_success`, in any case. Yes is
solved; a number is from the middle of its definition's bounds up (without bounds: above 0); a category is when it says
so itself. Scores of steps and of whole traces count; one that says solved is enough.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection

from costs.explorer import outcomes
from costs.explorer.outcomes import Judged

NAMES = ("solved", "resolved", "success", "task_success")
WORDS = (*NAMES, "yes", "pass", "passed", "true", "succeeded")
# A score stands at its call or later; a client's clock may be behind.
EARLIER = dt.timedelta(days=1)
_JUDGED = f"""
SELECT s.project_id, {outcomes.HASH_SQL.format(column="s.trace_id")}, bool_or(CASE s.data_type
    WHEN 'categorical' THEN lower(s.text) = ANY(%s)
    WHEN 'boolean' THEN s.value > 0
    ELSE CASE WHEN d.min_value IS NULL OR d.max_value IS NULL THEN s.value > 0
      ELSE s.value >= (d.min_value + d.max_value) / 2 END END)
FROM traces_score s
LEFT JOIN traces_scoredefinition d ON d.project_id = s.project_id AND d.name = s.name
WHERE s.project_id = ANY(%s) AND lower(s.name) = ANY(%s) AND s.scored_at >= %s AND s.trace_id <> ''
GROUP BY 1, 2
"""  # noqa: S608


def judged_traces(
    project_ids: Sequence[UUID], start: dt.datetime, end: dt.datetime
) -> Mapping[UUID, Sequence[Judged]]:
    """The judged traces of each project, by scores from the start of the range on. One query."""
    found: dict[UUID, list[Judged]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, [list(WORDS), list(project_ids), list(NAMES), start - EARLIER])
        for project, trace, is_solved in cursor.fetchall():
            found.setdefault(project, []).append(Judged(trace, bool(is_solved)))
    return found


def register() -> None:
    """Tell the explorer where verdicts come from."""
    outcomes.register(judged_traces)
