"""Ids of sessions and users in paths: people's programs put anything into them (slashes, `..`, emoji, line breaks).

An id that a path can carry stands there as it is, percent-encoded; any other as `~` and its base64url.
"""

import base64
import binascii
import re

from django.urls import register_converter
from django.urls.converters import get_converters

MAX_ID = 200
# Browsers resolve `.` and `..`, turn a backslash into a slash and drop tabs and line breaks.
_PLAIN = re.compile(
    r"(?!~|\.\.?$)[^/\\\x00-\x20\x7f-\x9f](?:[^/\\\x00-\x1f\x7f-\x9f]*[^/\\\x00-\x20\x7f-\x9f])?"
)


def ref_of(value: str) -> str:
    """What stands in the path (before percent-encoding)."""
    if _PLAIN.fullmatch(value):
        return value
    return "~" + base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


class RefConverter:
    """`<ref:session_id>`: the id itself on both sides."""

    regex = r"[^/]+"

    def to_python(self, text: str) -> str:
        """Raises ValueError (404) for what `ref_of` never writes."""
        if not text.startswith("~"):
            value = text
        else:
            try:
                packed = text[1:]
                value = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ValueError("not an id") from error
        if not 0 < len(value) <= MAX_ID or "\x00" in value:
            raise ValueError("not an id")
        return value

    def to_url(self, value: str) -> str:
        """The reverse."""
        return ref_of(str(value))


def register() -> None:
    """Make `<ref:…>` known, once, whichever list of addresses is read first."""
    if "ref" not in get_converters():
        register_converter(RefConverter, "ref")
