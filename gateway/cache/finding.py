"""What a worker does before it asks a provider: look for a kept answer by meaning; a share of the hits is checked."""

import asyncio
import base64
import logging
import random
import time
from collections.abc import Callable
from uuid import UUID

from kombu.exceptions import OperationalError

from core import crypto
from gateway.cache.semantic import Found, SemanticCache
from gateway.snapshot import Snapshot
from gateway.structs import Call, pack

logger = logging.getLogger(__name__)
CHECK_TASK = "gateway.tasks.check_hit"
# A check nobody came to within this time is not worth its money.
CHECK_EXPIRES_S = 1800


class Finder:
    """One per engine."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._cache = SemanticCache()
        self._checks: set[asyncio.Future[None]] = set()

    async def find(self, call: Call, snapshot: Snapshot) -> Found | None:
        """The kept answer of a question that means the same."""
        found = await self._cache.lookup(call, snapshot, now=time.time())
        if found is None or call.cache is None:
            return None
        if self._draw() < call.cache.rule.shadow_share:
            loop = asyncio.get_running_loop()
            check = loop.run_in_executor(None, ring, call, found, snapshot)
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)
        return found

    async def close(self) -> None:
        """Let the threads go."""
        if self._checks:
            await asyncio.gather(*self._checks, return_exceptions=True)
        await self._cache.close()


def context(project_id: UUID) -> bytes:
    """The associated data of a call that waits to be checked."""
    return b"gateway.shadow:" + project_id.bytes


def ring(call: Call, found: Found, snapshot: Snapshot) -> None:
    """Ask a worker to ask again for real (gateway.cache.shadow). The call travels sealed; a lost bell is no check."""
    from celery import current_app  # the broker's client only when there is work

    project_id = UUID(hex=snapshot.project_id)
    sealed = crypto.seal(crypto.data_cipher(snapshot.data_key), pack(call), context(project_id))
    try:
        current_app.send_task(
            CHECK_TASK,
            queue="llm.low",
            kwargs={
                "project_id": str(project_id),
                "call": base64.b64encode(sealed).decode(),
                "cached_id": found.hit.id,
                "similarity": found.hit.similarity or 1.0,
                "threshold": found.threshold,
            },
            retry=False,
            ignore_result=True,
            expires=CHECK_EXPIRES_S,
        )
    except OperationalError as error:
        logger.warning("gateway.cache.check_lost: %s", type(error).__name__)
