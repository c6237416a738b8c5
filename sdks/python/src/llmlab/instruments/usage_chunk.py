"""Takes the usage chunk out of a stream whose caller did not ask for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_END = re.compile(rb"(?:\r\n\r\n|\n\n|\r\r)")
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_WHOLE = (b"\n\n", b"\r\n\r\n", b"\r\r")


class UsageChunkFilter:
    """Bytes in, bytes out; events are passed on whole, so that none is seen in part."""

    __slots__ = ("decode", "rest")

    def __init__(self, decode: Callable[[bytes], bytes] | None = None) -> None:
        self.rest = b""
        self.decode = decode

    def feed(self, raw: bytes) -> bytes:
        """What of it, and of what was held back before, the caller may see now."""
        if self.decode is not None:
            raw = self.decode(raw)
        if self.rest:
            raw = self.rest + raw
        if raw.endswith(_WHOLE):
            whole, self.rest = raw, b""
        else:
            cut = 0
            for found in _END.finditer(raw):
                cut = found.end()
            whole, self.rest = raw[:cut], raw[cut:]
        if _NO_CHOICES.search(whole) is None:
            return whole
        kept, start = [], 0
        for found in _END.finditer(whole):
            event = whole[start : found.end()]
            start = found.end()
            if not _is_usage(event):
                kept.append(event)
        return b"".join(kept)

    def end(self) -> bytes:
        """What is left when the stream ended within an event."""
        rest, self.rest = self.rest, b""
        return b"" if _is_usage(rest) else rest


def _is_usage(event: bytes) -> bool:
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        data = json.loads(b"\n".join(lines)) if lines else None
    except (ValueError, RecursionError):
        return False
    # Azure's first chunk has no choices either, but no usage: it stays.
    return isinstance(data, dict) and data.get("choices") == [] and bool(data.get("usage"))
