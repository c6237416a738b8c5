"""Does the database say the same everywhere? Raw records against both sums, traces and spans, to the last digit."""

from collections.abc import Iterable
from typing import Any

import psycopg

_RAW = """
SELECT count(*), count(*) FILTER (WHERE is_error), count(*) FILTER (WHERE cost_usd IS NULL),
  coalesce(sum(cost_usd), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
  coalesce(sum(cache_read_input_tokens), 0), coalesce(sum(reasoning_output_tokens), 0)
FROM costs_costrecord WHERE project_id = %s
"""
_SUMS = """
SELECT coalesce(sum(calls), 0), coalesce(sum(errors), 0), coalesce(sum(unpriced_calls), 0),
  coalesce(sum(cost_usd), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
  coalesce(sum(cache_read_input_tokens), 0), coalesce(sum(reasoning_output_tokens), 0)
FROM costs_costaggregate WHERE project_id = %s AND dimension = 'all'
"""
_WITH_TRACE = """
SELECT count(*), count(*) FILTER (WHERE cost_usd IS NULL), coalesce(sum(cost_usd), 0),
  coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
FROM costs_costrecord WHERE project_id = %s
  AND coalesce(record_id, trace_id || '/' || span_id) = trace_id || '/' || span_id
"""
_TRACES = """
SELECT coalesce(sum(call_count), 0), coalesce(sum(unpriced_calls), 0), coalesce(sum(cost_usd), 0),
  coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
FROM traces_trace WHERE project_id = %s
"""
_BY_HOUR = """
WITH raw AS (
  SELECT date_trunc('hour', occurred_at AT TIME ZONE 'UTC') AS hour, provider, model, environment, agent,
    count(*) AS calls, coalesce(sum(cost_usd), 0) AS cost
  FROM costs_costrecord WHERE project_id = %(project)s GROUP BY 1, 2, 3, 4, 5
), sums AS (
  SELECT hour AT TIME ZONE 'UTC' AS hour, provider, model, environment, agent, calls, cost_usd AS cost
  FROM costs_costaggregate WHERE project_id = %(project)s AND dimension = 'all' AND calls <> 0
)
SELECT count(*) FROM raw FULL JOIN sums USING (hour, provider, model, environment, agent)
WHERE raw.calls IS DISTINCT FROM sums.calls OR raw.cost IS DISTINCT FROM sums.cost
"""
_BY_USER = """
WITH raw AS (
  SELECT user_id, count(*) AS calls, coalesce(sum(cost_usd), 0) AS cost
  FROM costs_costrecord WHERE project_id = %(project)s AND user_id <> '' GROUP BY 1
), sums AS (
  SELECT value AS user_id, sum(calls) AS calls, sum(cost_usd) AS cost
  FROM costs_costaggregate WHERE project_id = %(project)s AND dimension = 'user' GROUP BY 1 HAVING sum(calls) <> 0
)
SELECT count(*) FROM raw FULL JOIN sums USING (user_id)
WHERE raw.calls IS DISTINCT FROM sums.calls OR raw.cost IS DISTINCT FROM sums.cost
"""
_BY_DAY = """
WITH raw AS (
  SELECT date_trunc('day', occurred_at AT TIME ZONE 'UTC') AS day, provider, model, environment, agent,
    count(*) AS calls, coalesce(sum(cost_usd), 0) AS cost
  FROM costs_costrecord WHERE project_id = %(project)s GROUP BY 1, 2, 3, 4, 5
), sums AS (
  SELECT hour AT TIME ZONE 'UTC' AS day, provider, model, environment, agent, calls, cost_usd AS cost
  FROM costs_costdailyaggregate WHERE project_id = %(project)s AND dimension = 'all' AND calls <> 0
)
SELECT count(*) FROM raw FULL JOIN sums USING (day, provider, model, environment, agent)
WHERE raw.calls IS DISTINCT FROM sums.calls OR raw.cost IS DISTINCT FROM sums.cost
"""
_BY_USER_AND_DAY = """
WITH raw AS (
  SELECT date_trunc('day', occurred_at AT TIME ZONE 'UTC') AS day, user_id, count(*) AS calls,
    coalesce(sum(cost_usd), 0) AS cost
  FROM costs_costrecord WHERE project_id = %(project)s AND user_id <> '' GROUP BY 1, 2
), sums AS (
  SELECT hour AT TIME ZONE 'UTC' AS day, value AS user_id, calls, cost_usd AS cost
  FROM costs_costdailyaggregate WHERE project_id = %(project)s AND dimension = 'user' AND calls <> 0
)
SELECT count(*) FROM raw FULL JOIN sums USING (day, user_id)
WHERE raw.calls IS DISTINCT FROM sums.calls OR raw.cost IS DISTINCT FROM sums.cost
"""
_TRACE_COUNTS = """
SELECT count(*) FROM traces_trace t LEFT JOIN (
  SELECT trace_id, count(*) AS spans, count(*) FILTER (WHERE status = 'running') AS running,
    count(*) FILTER (WHERE status = 'error') AS errors
  FROM traces_span WHERE project_id = %(project)s GROUP BY 1
) s USING (trace_id)
WHERE t.project_id = %(project)s AND (t.span_count, t.running_count, t.error_count)
  IS DISTINCT FROM (coalesce(s.spans, 0), coalesce(s.running, 0), coalesce(s.errors, 0))
"""
_TWICE = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM traces_span WHERE project_id = %(project)s
          GROUP BY trace_id, span_id HAVING count(*) > 1) a),
       (SELECT count(*) FROM (SELECT 1 FROM costs_costrecord WHERE project_id = %(project)s
          GROUP BY coalesce(record_id, trace_id || '/' || span_id) HAVING count(*) > 1) b),
       (SELECT count(*) FROM (SELECT 1 FROM traces_spanpayload WHERE project_id = %(project)s
          GROUP BY trace_id, span_id HAVING count(*) > 1) c)
"""
_SPAN_COSTS = """
SELECT count(*), coalesce(sum(cost_usd), 0) FROM traces_span WHERE project_id = %s AND has_cost_record
"""


def discrepancies(database: "psycopg.Connection[Any]", project_id: str) -> list[str]:
    """What does not agree; an empty list when everything is exact and nothing is counted twice."""
    found = []
    project = {"project": project_id}

    def one(query: str, parameters: Any) -> tuple[Any, ...]:
        row = database.execute(query, parameters).fetchone()
        assert row is not None
        return tuple(row)

    raw, sums = one(_RAW, [project_id]), one(_SUMS, [project_id])
    if raw != sums:
        found.append(f"records {raw} but hourly sums {sums}")
    with_trace, traces = one(_WITH_TRACE, [project_id]), one(_TRACES, [project_id])
    if with_trace != traces:
        found.append(f"records of steps {with_trace} but traces {traces}")
    spans = one(_SPAN_COSTS, [project_id])
    if spans != (with_trace[0], with_trace[2]):
        found.append(f"records of steps {with_trace[0]}, {with_trace[2]} but spans {spans}")
    for name, query in (
        ("hour, provider, model, environment, agent", _BY_HOUR),
        ("user", _BY_USER),
        ("day, provider, model, environment, agent", _BY_DAY),
        ("day, user", _BY_USER_AND_DAY),
        ("trace span counts", _TRACE_COUNTS),
    ):
        (wrong,) = one(query, project)
        if wrong:
            found.append(f"{wrong} rows differ by {name}")
    twice = one(_TWICE, project)
    if any(twice):
        spans_twice, records_twice, payloads_twice = twice
        found.append(
            f"stored twice: {spans_twice} spans, {records_twice} cost records, {payloads_twice} payloads"
        )
    return found


def missing(
    database: "psycopg.Connection[Any]", project_id: str, acknowledged: Iterable[tuple[str, str]]
) -> tuple[int, int]:
    """How many acknowledged (trace id, span id) are not in the database, and how many were acknowledged."""
    stored = set(
        database.execute(
            "SELECT trace_id, span_id FROM traces_span WHERE project_id = %s", [project_id]
        ).fetchall()
    )
    wanted = set(acknowledged)
    return len(wanted - stored), len(wanted)
