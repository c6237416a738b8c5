"""Live pages: who may watch, what they are sent, and how they are kept honest.

The client says `{"seq": n}` when it opens or has lost something ("I am at n") and `{"ack": n}` after each frame it has
dealt with. The server sends HTML frames, each from one sequence number to the next, at most four a second, and stops
sending to a reader that is more than a few frames behind; one that stays behind is closed with 1013 and comes back.
"""

import asyncio
import json
import logging
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError
from django.template.loader import render_to_string

from accounts.middleware import reader_for
from accounts.models import User
from core import live as hints
from core.errors import DomainError
from core.person_formats import Reader
from projects.access import project_for
from projects.models import Project
from traces import live

logger = logging.getLogger(__name__)

RECHECK_SECONDS = 4.0
MAX_MESSAGE = 4096
MAX_JUNK = 20
MAX_MESSAGES_A_SECOND = 40
WINDOW = 8  # frames on their way to one reader
STALLED_SECONDS = 30.0
PULSE_SECONDS = 1.0
REFUSED, BROKEN_RULES, TOO_BIG, TRY_LATER = 4404, 4400, 1009, 1013


def person_behind(scope: dict[str, Any]) -> User | None:
    """Whose session is behind this socket, while it is still valid; read afresh."""
    session = scope.get("session")
    key = getattr(session, "session_key", None)
    if not key:
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)
    user = get_user(SimpleNamespace(session=store))  # type: ignore[arg-type]  # needs no more of a request
    return user if isinstance(user, User) and user.is_active else None


def _may_watch(scope: dict[str, Any], slug: str) -> tuple[Project, Reader] | None:
    """The project while its reader is a member, and how they want figures written."""
    user = person_behind(scope)
    if user is None:
        return None
    try:
        return project_for(user, slug), reader_for(user)
    except DomainError:
        return None


class LiveConsumer(AsyncWebsocketConsumer):
    """Access on connect and every few seconds after; bounded, well-formed messages only. Unknown and forbidden
    projects are refused alike."""

    # What is watched: a row; another one at the next look closes the socket.
    place: Any
    reader: Reader

    @property
    def project(self) -> Project:
        project: Project = self.place
        return project

    async def connect(self) -> None:
        self.junk = 0
        self.second, self.in_second = 0, 0
        self.tasks: list[asyncio.Task[None]] = []
        self.closing = False
        watched = await self.watched()
        if watched is None:
            await self.close(code=REFUSED)
            return
        self.place, self.reader = watched
        group = self.group()
        await self.channel_layer.group_add(group, self.channel_name)
        self.joined = group
        await self.accept()
        self.tasks.append(asyncio.create_task(self._recheck()))
        await self.opened()

    async def watched(self) -> tuple[Any, Reader] | None:
        """What may be watched now and how its reader wants figures written; None when nothing may."""
        slug: str = self.scope["url_route"]["kwargs"]["slug"]
        found: tuple[Project, Reader] | None
        found = await database_sync_to_async(_may_watch)(self.scope, slug)
        return found

    def group(self) -> str:
        raise NotImplementedError

    def recheck_seconds(self) -> float:
        return RECHECK_SECONDS

    async def opened(self) -> None:
        """Called once the socket is accepted."""

    async def said(self, message: dict[str, Any]) -> None:
        """A well-formed message of the client."""

    async def disconnect(self, code: int) -> None:
        self.closing = True
        for task in getattr(self, "tasks", []):
            task.cancel()
        if group := getattr(self, "joined", ""):
            await self.channel_layer.group_discard(group, self.channel_name)

    async def stop(self, code: int) -> None:
        """Close once."""
        if not self.closing:
            self.closing = True
            await self.close(code=code)

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_seconds())
            try:
                watched = await self.watched()
            except DatabaseError:
                continue  # PostgreSQL is away: nothing can be read through this socket either
            if watched is None or watched[0].pk != self.place.pk:
                await self.stop(REFUSED)
                return
            self.reader = watched[1]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if len(text_data or "") > MAX_MESSAGE or len(bytes_data or b"") > MAX_MESSAGE:
            await self.stop(TOO_BIG)
            return
        now = int(time.monotonic())
        self.in_second = self.in_second + 1 if now == self.second else 1
        self.second = now
        message = _parsed(text_data)
        if message is None:
            self.junk += 1
        if self.junk > MAX_JUNK or self.in_second > MAX_MESSAGES_A_SECOND:
            await self.stop(BROKEN_RULES)
            return
        if message is not None and not self.closing:
            await self.said(message)


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _seq_in(message: dict[str, Any], name: str) -> int | None:
    value = message.get(name)
    is_seq = isinstance(value, int) and not isinstance(value, bool) and -1 <= value < 2**62
    return value if is_seq else None


class TraceConsumer(LiveConsumer):
    """The steps of one trace."""

    async def opened(self) -> None:
        self.trace_id: str = self.scope["url_route"]["kwargs"]["trace_id"]
        self.sent: int | None = None  # until the client says where it is, nothing is sent
        self.unacked: list[tuple[int, float]] = []
        self.sending = asyncio.Lock()
        self.feed = live.join(self.project, self.trace_id, self.push)
        self.tasks.append(asyncio.create_task(self._watch_stall()))

    def group(self) -> str:
        return hints.trace_group(self.project.pk, self.scope["url_route"]["kwargs"]["trace_id"])

    async def disconnect(self, code: int) -> None:
        if hasattr(self, "feed"):
            live.leave(self.project.pk, self.trace_id, self.push)
        await super().disconnect(code)

    async def trace_changed(self, event: dict[str, Any]) -> None:
        """A hint from ingestion."""
        self.feed.hint()

    async def said(self, message: dict[str, Any]) -> None:
        acked = _seq_in(message, "ack")
        if acked is not None:
            self.unacked = [(seq, at) for seq, at in self.unacked if seq > acked]
            await self.push()
        at = _seq_in(message, "seq")
        if at is not None:
            self.sent, self.unacked = at, []
            await self.push()

    async def push(self) -> None:
        """Send what this reader lacks, unless it is behind already."""
        async with self.sending:
            if self.sent is None or self.closing or len(self.unacked) >= WINDOW:
                return
            try:
                frame = await self.feed.frame(self.sent, self.reader)
            except DatabaseError:
                return
            if frame is None or self.closing:
                return
            self.sent = frame.seq
            self.unacked.append((frame.seq, time.monotonic()))
            await self.send(text_data=frame.html)

    async def _watch_stall(self) -> None:
        while True:
            await asyncio.sleep(STALLED_SECONDS / 3)
            if self.unacked and time.monotonic() - self.unacked[0][1] > STALLED_SECONDS:
                await self.stop(TRY_LATER)
                return


class ActivityConsumer(LiveConsumer):
    """Something was recorded in the project: lists and dashboards then ask what is new, at their own pace."""

    async def opened(self) -> None:
        self.version = 0
        self.news = asyncio.Event()
        self.tasks.append(asyncio.create_task(self._pulse()))

    def group(self) -> str:
        return hints.project_group(self.project.pk)

    async def project_changed(self, event: dict[str, Any]) -> None:
        """A hint from ingestion."""
        self.version = max(self.version, int(event.get("version") or 0))
        self.news.set()

    async def _pulse(self) -> None:
        """At most one frame a second."""
        while True:
            await self.news.wait()
            self.news.clear()
            html = render_to_string("traces/_activity.html", {"version": self.version})
            await self.send(text_data=html)
            await asyncio.sleep(PULSE_SECONDS)
