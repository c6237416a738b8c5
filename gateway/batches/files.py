"""`/v1/files`: uploaded through us, listed from what we know, everything else asked of the provider it is at."""

import asyncio
from collections.abc import Mapping
from typing import IO, Any
from uuid import UUID

from django.conf import settings

from gateway.batches import owned, provider
from gateway.batches.affording import call_for, check
from gateway.batches.owned import Place
from gateway.batches.passing import (
    AT_ONCE,
    Desk,
    caller_for,
    give_answer,
    give_json,
    now_of,
    object_of,
    query_of,
    whole_number,
)
from gateway.batches.provider import UnansweredError
from gateway.batches.reading import Content, Reader, stored
from gateway.batches.spool import parts_of, read_form, spool
from gateway.batches.wires import anthropic_list, openai_list, root_of
from gateway.dialects.facts import RequestError
from gateway.door.answers import RefusalError
from gateway.door.keys import Opened
from gateway.door.request import Request
from gateway.models import ProviderFile, Wire
from gateway.snapshot import ConnectionView

BATCH = "batch"
_PAGE = "page_"


class Files:
    """One per event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, request: Request, opened: Opened, parts: list[str]) -> None:
        """Answer. Raises RefusalError, RequestError, HeaderError, ClientLeftError."""
        wire = Wire.ANTHROPIC if request.dialect.is_anthropic else Wire.OPENAI
        if not parts:
            if request.method == "POST":
                await self._upload(request, opened, wire)
            else:
                request.need("GET")
                await self._list(request, opened, wire)
            return
        row = await self._desk.do(lambda: owned.file_of(opened.auth.project_id, wire, parts[0]))
        if parts[1:] == ["content"]:
            request.need("GET")
            await self._content(request, opened, row)
        elif len(parts) == 1 and request.method == "DELETE":
            await self._delete(request, opened, row)
        elif len(parts) == 1:
            request.need("GET")
            await self._get(request, opened, row)
        else:
            raise RefusalError(404, "unknown_url", f"The gateway has no {request.path}.")

    async def _upload(self, request: Request, opened: Opened, wire: str) -> None:
        named = request.said.values.get("connection", "")
        view = provider.chosen(opened.snapshot, wire, named)
        kind = request.said.values.get("content_type", "")
        if not kind.lower().startswith("multipart/form-data"):
            text = "Files come as a multipart form with the field “file”."
            raise RefusalError(415, "unsupported_media_type", text, param="content-type")
        kept = await spool(request, settings.LLMLAB_GATEWAY_MAX_FILE)
        try:
            size = kept.seek(0, 2)
            content = await self._read(request, opened, view, kept, size)
        except BaseException:
            kept.close()
            raise
        await self._desk.whole(self._send(request, opened, view, kept, size, content))

    async def _read(
        self, request: Request, opened: Opened, view: ConnectionView, kept: IO[bytes], size: int
    ) -> Content | None:
        """What a file of requests asks for; it could not be paid, or may not be asked: RefusalError."""
        kind = request.said.values["content_type"]
        form = await self._desk.do(lambda: read_form(kept, kind, size))
        if request.dialect.is_anthropic or form.fields.get("purpose") != BATCH:
            return None
        caller, at = caller_for(request, opened), now_of(request)
        reader = Reader(opened.snapshot, view, caller, at)

        def read() -> Content:
            read_form(kept, kind, size, reader.feed)
            content = reader.content()
            check(call_for(request.id, view, caller, content, at), opened.snapshot, content, at)
            return content

        return await self._desk.do(read)

    async def _send(
        self,
        request: Request,
        opened: Opened,
        view: ConnectionView,
        kept: IO[bytes],
        size: int,
        content: Content | None,
    ) -> None:
        try:
            client, key = self._desk.client(opened.snapshot, view)
            headers = {
                **request.said.passed,
                "Content-Type": request.said.values["content_type"],
                "Content-Length": str(size),
            }
            response = await provider.upload(
                client,
                f"{root_of(view.kind)}/files",
                parts_of(kept),
                headers=headers,
                params=query_of(request),
            )
        except UnansweredError as error:
            raise error.refusal from None
        finally:
            kept.close()
        if response.status_code < 300:
            document = object_of(response)
            await self._desk.do(
                lambda: owned.add_file(
                    project_id=opened.auth.project_id,
                    wire=Wire.ANTHROPIC if request.dialect.is_anthropic else Wire.OPENAI,
                    provider_id=document["id"],
                    connection_id=UUID(view.id),
                    connection_key_id=UUID(key.id) if key else None,
                    api_key_id=opened.auth.key_id,
                    document=document,
                    content=stored(content) if content else None,
                    now=now_of(request),
                )
            )
        await give_answer(request, view, response)

    async def _list(self, request: Request, opened: Opened, wire: str) -> None:
        query, project_id = query_of(request), opened.auth.project_id
        is_anthropic = wire == Wire.ANTHROPIC
        if is_anthropic and query.get("ids"):
            found = await self._desk.do(lambda: _named(project_id, wire, query["ids"]))
        else:
            place = _anthropic_place(query) if is_anthropic else _openai_place(query)
            purpose = "" if is_anthropic else query.get("purpose", "")[:60]
            found = await self._desk.do(
                lambda: owned.files_page(project_id, wire, place, purpose=purpose)
            )
        unknown = [row for row in found.rows if not row.document]
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._learn(gate, request, opened, row) for row in unknown))
        documents = [row.document or {"id": row.provider_id} for row in found.rows]
        shape = anthropic_list if is_anthropic else openai_list
        await give_json(request, shape(documents, has_more=found.has_more))

    async def _learn(
        self, gate: asyncio.Semaphore, request: Request, opened: Opened, row: ProviderFile
    ) -> None:
        """How the provider describes a file it made; left as it is when that cannot be known now."""
        async with gate:
            try:
                view = self._desk.view_of(opened.snapshot, row)
                client, _ = self._desk.client(opened.snapshot, view, row)
                path = f"{root_of(view.kind)}/files/{row.provider_id}"
                response = await self._desk.ask(client, "GET", path, headers=request.said.passed)
                if response.status_code == 200:
                    document = object_of(response)
                    await self._desk.do(lambda: owned.describe(row, document))
            except RefusalError:
                return

    async def _get(self, request: Request, opened: Opened, row: ProviderFile) -> None:
        view = self._desk.view_of(opened.snapshot, row)
        client, _ = self._desk.client(opened.snapshot, view, row)
        response = await self._desk.ask(
            client, "GET", f"{root_of(view.kind)}/files/{row.provider_id}",
            headers=request.said.passed,
        )  # fmt: skip
        if response.status_code == 200:
            document = object_of(response)
            await self._desk.do(lambda: owned.describe(row, document))
        await give_answer(request, view, response)

    async def _content(self, request: Request, opened: Opened, row: ProviderFile) -> None:
        """Whoever reads a batch's results has them recorded at once."""
        view = self._desk.view_of(opened.snapshot, row)
        client, _ = self._desk.client(opened.snapshot, view, row)
        path = f"{root_of(view.kind)}/files/{row.provider_id}/content"
        fetched = await self._desk.fetch(client, path, request.said.passed)
        made = await self._desk.do(
            lambda: owned.batch_that_made(row.project_id, row.wire, row.provider_id)
        )
        if made is not None:
            await self._desk.ring(made)
        await fetched.give(request, view)

    async def _delete(self, request: Request, opened: Opened, row: ProviderFile) -> None:
        made = await self._desk.do(
            lambda: owned.batch_that_made(row.project_id, row.wire, row.provider_id)
        )
        if made is not None:
            await self._desk.ring(made)
            text = "It holds a batch's results, which are not recorded yet. Try again in a moment."
            raise RefusalError(409, "not_recorded", text, retry_after_s=5)
        view = self._desk.view_of(opened.snapshot, row)
        client, _ = self._desk.client(opened.snapshot, view, row)
        response = await self._desk.ask(
            client, "DELETE", f"{root_of(view.kind)}/files/{row.provider_id}",
            headers=request.said.passed,
        )  # fmt: skip
        if response.status_code < 300 or response.status_code == 404:
            await self._desk.do(lambda: owned.forget_file(row))
        await give_answer(request, view, response)


def _openai_place(query: Mapping[str, str]) -> Place:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise RequestError("order", f"It is {order[:40]!r}; it must be asc or desc.")
    limit = whole_number(query, "limit", 10_000, 10_000)
    return Place(limit, after=query.get("after", ""), is_ascending=order == "asc")


def _anthropic_place(query: Mapping[str, str]) -> Place:
    page = query.get("page", "").removeprefix(_PAGE)
    limit = whole_number(query, "limit", 20, 1_000)
    after = page or query.get("after_id", "")
    return Place(limit, after=after, before="" if after else query.get("before_id", ""))


def _named(project_id: UUID, wire: str, ids: str) -> owned.Found[Any]:
    names = ids.split(",")[:100]
    rows = ProviderFile.objects.filter(project=project_id, wire=wire, provider_id__in=names)
    return owned.Found(list(rows.defer("content").order_by("-created_at")), has_more=False)
