"""Receivers that misbehave: `POST /simulator/receivers/faults` with `{"slack": {…}, "all": {…}}`; `{}` mends them.

| name          | effect                                                            |
|---------------|-------------------------------------------------------------------|
| `status`      | this status instead                                               |
| `body`        | this text as the body                                             |
| `retry_after` | this Retry-After header                                           |
| `hang`        | answers after so many seconds (timeouts)                          |
| `endless`     | a body that never ends                                            |
| `redirect`    | 302 to this address                                               |
| `times`       | only so many requests; then the receiver is well again            |
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from examples.simulator.http import HttpError, Reply

RECEIVERS = ("slack", "pagerduty", "teams", "discord", "webhook", "all")
NAMES = frozenset({"status", "body", "retry_after", "hang", "endless", "redirect", "times"})
LONGEST_HANG_S = 600
_faults: dict[str, dict[str, Any]] = {}


def set_faults(document: dict[str, Any]) -> None:
    """Replace all faults. Raises HttpError naming what is not known."""
    for receiver, wished in document.items():
        if receiver not in RECEIVERS or not isinstance(wished, dict):
            known = ", ".join(RECEIVERS)
            raise HttpError(
                400, "invalid", f"{receiver!r} is no receiver with faults; known: {known}."
            )
        if unknown := set(wished) - NAMES:
            known = ", ".join(sorted(NAMES))
            raise HttpError(400, "invalid", f"{sorted(unknown)[0]!r} is unknown; known: {known}.")
    _faults.clear()
    _faults.update({receiver: dict(wished) for receiver, wished in document.items()})


async def reply_for(receiver: str) -> Reply | None:
    """The answer that was wished for instead of the receiver's own, after the wait that was."""
    wished = _faults.get(receiver) or _faults.get("all")
    if not wished:
        return None
    if "times" in wished:
        if wished["times"] <= 0:
            return None
        wished["times"] -= 1
    await asyncio.sleep(min(float(wished.get("hang", 0)), LONGEST_HANG_S))
    headers = {"content-type": "text/plain"}
    if "retry_after" in wished:
        headers["retry-after"] = str(wished["retry_after"])
    if "redirect" in wished:
        headers["location"] = str(wished["redirect"])
    status = int(wished.get("status", 302 if "redirect" in wished else 200))
    if wished.get("endless"):
        return Reply(status=status, headers=headers, events=_without_end())
    if "status" in wished or "body" in wished or "redirect" in wished:
        return Reply(str(wished.get("body", "")).encode(), status, headers)
    return None


async def _without_end() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 16_384
        await asyncio.sleep(0)
