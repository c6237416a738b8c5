"""How the billing APIs misbehave, set by `POST /simulator/billing/faults`.

```json
{"clock": "2026-11-20T00:00:00Z", "page_size": 2, "slow_s": 0.5,
 "faults": [{"kind": "status", "status": 429, "retry_after": 2, "provider": "openai", "path": "costs", "times": 3}]}
```

| kind      | effect on the next `times` requests that match (−1: all)              |
|-----------|-----------------------------------------------------------------------|
| `status`  | answers `status` in the provider's shape, with `retry_after` if given |
| `loop`    | a page says again and again that there is another page                |
| `flood`   | answers with `megabytes` of JSON                                      |
| `garbage` | answers 200 with something that is no JSON                            |
| `slow`    | answers after `seconds`                                               |
| `drip`    | sends a byte every `seconds`                                          |

`flags` (words the providers' modules name) change what an API can do at all.
Without `clock` the APIs live now. A post replaces what was set before.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Any

from examples.simulator.billing.world import instant
from examples.simulator.http import HttpError, Reply, Request

KINDS = ("status", "loop", "flood", "garbage", "slow", "drip")
TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip


@dataclass
class Fault:
    """One wish."""

    kind: str
    provider: str = ""
    path: str = ""
    status: int = 500
    retry_after: str | float | None = None
    message: str = "The server had an error while processing your request."
    seconds: float = 1.0
    megabytes: int = 10
    times: int = 1


@dataclass
class State:
    """Everything that is set."""

    clock: dt.datetime | None = None
    page_size: int | None = None
    slow_s: float = 0.0
    flags: frozenset[str] = frozenset()
    faults: list[Fault] = field(default_factory=list)


_state = State()
_KNOWN = {one.name for one in fields(State)}


def set_state(document: dict[str, Any]) -> None:
    """Replace what was set. Raises HttpError 400."""
    global _state
    try:
        if set(document) - _KNOWN:
            raise ValueError(f"known are {sorted(_KNOWN)}")
        faults = [Fault(**one) for one in document.get("faults", [])]
        if wrong := [one.kind for one in faults if one.kind not in KINDS]:
            raise ValueError(f"unknown kinds {wrong}")
        clock = document.get("clock")
        _state = State(
            clock=instant(clock) if clock else None,
            page_size=document.get("page_size"),
            slow_s=float(document.get("slow_s", 0)),
            flags=frozenset(document.get("flags", [])),
            faults=faults,
        )
    except (TypeError, ValueError) as error:
        raise HttpError(400, "invalid_request_error", f"Bad faults: {error}") from None


def clock() -> dt.datetime:
    """What time it is at the providers."""
    return _state.clock or dt.datetime.now(dt.UTC)


def flagged(word: str) -> bool:
    """Whether the flag `word` is set."""
    return word in _state.flags


def page_size(asked: int) -> int:
    """How much a page holds: what was asked for, or less when that is set."""
    return min(asked, _state.page_size or asked)


def loops(provider: str, request: Request) -> bool:
    """Whether this page shall say that there is another one."""
    return _take(provider, request, ("loop",)) is not None


async def apply(provider: str, request: Request) -> Reply | None:
    """Wait, raise or answer as wished; None when the API shall answer."""
    if _state.slow_s:
        await asyncio.sleep(_state.slow_s)
    fault = _take(provider, request, ("status", "flood", "garbage", "slow", "drip"))
    if fault is None:
        return None
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind == "flood":
        return Reply(b'{"data": "' + b"x" * (fault.megabytes << 20) + b'"}')
    if fault.kind == "garbage":
        return Reply(b"<html>Bad gateway</html>")
    if fault.kind == "drip":
        return Reply(events=_drip(fault.seconds))
    headers = {} if fault.retry_after is None else {"retry_after": str(fault.retry_after)}
    kind = TYPES.get(fault.status, "api_error")
    raise HttpError(fault.status, kind, fault.message, kind, **headers)


async def _drip(seconds: float) -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(seconds)


def _take(provider: str, request: Request, kinds: tuple[str, ...]) -> Fault | None:
    for fault in _state.faults:
        if (
            fault.kind in kinds
            and fault.times
            and fault.provider in ("", provider)
            and fault.path in request.path
        ):
            if fault.times > 0:
                fault.times -= 1
            return fault
    return None
