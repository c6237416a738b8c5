"""The engine's parts in production."""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from django.db import DatabaseError, connection
from django.utils import timezone

from costs.services.rule_cache import known_rules
from gateway.cache.finding import Finder
from gateway.engine.parts import Parts
from gateway.engine.snapshots import Snapshots
from gateway.queues.link import Link
from gateway.quotas import charging
from gateway.quotas.more import More
from gateway.recording import recorder
from gateway.requests.jobs import claim_job, keep_jobs
from gateway.routing.health import Health
from gateway.structs import Call, Finished

logger = logging.getLogger(__name__)

# What may wait for PostgreSQL when the process ends; the rest is in the journal.
LAST_RECORDS_S = 5.0


def production_parts(url: str) -> Parts:
    """For one engine, made in its loop."""
    snapshots = Snapshots()
    link = Link(url, name="llmlab-health")
    health = Health(link)
    finder = Finder()
    more = More(snapshots.get)

    async def open_journal() -> None:
        # Without a journal no call is made: it would be one that nobody can account for.
        await asyncio.to_thread(recorder.recorder)

    async def close() -> None:
        await health.stop()
        await link.close()
        snapshots.close()
        await finder.close()
        await more.close()
        await asyncio.to_thread(recorder.close, LAST_RECORDS_S)

    return Parts(
        snapshot=snapshots.get,
        begin=recorder.begin,
        claim_job=_claim_job,
        keep_jobs=_keep_jobs,
        drop=recorder.drop,
        finish=recorder.finish,
        kept=finder.find,
        health=lambda: health.view,
        probe=health.claim,
        report=health.report,
        more=more.ask,
        cost=cost_of,
        start=(open_journal, health.start),
        stop=(close,),
    )


async def _claim_job(call: Call) -> bool:
    """Whether the job is this worker's; not when PostgreSQL cannot say so: it is put in line again."""
    try:
        return await asyncio.to_thread(_claim_and_close, call)
    except DatabaseError:
        logger.warning("gateway.engine.job_not_claimed")
        return False


async def _keep_jobs(calls: Sequence[Call]) -> set[str]:
    """Raises DatabaseError."""
    return await asyncio.to_thread(_keep_and_close, calls)


def _keep_and_close(calls: Sequence[Call]) -> set[str]:
    try:
        return keep_jobs(calls, timezone.now())
    finally:
        connection.close()


def _claim_and_close(call: Call) -> bool:
    try:
        return claim_job(call, timezone.now())
    finally:
        connection.close()


def cost_of(finished: Finished) -> str:
    """What the ledger will say, by the price rules this process knows; empty when there is no price."""
    if not finished.attempts:
        return ""
    cost = charging.cost_of(finished, known_rules(UUID(finished.call.caller.project_id)))
    return "" if cost is None else f"{cost.normalize():f}"
