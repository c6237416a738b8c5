"""Which traces a project's scores call solved, for the cost of a solved task (costs.explorer.outcomes).

A project chooses which of its score definitions say so, and from which value or by which words. Without a choice the
name of a score does: `solved`, `resolved`, `success` or `task_success`, in any case; a number is then solved from the
middle of its definition's bounds up (without bounds: above 0), a category when it says so itself. Yes always is. Scores
of steps and of whole traces count; one that says solved is enough.
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
    WHEN 'categorical' THEN CASE WHEN d.says_solved THEN s.text = ANY(d.solved_words) ELSE lower(s.text) = ANY(%s) END
    WHEN 'boolean' THEN s.value > 0
    ELSE CASE WHEN d.says_solved THEN s.value >= d.solved_from
      WHEN d.min_value IS NULL OR d.max_value IS NULL THEN s.value > 0
      ELSE s.value >= (d.min_value + d.max_value) / 2 END END)
FROM traces_score s
LEFT JOIN traces_scoredefinition d ON d.project_id = s.project_id AND d.name = s.name
WHERE s.project_id = ANY(%s) AND s.scored_at >= %s AND s.trace_id <> '' AND (d.says_solved
  OR lower(s.name) = ANY(%s) AND NOT EXISTS (SELECT FROM traces_scoredefinition o
    WHERE o.project_id = s.project_id AND o.says_solved))
GROUP BY 1, 2
"""  # noqa: S608


def judged_traces(
    project_ids: Sequence[UUID], start: dt.datetime, end: dt.datetime
) -> Mapping[UUID, Sequence[Judged]]:
    """The judged traces of each project, by scores from the start of the range on. One query."""
    found: dict[UUID, list[Judged]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, [list(WORDS), list(project_ids), start - EARLIER, list(NAMES)])
        for project, trace, is_solved in cursor.fetchall():
            found.setdefault(project, []).append(Judged(trace, bool(is_solved)))
    return found


def register() -> None:
    """Tell the explorer where verdicts come from."""
    outcomes.register(judged_traces)
