"""Responses that are written while they are made."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import cast

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse

CHUNK = 64 * 1024


class ChunkedResponse(StreamingHttpResponse):
    """A response made by an ordinary iterator, chunk after chunk also under ASGI.

    There Django makes one list of all that such an iterator yields: a whole file in the memory of a web process.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """About a chunk at a time, in the request's own thread; the next one once the client took this one."""
        parts = cast(Iterator[bytes], self.streaming_content)
        while chunk := await sync_to_async(_next_chunk)(parts):
            yield chunk


_CSV = "text/csv; charset=utf-8"


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def csv_download(name: str, lines: Iterable[str]) -> ChunkedResponse:
    """A CSV file of any length, written while it is sent (lines: core.csv_cells.csv_lines)."""
    return ChunkedResponse(lines, content_type=_CSV, headers=_as_file(name))


def csv_file(name: str, lines: Iterable[str]) -> HttpResponse:
    """A short CSV file, made at once."""
    return HttpResponse("".join(lines), content_type=_CSV, headers=_as_file(name))


def _next_chunk(parts: Iterator[bytes]) -> bytes:
    taken, size = [], 0
    for part in parts:
        taken.append(part)
        size += len(part)
        if size >= CHUNK:
            break
    # A client may take hours; it must not keep a place in the pool of connections meanwhile.
    if not connection.in_atomic_block:
        connection.close()
    return b"".join(taken)
