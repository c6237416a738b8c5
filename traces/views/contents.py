"""What was said in a step as files: a blob of it (picture, sound, document), or one side of it whole.

Nothing a program sent may run here: types come from the bytes, unknown ones are downloads, and every answer has a
policy of its own (`default-src 'none'; sandbox`) and may not be framed or guessed at.
"""

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.errors import DomainError, NotFoundError
from core.streaming import ChunkedResponse
from projects.access import project_for
from traces import media
from traces.models import Span
from traces.selectors import detail
from traces.viewer import Viewer, member_viewer

SIDES = ("input", "output")
CHUNK = 64 * 1024
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
Answer = TypeVar("Answer", HttpResponse, StreamingHttpResponse)
_NOT_HERE = "There is nothing like that in this step, or it was deleted."


@login_required
@never_cache
@require_GET
def payload_file(
    request: HttpRequest, slug: str, trace_id: str, span_id: str
) -> StreamingHttpResponse:
    """One side of a step as text, `?side=input|output`, `?download=1` as a file."""
    return show_payload(request, member_viewer(project_for(request, slug), trace_id), span_id)


@login_required
@never_cache
@require_GET
def media_file(
    request: HttpRequest, slug: str, trace_id: str, span_id: str, number: int
) -> HttpResponse:
    """One blob of a step."""
    return show_media(request, member_viewer(project_for(request, slug), trace_id), span_id, number)


def show_payload(request: HttpRequest, viewer: Viewer, span_id: str) -> StreamingHttpResponse:
    """The whole input or output, streamed: text as it was, anything else as JSON. Three queries."""
    side = request.GET.get("side", "input")
    if side not in SIDES:
        raise DomainError(f"side is {side[:40]!r}; it must be input or output.", fields=["side"])
    _, content = _content(viewer, span_id)
    if side not in content:
        raise NotFoundError(_NOT_HERE)
    value = content[side]
    is_text = isinstance(value, str)
    response = ChunkedResponse(_pieces(value), content_type="text/plain; charset=utf-8")
    ending = "txt" if is_text else "json"
    way = "attachment" if request.GET.get("download") else "inline"
    response["Content-Disposition"] = f'{way}; filename="{_file_name(span_id)}-{side}.{ending}"'
    return _sealed(response)


def show_media(request: HttpRequest, viewer: Viewer, span_id: str, number: int) -> HttpResponse:
    """The blob with that number (traces.media): shown if its bytes are of a known picture or sound, else a download."""
    _, content = _content(viewer, span_id)
    _, found = media.said_with_media(content)
    data = media.decoded(found[number]) if 0 <= number < len(found) else None
    if data is None:
        raise NotFoundError(_NOT_HERE)
    kind = media.sniffed(data[:64])
    is_shown = kind.startswith(("image/", "audio/")) and not request.GET.get("download")
    response = HttpResponse(data, content_type=kind)
    name = f"{_file_name(span_id)}-{number}.{media.ENDINGS.get(kind, 'bin')}"
    way = "inline" if is_shown else "attachment"
    response["Content-Disposition"] = f'{way}; filename="{name}"'
    return _sealed(response)


def _content(viewer: Viewer, span_id: str) -> tuple[Span, dict[str, Any]]:
    if not viewer.sees_payloads:
        raise NotFoundError(_NOT_HERE)
    trace = detail.trace_of(viewer.project, viewer.trace_id)
    span = detail.step_of(trace, span_id) if trace else None
    if span is None:
        raise NotFoundError(_NOT_HERE)
    found = detail.step_content(viewer.project, span)
    if found.problem:
        raise NotFoundError("What was said here cannot be decrypted.")
    return span, found.content


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for at in range(0, len(value), CHUNK):
            yield value[at : at + CHUNK]
        return
    held: list[str] = []
    size = 0
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def _sealed(response: Answer) -> Answer:
    """Whatever it is, it is only looked at: no script, no plug-in, no frame, no guessing of types, no other site."""
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Frame-Options"] = "DENY"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text)[:80] or "step"
