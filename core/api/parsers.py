"""JSON in, with bounds: size, depth, numbers and characters that PostgreSQL or Python would choke
on later (F11).
"""

import json
import math
import zlib
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from core.errors import DomainError

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


class InvalidJSONError(DomainError):
    """The body is not JSON that can be stored."""

    code = "invalid_json"


class BodyTooLargeError(DomainError):
    """The body is over the limit of this endpoint."""

    code = "too_large"
    status = 413


class UnsupportedEncodingError(DomainError):
    """The body is packed in a way this API does not unpack."""

    code = "unsupported_media_type"
    status = 415


class BoundedJSONParser(BaseParser):
    """The only parser of the API. Raises a DomainError that names the place and the rule."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLargeError(f"The body is over the limit of {limit} bytes.")
        request = (parser_context or {}).get("request")
        encoding = request.META.get("HTTP_CONTENT_ENCODING", "") if request else ""
        return parse_json(_unpacked(body, encoding.strip().lower(), limit))


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """A body as it was before it was packed; never holds more than the limit."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedEncodingError(
            f"Content-Encoding {encoding[:40]!r} is not supported: send gzip or identity.",
            fields=["Content-Encoding"],
        )
    unpacker = zlib.decompressobj(31)  # 15 plus 16 for the gzip header and its CRC
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise InvalidJSONError("The body is not gzip, as Content-Encoding says.") from None
    if len(plain) > limit:
        raise BodyTooLargeError(f"The body is over the limit of {limit} bytes when unpacked.")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidJSONError("The gzip body is cut off, or followed by something else.")
    return plain


def parse_json(body: bytes) -> Any:
    """`body` as Python data that every column and page can hold; raises InvalidJSONError."""
    try:
        text = body.decode("utf-8")
        data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except UnicodeDecodeError:
        raise InvalidJSONError("The body must be UTF-8.") from None
    except RecursionError:
        raise InvalidJSONError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJSONError(f"The body is not valid JSON: {error.msg} at {where}.") from None
    except ValueError:  # a number of more digits than Python converts
        raise InvalidJSONError("The body contains a number that is too long.") from None
    _check(data)
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJSONError(f"{name} is not JSON; send a number or null.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidJSONError(
                f"The name {key[:80]!r} occurs twice in one object.", fields=[key[:80]]
            )
        found[key] = value
    return found


def _check(data: Any) -> None:
    """Walk without recursion, so that a deep body costs nothing but the walk to the limit."""
    stack: list[tuple[Any, str, int]] = [(data, "", 1)]
    while stack:
        value, path, depth = stack.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise InvalidJSONError(f"The body is nested deeper than {MAX_DEPTH} levels.")
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in pairs:
                if isinstance(key, str):
                    _check_text(key, path)
                stack.append((item, f"{path}.{key}" if path else str(key), depth + 1))
        elif isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise InvalidJSONError(f"{path or 'The number'} must be below 2^63.", fields=[path])
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidJSONError(f"{path or 'The number'} is too large.", fields=[path])


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise InvalidJSONError(
            f"{path or 'The body'} contains the character U+0000; remove it.", fields=[path]
        )
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidJSONError(
            f"{path or 'The body'} contains half of a surrogate pair; send valid Unicode.",
            fields=[path],
        )
