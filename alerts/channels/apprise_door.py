"""apprise shapes the message; the request itself goes through our door, to the address that we checked.

The two plugin modules in use have their name `requests` replaced by a stand-in. It sends to the channel's own address,
never to one that apprise put together, and refuses to send outside a `posting` block. Nothing else of apprise is used,
and `requests` itself stays as it is for everybody else.
"""

import importlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from apprise import AppriseAsset, NotifyType
from django.conf import settings

from alerts.channels.base import Message, Retryable
from alerts.channels.door import Door
from core.http import Reply

# At DEBUG it writes addresses with their tokens.
logging.getLogger("apprise").setLevel(logging.ERROR)
_TYPES = {
    "critical": NotifyType.FAILURE,
    "error": NotifyType.FAILURE,
    "warning": NotifyType.WARNING,
    "info": NotifyType.INFO,
}


@dataclass
class Posting:
    """One message under way: where it goes, what is done to apprise's document, and what came of it."""

    door: Door
    url: str
    change: Callable[[dict[str, Any]], None]
    reply: Reply | None = None
    error: Retryable | None = None


_posting: ContextVar[Posting | None] = ContextVar("alerts_apprise_posting", default=None)


class _FailedError(Exception):
    """What apprise takes for a failed connection: it gives up without another try of its own."""


class _Codes:
    ok, accepted, no_content, too_many_requests = 200, 202, 204, 429


class _Answer:
    """The little of an answer that apprise looks at."""

    def __init__(self, reply: Reply) -> None:
        self.status_code, self.headers, self.content = reply.status, dict[str, str](), b""


class _Requests:
    """What apprise's plugin modules get for `requests`."""

    codes = _Codes
    RequestException = _FailedError

    @staticmethod
    def post(_url: str, *, data: str, **_options: Any) -> _Answer:
        under_way = _posting.get()
        if under_way is None:
            raise _FailedError("not from a channel of ours")
        document = json.loads(data)
        under_way.change(document)
        content = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        try:
            under_way.reply = under_way.door.post(
                under_way.url, content, {"content-type": "application/json; charset=utf-8"}
            )
        except Retryable as error:
            under_way.error = error
            raise _FailedError("no answer") from None
        if not 200 <= under_way.reply.status < 300:
            raise _FailedError("refused")
        return _Answer(under_way.reply)


def plugin_module(name: str) -> ModuleType:
    """apprise's module, unable to connect by itself."""
    module = importlib.import_module(f"apprise.plugins.{name}")
    module.requests = _Requests  # type: ignore[attr-defined]
    return module


@contextmanager
def posting(door: Door, url: str, change: Callable[[dict[str, Any]], None]) -> Iterator[Posting]:
    """Inside, apprise's one request goes to `url`."""
    under_way = Posting(door, url, change)
    token = _posting.set(under_way)
    try:
        yield under_way
    finally:
        _posting.reset(token)


def asset() -> AppriseAsset:
    """Whose messages they are."""
    return AppriseAsset(
        app_id="LLMLab", app_desc="LLMLab alerts", app_url=settings.LLMLAB_BASE_URL,
        image_url_mask="", image_url_logo="",
    )  # fmt: skip


def type_of(message: Message) -> NotifyType:
    """The colour of a message."""
    if message.notice.state == "resolved":
        return NotifyType.SUCCESS
    return _TYPES.get(message.notice.severity, NotifyType.INFO)


def answered(under_way: Posting) -> Reply:
    """The receiver's answer. Raises Retryable when there is none."""
    if under_way.error is not None:
        raise under_way.error
    if under_way.reply is None:
        raise Retryable("The message could not be put together.")
    return under_way.reply
