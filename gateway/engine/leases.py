"""Signs of life for the jobs a worker runs. One that could not give them stops its jobs before others may have them."""

import asyncio
import logging
import time
from collections.abc import Mapping

from django.db import DatabaseError, InterfaceError

from gateway.engine.parts import Parts
from gateway.engine.run import Run
from gateway.requests.jobs import LEASE

logger = logging.getLogger(__name__)
EVERY_S = 30.0
# A minute before others take it: machines' clocks differ.
STOP_S = LEASE.total_seconds() - 60.0


async def keep_for_ever(
    runs: Mapping[str, Run], parts: Parts, *, every_s: float = EVERY_S, stop_s: float = STOP_S
) -> None:
    """Every half minute, one query for all of them. Runs until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        await keep(runs, parts, stop_s=stop_s)


async def keep(runs: Mapping[str, Run], parts: Parts, *, stop_s: float = STOP_S) -> None:
    """Once. By the clock on the wall, which goes on while a machine sleeps; first, so that what woke up late stops."""
    mine = [run for run in runs.values() if run.leased_at]
    _stop_late(mine, stop_s)
    if not mine:
        return
    at = time.time()
    try:
        kept = await parts.keep_jobs([run.call for run in mine])
    except (DatabaseError, InterfaceError):
        logger.warning("gateway.engine.jobs_not_kept", extra={"jobs": len(mine)})
        return
    for run in mine:
        if run.call.id in kept:
            run.leased_at = at
        else:  # ended meanwhile, or taken back: then it must not go on
            run.stop("lost")


def _stop_late(runs: list[Run], stop_s: float) -> None:
    for run in runs:
        if time.time() - run.leased_at > stop_s:
            logger.error("gateway.engine.lease_lapsed", extra={"call_id": run.call.id})
            run.stop("lost")
