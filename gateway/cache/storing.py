"""Answers of ended calls are kept, and hits counted, a batch of calls in two statements.

Runs inside the recorder's transaction (gateway.recording) or one of its own. Only whole answers to calls that went well
are kept: no errors, no refusals, nothing cut off; answers that call tools only for the very same request.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from core import crypto
from core.ids import uuid7
from gateway.cache.kept import Contents, seal_contents
from gateway.cache.meaning import Vectors, anchors_of
from gateway.models import RequestState
from gateway.structs import CachePlan, Dialect, Finished
from projects.models import ContentCapture, Project
from traces.search.embedding import vector_text

MAX_ANSWER = 1024 * 1024
_WHOLE = frozenset({"stop", "end_turn", "stop_sequence", "completed"})
_TOOLS = frozenset({"tool_calls", "tool_use", "function_call"})
# The caller wants no content kept; the answer was not as it should be.
_NOT_KEPT = frozenset({"omit_input", "omit_output", "broken_events", "broken_answer"})
_REFUSED = (b'"refusal":"', b'"refusal": "', b'"type":"refusal"', b'"type": "refusal"')
_CALLS = (b'"type":"function_call"', b'"type": "function_call"', b'_call","id"', b'"tool_calls":[{')

_STORE = """
INSERT INTO gateway_cachedresponse (project_id, id, key, scope, namespace, route, dialect, model, prompt_version,
 sealed, facts, cost_usd, embedded_with, vector, anchors, hits, saved_usd, created_at, expires_at)
SELECT v.project_id, v.id, v.key, v.scope, v.namespace, v.route, v.dialect, v.model, v.prompt_version, v.sealed,
 v.facts::jsonb, v.cost, v.embedded_with, nullif(v.vector, '')::halfvec, v.anchors, 0, 0, v.created_at, v.expires_at
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
 %s::bytea[], %s::text[], %s::numeric[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
 AS v(project_id, id, key, scope, namespace, route, dialect, model, prompt_version, sealed, facts, cost, embedded_with,
 vector, anchors, created_at, expires_at)
ON CONFLICT (project_id, key) DO UPDATE SET scope = excluded.scope, namespace = excluded.namespace,
 route = excluded.route, model = excluded.model, prompt_version = excluded.prompt_version, sealed = excluded.sealed,
 facts = excluded.facts, cost_usd = excluded.cost_usd, embedded_with = excluded.embedded_with, vector = excluded.vector,
 anchors = excluded.anchors, created_at = excluded.created_at, expires_at = excluded.expires_at
 WHERE gateway_cachedresponse.created_at <= excluded.created_at
"""
_COUNT = """
UPDATE gateway_cachedresponse c SET hits = c.hits + v.hits, saved_usd = c.saved_usd + v.saved,
 last_hit_at = greatest(c.last_hit_at, v.at)
FROM (SELECT * FROM gateway_cachedresponse f WHERE (f.project_id, f.id) IN
 (SELECT * FROM unnest(%s::uuid[], %s::uuid[])) ORDER BY f.project_id, f.id FOR UPDATE) locked,
 unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::numeric[], %s::timestamptz[]) AS v(project_id, id, hits, saved, at)
WHERE c.project_id = locked.project_id AND c.id = locked.id AND v.project_id = locked.project_id AND v.id = locked.id
"""


def store(
    finished: Sequence[Finished], *, costs: Mapping[str, Decimal | None], vectors: Vectors | None
) -> int:
    """Keep what is to be kept of these calls and count the hits among them; how many answers were kept.

    `costs`: what each call cost, by its id. A call must be given once: hits are added up. Up to four queries.
    """
    worth = [one for one in finished if is_worth_keeping(one)]
    with transaction.atomic():
        rows = _rows(worth, costs, vectors) if worth else []
        if rows:
            with connection.cursor() as cursor:
                cursor.execute(_STORE, [list(column) for column in zip(*rows, strict=True)])
        count_hits(finished)
    return len(rows)


def is_worth_keeping(one: Finished) -> bool:
    """Whether the answer may be given to somebody who asks the same."""
    plan = one.call.cache
    if plan is None or not plan.writes or one.cache in ("exact", "semantic"):
        return False
    if one.state != RequestState.DONE or one.status != 200 or one.error or one.client_left_at:
        return False
    if not one.answer or len(one.answer) > MAX_ANSWER or _NOT_KEPT & {*one.flags, *one.call.flags}:
        return False
    if one.call.dialect is Dialect.EMBEDDINGS:
        return plan.rule.exact
    if any(mark in one.answer for mark in _REFUSED) or _is_wrong(one.answer):
        return False
    if one.finish_reason in _TOOLS or any(mark in one.answer for mark in _CALLS):
        return plan.rule.exact
    return one.finish_reason in _WHOLE


class _Head(msgspec.Struct):
    """Of an answer only whether it is an error after all, or one of its choices ended early."""

    error: Any = None
    choices: list["_Choice"] = []


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode


def _is_wrong(answer: bytes) -> bool:
    try:
        head = _read_head(answer)
    except msgspec.MsgspecError:
        return True
    whole = _WHOLE | _TOOLS
    return bool(head.error) or any(one.finish_reason not in whole for one in head.choices)


def _has_tools(one: Finished) -> bool:
    return one.finish_reason in _TOOLS or any(mark in one.answer for mark in _CALLS)


def _rows(
    worth: list[Finished], costs: Mapping[str, Decimal | None], vectors: Vectors | None
) -> list[tuple[Any, ...]]:
    # Of the same question answered twice the last; sorted, so that two writers do not wait for each other.
    last = {(one.call.caller.project_id, _plan(one).key): one for one in worth}
    projects = Project.objects.filter(pk__in=[UUID(hex=project) for project, _ in last])
    known = {
        pk.hex: (crypto.data_cipher(data_key), capture)
        for pk, data_key, capture in projects.values_list(
            "pk", "organization__data_key", "content_capture"
        )
    }
    return [
        _row(one, *known[project], costs.get(one.call.id), vectors)
        for (project, _), one in sorted(last.items())
        if project in known  # deleted meanwhile
    ]


def _plan(one: Finished) -> CachePlan:
    if one.call.cache is None:
        raise ValueError("A call without a plan keeps nothing.")
    return one.call.cache


def _row(
    one: Finished,
    cipher: crypto.Cipher,
    capture: str,
    cost: Decimal | None,
    vectors: Vectors | None,
) -> tuple[Any, ...]:
    plan, project_id = _plan(one), UUID(hex=one.call.caller.project_id)
    # A project that keeps no contents keeps no question and no vector of one: only the very same request finds it.
    question = "" if capture == ContentCapture.OFF or _has_tools(one) else plan.question
    vector = vectors.of(plan) if vectors is not None and question else None
    at = dt.datetime.fromtimestamp(one.ended_at, dt.UTC)
    contents = Contents(one.answer, question if vector else "")
    return (
        project_id,
        uuid7(),
        plan.key,
        plan.scope if vector else "",
        plan.rule.namespace,
        one.call.decision.route,
        one.call.dialect.value,
        one.call.model,
        one.call.caller.prompt_version,
        seal_contents(cipher, project_id, plan.key, contents),
        msgspec.json.encode(_facts(one)).decode(),
        cost,
        vector.model if vector else "",
        vector_text(vector.values) if vector else "",
        anchors_of(question) if vector else "",
        at,
        at + dt.timedelta(seconds=plan.rule.ttl_s),
    )


def _facts(one: Finished) -> dict[str, Any]:
    target = one.attempts[-1].target if one.attempts else None
    usage = one.usage
    return {
        "provider": target.provider if target else "",
        "model": one.response_model or (target.model if target else ""),
        "finish_reason": one.finish_reason,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "is_estimated": usage.is_estimated if usage else None,
        "response_id": one.response_id[:200],
        "answer_bytes": len(one.answer),
    }


def count_hits(finished: Sequence[Finished]) -> None:
    """Add the hits among these calls to their answers. One query, or none."""
    sums: dict[tuple[UUID, UUID], tuple[int, Decimal, float]] = {}
    for one in finished:
        if one.cached_id and one.cache in ("exact", "semantic"):
            place = (UUID(hex=one.call.caller.project_id), UUID(hex=one.cached_id))
            hits, saved, at = sums.get(place, (0, Decimal(0), 0.0))
            sums[place] = (hits + 1, saved + (one.saved_usd or 0), max(at, one.ended_at))
    if not sums:
        return
    places = sorted(sums)
    projects, ids = [place[0] for place in places], [place[1] for place in places]
    hits_, saved_, at_ = [list(column) for column in zip(*(sums[p] for p in places), strict=True)]
    times = [dt.datetime.fromtimestamp(one, dt.UTC) for one in at_]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [projects, ids, projects, ids, hits_, saved_, times])
