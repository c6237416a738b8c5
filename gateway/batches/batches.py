"""`/v1/batches` and `/v1/messages/batches`: created once it can be paid, and only its project's to see."""

import asyncio
import logging
import time
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from django.utils import timezone

from gateway.batches import holding, owned, provider
from gateway.batches.affording import Purse, call_for
from gateway.batches.owned import WATCHED, Place
from gateway.batches.passing import (
    AT_ONCE,
    Desk,
    caller_for,
    give_answer,
    give_json,
    now_of,
    object_of,
    ours,
    query_of,
    whole_number,
)
from gateway.batches.provider import UnansweredError
from gateway.batches.reading import Content, Reader, mark_of, read_requests, restored
from gateway.batches.wires import ENDPOINTS, anthropic_list, openai_list, root_of
from gateway.connections.providers import price_provider
from gateway.dialects.facts import RequestError
from gateway.door.answers import RefusalError, encoded
from gateway.door.keys import Opened
from gateway.door.request import Request
from gateway.models import Batch, BatchState, ProviderFile, Wire
from gateway.recording import recorder
from gateway.snapshot import ConnectionView, KeyView
from gateway.structs import Call, Finished

logger = logging.getLogger(__name__)
# How often a batch that exists is written down before we give up.
WRITES, WRITE_PAUSE_S = 6, 1.0
_LISTS = {Wire.OPENAI: (20, 100), Wire.ANTHROPIC: (20, 1_000)}


class Batches:
    """One per event loop."""

    def __init__(self, desk: Desk, purse: Purse) -> None:
        self._desk, self._purse = desk, purse

    async def serve(self, request: Request, opened: Opened, wire: str, parts: list[str]) -> None:
        """Answer. Raises RefusalError, RequestError, HeaderError, ClientLeftError."""
        if not parts:
            if request.method == "POST":
                await self._create(request, opened, wire)
            else:
                request.need("GET")
                await self._list(request, opened, wire)
            return
        project_id = opened.auth.project_id
        row = await self._desk.do(lambda: owned.batch_of(project_id, wire, parts[0]))
        if parts[1:] == ["cancel"]:
            request.need("POST")
            await self._one(request, opened, row, "POST", "/cancel")
        elif parts[1:] == ["results"] and wire == Wire.ANTHROPIC:
            request.need("GET")
            await self._results(request, opened, row)
        elif len(parts) == 1 and request.method == "DELETE" and wire == Wire.ANTHROPIC:
            await self._delete(request, opened, row)
        elif len(parts) == 1:
            request.need("GET")
            await self._one(request, opened, row, "GET", "")
        else:
            raise RefusalError(404, "unknown_url", f"The gateway has no {request.path}.")

    # --- creating

    async def _create(self, request: Request, opened: Opened, wire: str) -> None:
        body = await request.body()
        if wire == Wire.ANTHROPIC:
            named = request.said.values.get("connection", "")
            view = provider.chosen(opened.snapshot, wire, named)
            reader = self._reader(request, opened, view)
            content = await self._desk.do(lambda: read_requests(reader, body))
            source = None
        else:
            asked = _asked(body)
            name = asked["input_file_id"]
            project_id = opened.auth.project_id
            source = await self._desk.do(lambda: owned.file_of(project_id, wire, name))
            view = self._desk.view_of(opened.snapshot, source)
            content = await self._content(request, opened, view, source)
            if ENDPOINTS.get(asked["endpoint"]) is not content.dialect:
                known = ", ".join(ENDPOINTS)
                text = f"It is {asked['endpoint'][:80]!r}; it must be one of {known}, and the url in the file."
                raise RequestError("endpoint", text)
        await self._desk.whole(self._make(request, opened, view, source, content, body))

    def _reader(self, request: Request, opened: Opened, view: ConnectionView) -> Reader:
        caller = caller_for(request, opened)
        return Reader(opened.snapshot, view, caller, now_of(request))

    async def _content(
        self, request: Request, opened: Opened, view: ConnectionView, source: ProviderFile
    ) -> Content:
        """What the file asks for: as it was read when it came, or read again when the rules are others by now."""
        caller, at = caller_for(request, opened), now_of(request)
        content = restored(source.content)
        if content is not None and content.mark == mark_of(opened.snapshot, view, caller, at):
            return content
        client, _ = self._desk.client(opened.snapshot, view, source)
        path = f"{root_of(view.kind)}/files/{source.provider_id}/content"
        fetched = await self._desk.fetch(client, path, {})
        reader = self._reader(request, opened, view)

        def read() -> Content:
            with fetched.kept as kept:
                kept.seek(0)
                while part := kept.read(1024 * 1024):
                    reader.feed(part)
            return reader.content()

        if fetched.status >= 400:
            fetched.kept.close()
            text = f"The provider does not give its content ({fetched.status}), so it cannot be checked."
            raise RefusalError(400, "unreadable_file", text, param="input_file_id")
        return await self._desk.do(read)

    async def _make(
        self,
        request: Request,
        opened: Opened,
        view: ConnectionView,
        source: ProviderFile | None,
        content: Content,
        body: bytes,
    ) -> None:
        client, key = self._desk.client(opened.snapshot, view, source)
        at, caller = now_of(request), caller_for(request, opened)
        call = call_for(request.id, view, caller, content, at)
        row = _row(request, opened, view, key, call, content)
        # What it is found by when its provider does not say that it has it.
        row.document = {"input_file_id": source.provider_id} if source is not None else {}
        await self._desk.do(lambda: row.save(force_insert=True))
        try:
            granted = await self._purse.hold(call, opened.snapshot, content, at)
        except BaseException as error:
            await self._desk.do(lambda: owned.forget_batch(row))
            if isinstance(error, RefusalError):
                _record_refused(call, error)
            raise
        path = f"{root_of(view.kind)}{'/messages' if row.wire == Wire.ANTHROPIC else ''}/batches"
        headers = {**request.said.passed, "Content-Type": "application/json"}
        try:
            response = await provider.ask(
                client, "POST", path, content=body, headers=headers, params=query_of(request)
            )
        except UnansweredError as error:
            if not error.was_sent:
                await self._unmake(row, call)
            raise error.refusal from None
        if response.status_code >= 300:
            await self._unmake(row, call)
            await give_answer(request, view, response, extra=encoded(granted.headers))
            return
        document = object_of(response)
        await self._keep(row, document, call)
        extra = encoded(granted.headers)
        shown = ours(request, row.wire, document)
        await give_answer(request, view, response, document=shown, extra=extra)

    async def _unmake(self, row: Batch, call: Call) -> None:
        await self._purse.release(call)
        await self._desk.do(lambda: owned.forget_batch(row))

    async def _keep(self, row: Batch, document: dict[str, Any], call: Call) -> None:
        """The provider has it: that must be written down, else nobody would pay for it."""
        for left in range(WRITES - 1, -1, -1):
            try:
                await self._desk.do(
                    lambda: owned.made(
                        row,
                        document,
                        has_reservation=call.has_reservation,
                        now=timezone.now(),
                    )
                )
                return
            except RefusalError:
                if not left:
                    logger.critical(
                        "gateway.batches.unwritten",
                        extra={"batch_id": str(row.id), "provider_id": document["id"]},
                    )
                    raise
            await asyncio.sleep(WRITE_PAUSE_S)

    # --- the rest

    async def _one(
        self, request: Request, opened: Opened, row: Batch, method: str, action: str
    ) -> None:
        view = self._desk.view_of(opened.snapshot, row)
        response = await self._asked(request, opened, row, method, action)
        document = None
        if response.status_code < 300:
            document = object_of(response)
            await self._note(row, document)
            document = ours(request, row.wire, document)
        await give_answer(request, view, response, document=document)

    async def _asked(
        self, request: Request, opened: Opened, row: Batch, method: str, action: str = ""
    ) -> httpx2.Response:
        view = self._desk.view_of(opened.snapshot, row)
        client, _ = self._desk.client(opened.snapshot, view, row)
        path = f"{_path(view, row)}{action}"
        return await self._desk.ask(client, method, path, headers=request.said.passed)

    async def _note(self, row: Batch, document: dict[str, Any]) -> None:
        """Keep what is new; whoever sees first that it ended has it recorded."""
        before = row.state
        await self._desk.do(lambda: owned.note(row, document, now=timezone.now()))
        if row.state == BatchState.ENDED and before != BatchState.ENDED:
            await self._desk.ring(row)

    async def _list(self, request: Request, opened: Opened, wire: str) -> None:
        query, project_id = query_of(request), opened.auth.project_id
        usual, most = _LISTS[Wire(wire)]
        limit = whole_number(query, "limit", usual, most)
        if wire == Wire.ANTHROPIC:
            after = query.get("after_id", "")
            place = Place(limit, after=after, before="" if after else query.get("before_id", ""))
        else:
            place = Place(limit, after=query.get("after", ""))
        found = await self._desk.do(lambda: owned.batches_page(project_id, wire, place))
        gate = asyncio.Semaphore(AT_ONCE)
        moving = [row for row in found.rows if row.state in WATCHED]
        await asyncio.gather(*(self._refresh(gate, request, opened, row) for row in moving))
        documents = [ours(request, wire, row.document) for row in found.rows]
        shape = anthropic_list if wire == Wire.ANTHROPIC else openai_list
        shown = shape(documents, has_more=found.has_more)
        shown.pop("next_page", None)
        await give_json(request, shown)

    async def _refresh(
        self, gate: asyncio.Semaphore, request: Request, opened: Opened, row: Batch
    ) -> None:
        """As the provider describes it now; as it did last when that cannot be known."""
        async with gate:
            try:
                response = await self._asked(request, opened, row, "GET")
                if response.status_code == 200:
                    await self._note(row, object_of(response))
            except RefusalError:
                return

    async def _results(self, request: Request, opened: Opened, row: Batch) -> None:
        """Whoever reads results has them recorded at once."""
        view = self._desk.view_of(opened.snapshot, row)
        client, _ = self._desk.client(opened.snapshot, view, row)
        path = f"{_path(view, row)}/results"
        fetched = await self._desk.fetch(client, path, request.said.passed)
        if row.state in WATCHED and fetched.status == 200:
            await self._desk.ring(row)
        await fetched.give(request, view)

    async def _delete(self, request: Request, opened: Opened, row: Batch) -> None:
        if row.state == BatchState.ENDED:
            await self._desk.ring(row)
            text = "Its results are not recorded yet. Try again in a moment."
            raise RefusalError(409, "not_recorded", text, retry_after_s=5)
        if row.state != BatchState.RECORDED:
            await self._one_before_delete(request, opened, row)
        view = self._desk.view_of(opened.snapshot, row)
        response = await self._asked(request, opened, row, "DELETE")
        if response.status_code < 300 or response.status_code == 404:
            await self._desk.do(lambda: holding.forget(row))
        await give_answer(request, view, response)

    async def _one_before_delete(self, request: Request, opened: Opened, row: Batch) -> None:
        """A batch that ended since we looked is recorded first."""
        response = await self._asked(request, opened, row, "GET")
        if response.status_code == 200:
            await self._note(row, object_of(response))
        if row.state == BatchState.ENDED:
            text = "Its results are not recorded yet. Try again in a moment."
            raise RefusalError(409, "not_recorded", text, retry_after_s=5)


def _path(view: ConnectionView, row: Batch) -> str:
    middle = "/messages" if row.wire == Wire.ANTHROPIC else ""
    return f"{root_of(view.kind)}{middle}/batches/{row.provider_id}"


def _asked(body: bytes) -> dict[str, str]:
    """What a batch of OpenAI's names. Raises RequestError."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("", f"The body is not valid JSON: {error}.") from None
    if type(found) is not dict:
        raise RequestError("", "The body must be a JSON object.")
    for name in ("input_file_id", "endpoint"):
        if type(found.get(name)) is not str or not found[name]:
            raise RequestError(name, "It must be text.")
    return found


def _row(
    request: Request,
    opened: Opened,
    view: ConnectionView,
    key: KeyView | None,
    call: Call,
    content: Content,
) -> Batch:
    at = now_of(request)
    usd = [part.usd for part in content.parts]
    return Batch(
        project_id=opened.auth.project_id,
        id=UUID(request.id),
        wire=Wire.ANTHROPIC if call.dialect.is_anthropic else Wire.OPENAI,
        connection_id=UUID(view.id),
        connection_key_id=UUID(key.id) if key else None,
        api_key_id=opened.auth.key_id,
        dialect=call.dialect.value,
        provider=price_provider(view),
        model_names=[part.model for part in content.parts],
        caller=msgspec.to_builtins(call.caller),
        # Until we know better: a process that dies now leaves it to its time.
        has_reservation=bool(opened.snapshot.limits or opened.snapshot.budgets),
        most_usd=None if None in usd else sum(one for one in usd if one is not None),
        total=content.count,
        created_at=at,
        poll_at=at + owned.MAKING,
    )


def _record_refused(call: Call, refusal: RefusalError) -> None:
    ended = Finished(
        call=call, ended_at=time.time(), state="refused", status=refusal.status,
        error=refusal.code, message=refusal.message,
    )  # fmt: skip
    try:
        recorder.finish(ended)
    except OSError:
        logger.exception("gateway.batches.unrecorded")
