"""Failures of changed traces put into their groups; the groups' figures are counted again from all their traces.

A step above a failed step that only repeats its failure (or says nothing of its own) is not a second failure.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from traces.errors.fingerprint import Failure, fingerprint, pattern_of
from traces.models import ErrorTrace
from traces.search.reading import FailedStep, News

# As traces.activity.counting: a group in more traces than this is counted once a minute at most.
BIG = 20_000
BIG_EVERY = dt.timedelta(seconds=60)

_GROUPS = (
    "INSERT INTO traces_errorgroup (project_id, fingerprint, error_type, message, pattern, place, kind, provider,"
    " spans, traces, users, first_at, last_at, last_release, status, resolved_release, computed_at, is_stale)"
    " SELECT %s, v.fingerprint, v.error_type, v.message, v.pattern, v.place, v.kind, v.provider, 0, 0, 0, v.at, v.at,"
    " v.release, 'open', '', 'epoch', true"
    " FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
    " %s::timestamptz[], %s::text[])"
    " AS v(fingerprint, error_type, message, pattern, place, kind, provider, at, release)"
    " ON CONFLICT (project_id, fingerprint) DO UPDATE SET message = excluded.message,"
    " last_release = excluded.last_release, provider = excluded.provider"
    " WHERE traces_errorgroup.last_at <= excluded.last_at"
)
_COUNTED = (
    "UPDATE traces_errorgroup g SET spans = c.spans, traces = c.traces, users = c.users, first_at = c.first_at,"
    " last_at = c.last_at, computed_at = %s, is_stale = false FROM ("
    " SELECT fingerprint, sum(spans) AS spans, count(*) AS traces,"
    " count(DISTINCT user_id) FILTER (WHERE user_id <> '') AS users, min(first_at) AS first_at, max(last_at) AS last_at"
    " FROM traces_errortrace WHERE project_id = %s AND fingerprint = ANY(%s) GROUP BY fingerprint) c"
    " WHERE g.project_id = %s AND g.fingerprint = c.fingerprint RETURNING g.fingerprint"
)
# Seen again after it was resolved, in another release when it was resolved for the next one.
_REOPENED = (
    "UPDATE traces_errorgroup g SET status = 'open', reopened_at = %s"
    " WHERE g.project_id = %s AND g.fingerprint = ANY(%s) AND g.status = 'resolved' AND EXISTS ("
    " SELECT FROM traces_errortrace e WHERE e.project_id = g.project_id AND e.fingerprint = g.fingerprint"
    " AND e.last_at > g.resolved_at AND (g.resolved_release = '' OR e.release <> g.resolved_release))"
)


@dataclass
class _Seen:
    """One kind of failure in one trace."""

    trace: News
    latest: FailedStep
    first_at: dt.datetime
    last_at: dt.datetime
    spans: int = 0


def own_failures(steps: Sequence[FailedStep]) -> list[FailedStep]:
    """The failed steps that are not the mere echo of a failure below them."""
    below: dict[str, set[str]] = defaultdict(set)
    for step in steps:
        below[step.parent_span_id].add(_said(step.failure))
    return [
        step
        for step in steps
        if step.span_id not in below
        or (_said(step.failure) and _said(step.failure) not in below[step.span_id])
    ]


def _said(failure: Failure) -> str:
    return pattern_of(failure.message).lower() or failure.error_type.lower()


def record_failures(project_id: UUID, news: Sequence[News], *, now: dt.datetime) -> bool:
    """Replace what is known of these traces' failures, and count the groups they are or were in.

    True when a large group was put off. Two statements when there are no failures, about six otherwise.
    """
    seen: dict[tuple[str, str], _Seen] = {}
    for trace in news:
        for step in own_failures(trace.failures):
            key = (fingerprint(step.failure), trace.trace_id)
            one = seen.setdefault(key, _Seen(trace, step, step.started_at, step.started_at))
            one.spans += 1
            one.first_at = min(one.first_at, step.started_at)
            if step.started_at >= one.last_at:
                one.last_at, one.latest = step.started_at, step
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM traces_errortrace WHERE project_id = %s AND trace_id = ANY(%s) RETURNING fingerprint",
            [project_id, sorted(trace.trace_id for trace in news)],
        )
        before = {key for (key,) in cursor.fetchall()}
    if seen:
        _store(project_id, seen)
    return count_groups(project_id, before | {key for key, _ in seen}, now=now)


def _store(project_id: UUID, seen: dict[tuple[str, str], _Seen]) -> None:
    ErrorTrace.objects.bulk_create(
        [
            ErrorTrace(
                project_id=project_id,
                fingerprint=key,
                trace_id=trace_id,
                spans=one.spans,
                first_at=one.first_at,
                last_at=one.last_at,
                user_id=one.trace.user_id,
                environment=one.trace.environment,
                release=one.trace.release,
            )
            for (key, trace_id), one in sorted(seen.items())
        ],
        ignore_conflicts=True,
    )
    latest: dict[str, _Seen] = {}
    for (key, _), one in seen.items():
        if key not in latest or latest[key].last_at <= one.last_at:
            latest[key] = one
    rows = [
        (
            key,
            one.latest.failure.error_type,
            one.latest.failure.message,
            pattern_of(one.latest.failure.message),
            one.latest.failure.place,
            one.latest.failure.kind,
            one.latest.provider,
            one.last_at,
            one.trace.release,
        )
        for key, one in sorted(latest.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [project_id, *map(list, zip(*rows, strict=True))])


def count_groups(project_id: UUID, keys: Collection[str], *, now: dt.datetime) -> bool:
    """Count these groups again; one in no trace any more goes. True when a large one was put off."""
    if not keys:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE traces_errorgroup SET is_stale = true WHERE project_id = %s AND fingerprint = ANY(%s)"
            " AND traces > %s AND computed_at > %s RETURNING fingerprint",
            [project_id, sorted(keys), BIG, now - BIG_EVERY],
        )
        put_off = {key for (key,) in cursor.fetchall()}
        due = sorted(set(keys) - put_off)
        cursor.execute(_COUNTED, [now, project_id, due, project_id])
        gone = sorted(set(due) - {key for (key,) in cursor.fetchall()})
        if gone:
            cursor.execute(
                "DELETE FROM traces_errorgroup WHERE project_id = %s AND fingerprint = ANY(%s)",
                [project_id, gone],
            )
        # Also those put off: that it is back must not wait.
        cursor.execute(_REOPENED, [now, project_id, sorted(keys)])
    return bool(put_off)


def count_stale(project_id: UUID, *, now: dt.datetime) -> bool:
    """Count what was put off and is due; True when some is not due yet. One statement when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT fingerprint FROM traces_errorgroup WHERE project_id = %s AND is_stale LIMIT 100",
            [project_id],
        )
        keys = [key for (key,) in cursor.fetchall()]
    return count_groups(project_id, keys, now=now)
