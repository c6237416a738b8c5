"""A share of the hits by meaning is asked again for real, after the client was answered: was the kept answer right?

The call is one like any other: limits and budgets count it, it is recorded with its cost under the feature
`LLMLab shadow check`, and nothing of it is kept as an answer.
"""

import asyncio
import base64
import datetime as dt
import logging
import time
from decimal import Decimal
from uuid import UUID

import msgspec

from core import crypto
from core.errors import DomainError
from core.ids import uuid7
from gateway.cache.agreement import agreement
from gateway.cache.finding import context
from gateway.cache.kept import open_contents
from gateway.cache.tightening import consider
from gateway.connections.clients import close_clients
from gateway.dialects.collect import Collector
from gateway.dialects.facts import RequestFacts, facts_of
from gateway.engine.providers import ProviderError
from gateway.engine.shot import Shot
from gateway.engine.wiring import cost_of
from gateway.models import CachedResponse, RequestState, ShadowCheck
from gateway.quotas.bounds import bounds_of
from gateway.quotas.deciding import Refused
from gateway.quotas.reserving import Quotas
from gateway.recording import writer
from gateway.snapshot import Snapshot, snapshot_of
from gateway.structs import Call, Dialect, Finished, unpack_call
from projects.models import Project

logger = logging.getLogger(__name__)
FEATURE = "LLMLab shadow check"
SECONDS = 120.0


def check(
    *,
    project_id: UUID,
    call: str,
    cached_id: UUID,
    similarity: float,
    threshold: float,
    now: dt.datetime,
) -> ShadowCheck | None:
    """Ask again, compare, remember, and tighten the route's threshold if it must be. None: it could not be asked."""
    project = Project.objects.select_related("organization").filter(pk=project_id).first()
    row = CachedResponse.objects.filter(project=project_id, id=cached_id).first()
    if project is None or row is None:
        return None
    cipher = crypto.data_cipher(project.organization.data_key)
    try:
        sealed = base64.b64decode(call)
        asked = unpack_call(crypto.unseal(cipher, sealed, context(project_id)))
        kept = open_contents(cipher, project_id, row.key, row.sealed)
    except (crypto.DecryptionError, msgspec.MsgspecError):
        logger.warning("gateway.cache.check_unreadable")
        return None
    snapshot = snapshot_of(project.organization_id, project_id, now=time.monotonic())
    finished = asyncio.run(_asked_again(_again(asked, now), snapshot))
    if finished is None:
        return None
    writer.record([finished], now=now)
    if finished.state != RequestState.DONE:
        return None
    is_right, share = agreement(
        text_of(asked.dialect, kept.answer), text_of(asked.dialect, finished.answer)
    )
    cost = cost_of(finished)
    found = ShadowCheck.objects.create(
        project=project,
        id=uuid7(),
        route=asked.decision.route,
        cached_id=cached_id,
        similarity=similarity,
        threshold=threshold,
        is_right=is_right,
        agreement=share,
        cost_usd=Decimal(cost) if cost else None,
        checked_at=now,
    )
    if asked.cache is not None:
        consider(project=project, route=asked.decision.route, rule=asked.cache.rule, now=now)
    return found


def text_of(dialect: Dialect, answer: bytes) -> str:
    """What an answer says."""
    collector = Collector(dialect)
    collector.whole(answer)
    return collector.text


def _again(asked: Call, now: dt.datetime) -> Call:
    """The same request as a call of its own that does not stream."""
    document = msgspec.json.decode(asked.body)
    for field in ("stream", "stream_options"):
        document.pop(field, None)
    at = now.timestamp()
    return msgspec.structs.replace(
        asked,
        id=uuid7().hex,
        body=msgspec.json.encode(document),
        is_stream=False,
        caller=msgspec.structs.replace(
            asked.caller, feature=FEATURE, trace_id="", parent_span_id=""
        ),
        accepted_at=at,
        queued_at=at,
        claimed_at=at,
        deadline_at=at + SECONDS,
        reply_to="",
        cache=None,
        cache_s=0.0,
        has_reservation=False,
    )


async def _asked_again(call: Call, snapshot: Snapshot) -> Finished | None:
    """How it ended; None when a limit or a budget does not allow it, or there is nowhere to ask."""
    if not call.decision.targets:
        return None
    facts = facts_of(call.dialect, call.body)
    at = dt.datetime.fromtimestamp(call.accepted_at, dt.UTC)
    bounds = bounds_of(facts, call.decision, body=call.body, at=at, prices=snapshot.prices)
    quotas = Quotas()
    try:
        answer = await quotas.reserve(call, snapshot, bounds)
        if isinstance(answer, Refused):
            return None
        return await _shot(call, snapshot, facts)
    finally:
        await quotas.close()
        await close_clients()


async def _shot(call: Call, snapshot: Snapshot, facts: RequestFacts) -> Finished:
    shot = Shot(call, call.decision.targets[0])
    finished = Finished(call=call, ended_at=0.0, state=RequestState.FAILED.value, status=502)
    try:
        await shot.open(snapshot, facts.document, refused=())
        if shot.collector is not None:
            _take(finished, shot, facts)
    except (ProviderError, DomainError) as error:
        found = error.failure.code if isinstance(error, ProviderError) else error.code
        finished.error, shot.attempt.error = found, "error"
    finally:
        await shot.close()
    finished.ended_at = shot.attempt.ended_at = time.time()
    finished.attempts = [shot.attempt]
    return finished


def _take(finished: Finished, shot: Shot, facts: RequestFacts) -> None:
    collector = shot.collector
    if collector is None:
        return
    finished.state, finished.status = RequestState.DONE.value, 200
    finished.usage = collector.usage or collector.estimate(facts)
    finished.raw_usage = collector.raw_usage
    finished.response_id, finished.response_model = collector.response_id, collector.model
    finished.finish_reason, finished.service_tier = collector.finish_reason, collector.service_tier
    finished.first_token_at = shot.first_token_at
    finished.answer = shot.translator.answer(collector.answer())
    finished.flags = tuple(collector.flags)
