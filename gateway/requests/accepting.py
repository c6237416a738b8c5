"""The door's part of jobs: a call is kept in PostgreSQL before its 202, then put in line."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
from django.db import DatabaseError, connection
from django.utils import timezone
from redis.exceptions import RedisError

from core import crypto
from core.errors import DomainError
from gateway.door import answers
from gateway.door.answers import Headers, RefusalError
from gateway.door.keys import Opened
from gateway.door.request import Request
from gateway.models import AsyncJob
from gateway.queues import line
from gateway.queues.link import LOST, Link
from gateway.requests import jobs
from gateway.requests.webhooks import wanted
from gateway.structs import Call

logger = logging.getLogger(__name__)
THREADS = 2
MAX_KEY = 255


class Jobs:
    """Belongs to one event loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-jobs")

    async def known(self, request: Request, call: Call, opened: Opened) -> bool:
        """Whether the request was made before under its idempotency key, and is answered by its job. Raises
        RefusalError."""
        key = _key_of(request)
        if call.is_stream:
            text = "A request that is answered later cannot stream: leave out stream."
            raise RefusalError(400, "invalid_request", text, param="stream")
        job = None
        if key:
            mark = request.fingerprint = fingerprint_of(call)
            job = await self._ask(partial(jobs.known_job, opened.auth.project_id, key, mark))
        if job is not None:
            await _accepted(request, call, job, [])
            return True
        asked = request.said.values.get("webhook", "")
        request.webhook = await self._ask(partial(wanted, opened.auth.project_id, asked))
        return False

    async def accept(self, request: Request, call: Call, opened: Opened, extra: Headers) -> bool:
        """Keep the call and answer 202. False: the job of another request with its key answered. Raises
        RefusalError."""
        call.is_job, call.reply_to = True, ""
        job = await self._ask(
            partial(
                jobs.store_job,
                call=call,
                cipher=crypto.data_cipher(opened.auth.data_key),
                idempotency_key=_key_of(request),
                fingerprint=request.fingerprint,
                rules=opened.snapshot.rules,
                now=timezone.now(),
                webhook=request.webhook,
            )
        )
        is_new: bool = job.id.hex == call.id
        if is_new:
            await self._push(call, opened.snapshot.rules.queue_limit)
        await _accepted(request, call, job, extra)
        return is_new

    async def _push(self, call: Call, limit: int) -> None:
        """What has no room now, or finds no queue, is put in line by the sweeper."""
        try:
            await line.push(self._link, call, limit=limit, now=call.accepted_at)
        except (*LOST, RedisError):
            logger.warning("gateway.jobs.not_pushed")

    async def _ask(self, work: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _closing, work)
        except DomainError as error:
            again = 30 if error.status == 429 else 0
            param = error.fields[0] if error.fields else ""
            raise RefusalError(
                error.status, error.code, error.detail, param=param, retry_after_s=again
            ) from None
        except DatabaseError:
            text = "The database does not answer, so the request cannot be kept. Send it again in a moment."
            raise RefusalError(503, "storage_unavailable", text, retry_after_s=2) from None


def _closing(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connection.close()


def _key_of(request: Request) -> str:
    key = request.said.values.get("idempotency", "")
    if len(key) > MAX_KEY or "\x00" in key:
        text = f"It has at most {MAX_KEY} characters."
        raise RefusalError(400, "invalid_header", text, param="idempotency-key")
    return key


def fingerprint_of(call: Call) -> str:
    """Of what the client sent: take it before guards change the body."""
    return hashlib.sha256(call.dialect.value.encode() + b"\n" + call.body).hexdigest()


async def _accepted(request: Request, call: Call, job: AsyncJob, extra: Headers) -> None:
    body = msgspec.json.encode(jobs.json_of(job))
    headers = [
        answers.JSON,
        (b"location", jobs.url_of(job).encode()),
        (b"preference-applied", b"respond-async"),
        *answers.call_headers(call, {}),
        *extra,
    ]
    await request.answer(202, headers, body)
