"""Bodies of uploads: kept on disk while they come, so that a file is never in memory as a whole."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO, Any, cast

import msgspec
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from gateway.dialects.facts import RequestError
from gateway.door.answers import RefusalError
from gateway.door.request import Request

IN_MEMORY = 1024 * 1024
PART = 256 * 1024


class Form(msgspec.Struct):
    """The fields of an upload; `size` is the file's, -1 when there was none."""

    fields: dict[str, str]
    filename: str = ""
    size: int = -1


async def spool(request: Request, most: int) -> IO[bytes]:
    """The body as a file, at its beginning. Raises ClientLeftError, and RefusalError past `most` bytes."""
    if request.body_file is not None:
        kept, request.body_file = request.body_file, None
        if kept.seek(0, 2) > most:
            kept.close()
            raise too_large(most)
        return kept
    kept = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - whoever asked closes it
    size = 0
    try:
        async for part in request.parts():
            size += len(part)
            if size > most:
                raise too_large(most)
            if size > IN_MEMORY:
                await asyncio.to_thread(kept.write, part)
            else:
                kept.write(part)
        kept.seek(0)
    except BaseException:
        kept.close()
        raise
    return kept


def too_large(most: int) -> RefusalError:
    """What is larger than that is not taken."""
    text = f"The request body exceeds the limit of {most} bytes. Send less at once."
    return RefusalError(413, "body_too_large", text)


async def parts_of(kept: IO[bytes]) -> AsyncIterator[bytes]:
    """The body again, piece by piece."""
    kept.seek(0)
    while part := await asyncio.to_thread(kept.read, PART):
        yield part


class _Watch(FileUploadHandler):
    """Gives a file's bytes to whoever reads them, and keeps nothing."""

    chunk_size = PART

    def __init__(self, take: Callable[[bytes], None] | None) -> None:
        super().__init__()
        self.take, self.name, self.size = take, "", -1

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.field_name != "file" or self.size >= 0:
            raise StopUpload(connection_reset=True)
        self.name, self.size = self.file_name or "", 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.size += len(raw_data)
        if self.take is not None:
            self.take(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        return None


def read_form(
    kept: IO[bytes], content_type: str, length: int, take: Callable[[bytes], None] | None = None
) -> Form:
    """The fields of a multipart body; the bytes of its file go to `take`. Raises RequestError."""
    kept.seek(0)
    watch = _Watch(take)
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(length)}
    try:
        fields, _ = MultiPartParser(meta, cast(Any, kept), [watch], "utf-8").parse()
    except (MultiPartParserError, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent) as error:
        raise RequestError("", f"The body is no multipart form: {error}") from None
    if watch.size < 0:
        raise RequestError("file", "Send the file as the form's field “file”.")
    return Form({name: str(fields[name]) for name in fields}, watch.name, watch.size)
