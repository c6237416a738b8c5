"""Addresses of the receivers, and of what tests and demos ask them.

`/slack/services/…`, `/pagerduty/v2/enqueue`, `/teams/…/workflows/…/invoke`, `/discord/api/webhooks/<id>/<token>`,
`/webhook/…`. `GET /simulator/receivers/received[?receiver=slack]`, `POST …/faults`, `POST …/forgotten`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from examples.simulator.http import HttpError, Reply, Request
from examples.simulator.receivers import faults, kept, services

_DIRECT = r"/powerautomate/automations/direct(?:/cu/\d+)?"
_PATTERNS: list[tuple[str, re.Pattern[str], Callable[[Request], Reply]]] = [
    ("slack", re.compile(r"/slack/services/.+"), services.slack),
    ("pagerduty", re.compile(r"/pagerduty/v2/enqueue"), services.pagerduty),
    ("teams", re.compile(rf"(?:{_DIRECT})?/workflows/[\w-]+/triggers/manual/paths/invoke"), services.teams),
    ("discord", re.compile(r"/discord/api/webhooks/[^/]+/[^/]+"), services.discord),
    ("webhook", re.compile(r"/webhook(?:/.*)?"), services.webhook),
]  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One receiver's address."""

    receiver: str
    endpoint: Callable[[Request], Reply]

    async def answer(self, request: Request) -> Reply:
        """The receiver's answer or the fault that was wished for; what arrived is kept either way."""
        note = kept.note(
            self.receiver, path=request.path, headers=request.headers, body=request.body,
            raw=request.raw.decode("utf-8", "replace"), status=None,
        )  # fmt: skip
        reply = await faults.reply_for(self.receiver) or self.endpoint(request)
        note["status"] = reply.status
        return reply

    def error_reply(self, error: HttpError, _request: Request | None) -> Reply:
        return Reply({"error": error.message}, error.status)


def find(request: Request) -> Route | None:
    """The receiver that a request is for."""
    if request.method != "POST":
        return None
    for receiver, pattern, endpoint in _PATTERNS:
        if pattern.fullmatch(request.path):
            return Route(receiver, endpoint)
    return None


def control(request: Request) -> Reply | None:
    """`/simulator/receivers/…`, without a key."""
    match request.method, request.path:
        case "POST", "/simulator/receivers/faults":
            faults.set_faults(request.body)
            return Reply({"faults": request.body})
        case "POST", "/simulator/receivers/forgotten":
            kept.forget()
            return Reply({"received": []})
        case "GET", "/simulator/receivers/received":
            wanted = request.values("receiver")
            found = [one for one in kept.messages if not wanted or one["receiver"] in wanted]
            return Reply({"received": found, "incidents": kept.incidents})
    return None
