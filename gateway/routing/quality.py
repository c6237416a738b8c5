"""How well models do by the scores people and evaluators gave: for routes that take the best first."""

import datetime as dt
from uuid import UUID

from django.db import connection

DAYS = 30
# Newest scores that are looked at; beyond it older ones say nothing new.
SCORES = 5_000
# Fewer scores of a model than this are luck.
LEAST = 3

# Scales differ from score to score: what is not between 0 and 1 already is put there by its own smallest and largest.
_MEANS = f"""
WITH scores AS (
    SELECT trace_id, span_id, name, value FROM traces_score
    WHERE project_id = %(project)s AND scored_at > %(since)s AND value IS NOT NULL AND trace_id <> ''
    ORDER BY scored_at DESC LIMIT {SCORES}
), scales AS (
    SELECT name, min(value) AS least, max(value) AS most FROM scores GROUP BY name
), judged AS (
    SELECT s.trace_id, s.span_id,
        CASE WHEN c.least >= 0 AND c.most <= 1 THEN s.value ELSE (s.value - c.least) / (c.most - c.least) END AS value
    FROM scores s JOIN scales c ON c.name = s.name
    WHERE c.most > c.least OR (c.least >= 0 AND c.most <= 1)
)
SELECT p.request_model, avg(j.value) FROM judged j
JOIN traces_span p ON p.project_id = %(project)s AND p.trace_id = j.trace_id
    AND (j.span_id = '' OR p.span_id = j.span_id) AND p.started_at > %(since)s AND p.kind = 'llm'
WHERE p.request_model <> ''
GROUP BY p.request_model HAVING count(*) >= {LEAST}
"""  # noqa: S608 - constants


def scores_by_model(project_id: UUID, *, now: dt.datetime) -> dict[str, float]:
    """Mean score, from 0 to 1, of each model that was scored often enough in the last 30 days. One query.

    A score of a whole trace counts for every model that worked on it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MEANS, {"project": project_id, "since": now - dt.timedelta(days=DAYS)})
        return {model: float(mean) for model, mean in cursor.fetchall()}
