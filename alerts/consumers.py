"""The bell's websocket: says that something changed, never what. Pages then read the bell again, with their session."""

import asyncio
from typing import Any

from channels.db import database_sync_to_async

from accounts.middleware import reader_for
from accounts.models import Membership
from accounts.selectors import organization_for
from alerts.inbox import hints
from core.errors import DomainError
from core.person_formats import Reader
from traces.consumers import PULSE_SECONDS, LiveConsumer, person_behind

# Every page holds one of these sockets, and it carries nothing worth keeping from somebody who just left.
RECHECK_SECONDS = 15.0
CHANGED = '{"changed": true}'


def _may_hear(scope: dict[str, Any], slug: str) -> tuple[Membership, Reader] | None:
    """The membership of whoever is behind the socket. Three queries."""
    user = person_behind(scope)
    if user is None:
        return None
    try:
        return organization_for(user, slug), reader_for(user)
    except DomainError:
        return None


class BellConsumer(LiveConsumer):
    """An organisation's incidents changed, or this person read some elsewhere: at most one frame a second."""

    async def watched(self) -> tuple[Membership, Reader] | None:
        slug: str = self.scope["url_route"]["kwargs"]["slug"]
        found: tuple[Membership, Reader] | None
        found = await database_sync_to_async(_may_hear)(self.scope, slug)
        return found

    def recheck_seconds(self) -> float:
        return RECHECK_SECONDS

    def group(self) -> str:
        return hints.organization_group(self.place.organization_id)

    async def opened(self) -> None:
        self.news = asyncio.Event()
        self.own = hints.person_group(self.place.organization_id, self.place.user_id)
        await self.channel_layer.group_add(self.own, self.channel_name)
        self.tasks.append(asyncio.create_task(self._pulse()))

    async def disconnect(self, code: int) -> None:
        if own := getattr(self, "own", ""):
            await self.channel_layer.group_discard(own, self.channel_name)
        await super().disconnect(code)

    async def alerts_changed(self, event: dict[str, Any]) -> None:
        """A hint from whoever decided or read."""
        self.news.set()

    async def _pulse(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            await self.send(text_data=CHANGED)
            await asyncio.sleep(PULSE_SECONDS)
