"""Looking after batches that are not recorded: a worker asks the provider how far each is, and fetches its results once
it ended, whether or not the client ever reads them."""

import asyncio
import datetime as dt
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import IO, Any
from uuid import UUID

import httpx2
import msgspec
from django.db import connection as database
from django.db import transaction
from kombu.exceptions import OperationalError

from core import crypto
from gateway.batches import holding, owned, provider, recording
from gateway.batches.provider import NOT_CALLABLE, UnansweredError, ask, key_of
from gateway.batches.wires import Result, lines_in, progress_of, result_of, root_of
from gateway.connections.checking import view_of
from gateway.connections.clients import Client, Clients
from gateway.models import Batch, BatchState, Connection, Wire
from gateway.quotas import settling
from gateway.recording import replay

logger = logging.getLogger(__name__)

TASK = "gateway.tasks.look_at_batch"
QUEUE = "llm.low"
# So many are looked at in one round, and so long one worker has for each.
ROUND = 50
LEASE = dt.timedelta(minutes=15)
# Recording again what is being recorded changes nothing, but costs; a dead worker's batch waits as long.
RECORDING = dt.timedelta(minutes=2)
LONGEST_PAUSE = dt.timedelta(hours=1)
# A batch ends within a day. Whatever is not known by then will not be.
GIVE_UP = dt.timedelta(days=7)
# And an hour, for clocks that differ.
A_DAY = dt.timedelta(hours=25)
_NEWEST = {"limit": "100"}
# Of servers that make batches and list none.
_NO_LIST = (404, 405, 501)
PIECE = 256 * 1024
_DUE = """
UPDATE gateway_batch b SET poll_at = %s FROM (
  SELECT project_id, id FROM gateway_batch WHERE poll_at <= %s
  ORDER BY poll_at LIMIT %s FOR UPDATE SKIP LOCKED
) d WHERE b.project_id = d.project_id AND b.id = d.id
RETURNING b.project_id::text, b.id::text
"""


def send_due(now: dt.datetime) -> int:
    """Have workers look at every batch that is due; how many. Whoever is told first moves the time on."""
    with database.cursor() as cursor:
        cursor.execute(_DUE, [now + LEASE, now, ROUND])
        found = cursor.fetchall()
    for project_id, batch_id in found:
        ring(UUID(project_id), UUID(batch_id))
    return len(found)


def ring(project_id: UUID, batch_id: UUID) -> bool:
    """Have a worker look at a batch now; if nobody hears, the next round is soon."""
    from celery import (
        current_app,
    )  # the broker client is only needed once there is something to send

    named = {"project_id": str(project_id), "batch_id": str(batch_id)}
    try:
        current_app.send_task(
            TASK, kwargs=named, queue=QUEUE,
            expires=LEASE.total_seconds(), retry=False, ignore_result=True,
        )  # fmt: skip
    except OperationalError:
        logger.warning("gateway.batches.unsent")
        return False
    return True


def look_at(*, project_id: UUID, batch_id: UUID, now: dt.datetime) -> str:
    """Ask how far it is, and record it when it has ended. Its state then; empty: nothing is to do."""
    row = Batch.objects.filter(project=project_id, id=batch_id).first()
    if row is None or row.state in (BatchState.RECORDED, BatchState.LOST):
        return ""
    if not row.provider_id and now - row.created_at < owned.MAKING:
        owned.move(row, poll_at=row.created_at + owned.MAKING)
        return row.state
    connection = (
        Connection.objects.select_related("organization").filter(pk=row.connection_id).first()
    )
    if connection is None:
        return _lose(row, "Its connection was deleted.", now)
    try:
        return _look(row, connection, now) if row.provider_id else _search(row, connection, now)
    except UnansweredError as error:
        words = str(error)
    except NOT_CALLABLE as error:
        words = provider.refused(error).message
    except httpx2.HTTPError as error:
        words = f"The provider's answer broke off ({type(error).__name__})."
    except Exception as error:
        if replay.is_away(error):
            raise
        logger.exception("gateway.batches.failed", extra={"batch_id": str(row.id)})
        words = f"LLMLab failed ({type(error).__name__}); its log says why."
    return _later(row, words, now)


def _look(row: Batch, connection: Connection, now: dt.datetime) -> str:
    root = root_of(connection.kind)
    path = f"{root}/messages/batches" if row.wire == Wire.ANTHROPIC else f"{root}/batches"
    path = f"{path}/{row.provider_id}"
    response = _called(row, connection, now, partial(_ask, row=row, path=path))
    if response.status_code == 404:
        return _lose(row, "Its provider does not know it any more.", now)
    if response.status_code >= 400:
        return _later(row, f"The provider answered {response.status_code}.", now)
    document = _object(response.content)
    if document is None:
        return _later(row, "The provider's answer is no JSON object.", now)
    row = owned.note(row, document, now=now)
    if row.state != BatchState.ENDED:
        return row.state
    return _record(row, connection, path, now)


def _record(row: Batch, connection: Connection, path: str, now: dt.datetime) -> str:
    if not owned.move(row, poll_at=now + RECORDING):
        return ""
    count = 0
    for source in _sources(row, connection, path):
        with tempfile.TemporaryFile() as kept:
            status = _called(row, connection, now, partial(_fetch, path=source, kept=kept))
            if status >= 400:
                return _later(row, f"The provider answered {status} to {source}.", now)
            kept.seek(0)
            count += recording.record_results(
                row,
                _results(row.wire, kept),
                organization_id=connection.organization_id,
                kind=connection.kind,
                now=now,
            )
    recording.settle(row, organization_id=connection.organization_id, kind=connection.kind, now=now)
    logger.info("gateway.batches.recorded", extra={"batch_id": str(row.id), "calls": count})
    return BatchState.RECORDED


def _sources(row: Batch, connection: Connection, path: str) -> list[str]:
    """Where its results are."""
    if row.wire == Wire.ANTHROPIC:
        return [f"{path}/results"] if row.document.get("results_url") else []
    names = (row.document.get("output_file_id"), row.document.get("error_file_id"))
    return [f"{root_of(connection.kind)}/files/{name}/content" for name in names if name]


def _results(wire: str, kept: IO[bytes]) -> Iterator[Result]:
    for line in lines_in(iter(lambda: kept.read(PIECE), b"")):
        found = result_of(wire, line)
        if found is None:
            logger.error("gateway.batches.unreadable_result")
            continue
        yield found


def _called(
    row: Batch, connection: Connection, now: dt.datetime, what: Callable[[Client], Awaitable[Any]]
) -> Any:
    """One control request, without a database connection held meanwhile."""
    view = view_of(connection, now)
    cipher = crypto.data_cipher(connection.organization.data_key)
    key = key_of(view, row.connection_key_id, now)
    if not database.in_atomic_block:
        database.close()

    async def work() -> Any:
        async with Clients() as clients:
            return await what(clients.get(view, key, cipher))

    return asyncio.run(work())


async def _ask(client: Client, *, row: Batch, path: str) -> httpx2.Response:
    """How far it is, after asking to cancel it where a page wished so and the provider has not been told."""
    progress = progress_of(row.wire, row.document)
    wants_end = row.state == BatchState.CANCELLING and not progress.is_cancelling
    if wants_end and not progress.is_over:
        answer = await ask(client, "POST", f"{path}/cancel", content=b"")
        if answer.status_code < 300:
            return answer
    return await ask(client, "GET", path)


async def _fetch(client: Client, *, path: str, kept: IO[bytes]) -> int:
    """A file of results onto our disk; the status."""
    response = await ask(client, "GET", path, is_stream=True, answer_s=provider.SILENCE_S)
    try:
        if response.status_code < 400:
            async for part in response.aiter_raw():
                kept.write(part)
    finally:
        await response.aclose()
    return response.status_code


def _search(row: Batch, connection: Connection, now: dt.datetime) -> str:
    """Its provider did not say whether it took it. Batches of its file are its project's: one that nobody knows is it,
    and without one it was not taken. Anthropic's name nothing of ours, so they could be somebody else's."""
    file_id = row.document.get("input_file_id")
    if not file_id:
        return _unsure(row, now)
    path = f"{root_of(connection.kind)}/batches"
    response = _called(row, connection, now, partial(ask, method="GET", path=path, params=_NEWEST))
    if response.status_code in _NO_LIST:
        return _unsure(row, now)
    document = _object(response.content) if response.status_code < 400 else None
    listed = document.get("data") if document else None
    if document is None or type(listed) is not list:
        return _later(row, f"The provider's list of batches is a {response.status_code}.", now)
    found = [one for one in listed if type(one) is dict and one.get("input_file_id") == file_id]
    fresh = owned.unknown_of(row, [one for one in found if type(one.get("id")) is str])
    if fresh:
        owned.made(row, fresh[-1], has_reservation=row.has_reservation, now=now)
        return row.state
    if document.get("has_more"):
        return _unsure(row, now)  # it may be further back
    return _lose(row, "Its provider did not answer, and has no batch of its file.", now)


def _unsure(row: Batch, now: dt.datetime) -> str:
    """What was set aside stays so while its provider may be at it, for which it has a day."""
    words = "Nobody knows whether the provider has it: it did not answer."
    if owned.move(row, state=BatchState.LOST, poll_at=None, error=words):
        holding.shorten(row.project_id, row.id, row.created_at + A_DAY)
    return row.state


def _later(row: Batch, words: str, now: dt.datetime) -> str:
    if now - row.created_at > GIVE_UP:
        return _lose(row, words, now)
    pause = min(dt.timedelta(minutes=2 ** min(row.polls_failed, 10)), LONGEST_PAUSE)
    owned.move(row, error=words[:2000], polls_failed=row.polls_failed + 1, poll_at=now + pause)
    return row.state


def _lose(row: Batch, words: str, now: dt.datetime) -> str:
    """Nothing more will be known of it; what was set aside is given back."""
    with transaction.atomic():
        is_ours = owned.move(
            row,
            state=BatchState.LOST,
            has_reservation=False,
            poll_at=None,
            ended_at=row.ended_at or now,
            error=words[:2000],
        )
        if not is_ours:
            return ""
        settling.release_held(row.project_id, row.id)
    logger.warning("gateway.batches.lost", extra={"batch_id": str(row.id)})
    return BatchState.LOST


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if type(found) is dict else None
