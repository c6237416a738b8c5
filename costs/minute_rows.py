"""The statements of sums per minute: whole minutes of each kind of row, written anew from the records."""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from costs.histogram import BUCKETS, EDGES
from costs.models import MinuteDimension

_COLUMNS = """project_id, dimension, minute, value, provider, model, environment, agent, calls, errors, unpriced_calls,
  input_tokens, output_tokens, cost_usd, latency_counts, lag_seconds"""
# The bucket of costs.histogram.bucket_of.
_EDGES = f"ARRAY[{', '.join(map(repr, EDGES))}]::float8[]"
_BUCKET = f"""CASE WHEN c.latency_ms > 0 THEN width_bucket(c.latency_ms, {_EDGES})
  WHEN c.latency_ms IS NOT NULL THEN 0 END"""
_INSERT = f"""
INSERT INTO costs_minutesum ({_COLUMNS})
SELECT %s, '{{dimension}}', minute, value, provider, model, environment, agent, sum(calls), sum(errors), sum(unpriced),
  sum(input_tokens), sum(output_tokens), coalesce(sum(cost_usd), 0),
  ('{{{{' || string_agg((bucket + 1) || ':' || calls, ',') FILTER (WHERE bucket IS NOT NULL)
    || '}}}}/{BUCKETS}')::sparsevec({BUCKETS})::vector({BUCKETS}),
  coalesce(sum(lag), 0)
FROM (
  SELECT date_trunc('minute', c.{{moment}}, 'UTC') AS minute, {{value}} AS value, c.provider, c.model, c.environment,
    c.agent, {{bucket}} AS bucket, count(*) AS calls, count(*) FILTER (WHERE c.is_error) AS errors,
    count(*) - count(c.cost_usd) AS unpriced, coalesce(sum(c.input_tokens), 0) AS input_tokens,
    coalesce(sum(c.output_tokens), 0) AS output_tokens, sum(c.cost_usd) AS cost_usd, {{lag}} AS lag
  FROM costs_costrecord c{{join}}
  WHERE c.project_id = %s AND c.occurred_at >= %s AND c.occurred_at < %s{{where}}
  GROUP BY 1, 2, 3, 4, 5, 6, 7
) one GROUP BY minute, value, provider, model, environment, agent
"""  # noqa: S608
_PLAIN = {"moment": "occurred_at", "lag": "NULL::float8", "join": "", "where": ""}
_INSERT_ALL = _INSERT.format(**_PLAIN, dimension="all", value="''", bucket=_BUCKET)
_NAMED: dict[str, Any] = {**_PLAIN, "bucket": "NULL::int"}
_INSERT_USERS = _INSERT.format(
    **{**_NAMED, "dimension": "user", "value": "c.user_id", "where": " AND c.user_id = ANY(%s)"}
)
_INSERT_TAGS = _INSERT.format(
    **{
        **_NAMED,
        "dimension": "tag",
        "value": "t.tag",
        "join": " CROSS JOIN LATERAL (SELECT DISTINCT tag FROM unnest(c.tags) AS tag) t",
        "where": " AND t.tag = ANY(%s)",
    }
)
_INSERT_ARRIVED = _INSERT.format(
    **{
        **_NAMED,
        "dimension": "arrived",
        "value": "''",
        "moment": "recorded_at",
        # A clock that runs ahead is no call from the future.
        "lag": "sum(greatest(extract(epoch FROM c.recorded_at - c.occurred_at), 0))::float8",
        "where": " AND c.recorded_at >= %s AND c.recorded_at < %s",
    }
)
_DELETE = """
DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s AND minute >= %s AND minute < %s
  AND (%s OR value = ANY(%s))
"""


def replace(
    cursor: Any,
    project_id: UUID,
    start: dt.datetime,
    end: dt.datetime,
    *,
    everything: bool,
    users: Iterable[str],
    tags: Iterable[str],
) -> None:
    """Write the minutes of [start, end) anew from the records: two statements per kind of row."""
    span = [start, end]
    if everything:
        cursor.execute(_DELETE, [project_id, MinuteDimension.ALL, *span, True, []])
        cursor.execute(_INSERT_ALL, [project_id, project_id, *span])
    for dimension, insert, given in (
        (MinuteDimension.USER, _INSERT_USERS, users),
        (MinuteDimension.TAG, _INSERT_TAGS, tags),
    ):
        if values := sorted(given):
            cursor.execute(_DELETE, [project_id, dimension, *span, False, values])
            cursor.execute(insert, [project_id, project_id, *span, values])


def delete_values(cursor: Any, project_id: UUID, keys: Iterable[tuple[str, str]]) -> None:
    """Take users and tags, as (dimension, value), out of the minutes."""
    for dimension, value in sorted(keys):
        cursor.execute(
            "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s AND value = %s",
            [project_id, dimension, value],
        )


def delete_dimension(cursor: Any, project_id: UUID, dimension: str) -> None:
    """Take one kind of row out of the minutes."""
    cursor.execute(
        "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = %s",
        [project_id, dimension],
    )


def delete_old(cursor: Any, project_id: UUID, before: dt.datetime) -> None:
    """Take minutes before an instant away."""
    # By the dimensions' names: the key leads with them.
    cursor.execute(
        "DELETE FROM costs_minutesum WHERE project_id = %s AND dimension = ANY(%s) AND minute < %s",
        [project_id, list(MinuteDimension.values), before],
    )


def replace_arrived(
    cursor: Any,
    project_id: UUID,
    start: dt.datetime,
    end: dt.datetime,
    *,
    happened: tuple[dt.datetime, dt.datetime],
) -> None:
    """Write anew how late came what was stored in [start, end) and happened in that other range. Two statements."""
    cursor.execute(_DELETE, [project_id, MinuteDimension.ARRIVED, start, end, True, []])
    cursor.execute(_INSERT_ARRIVED, [project_id, project_id, *happened, start, end])
