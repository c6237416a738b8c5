"""Live news for programs: `ws://…/ws/v1/projects/{project}/stream` with an API key of the scope `read`.

The same hints that open pages get, as JSON: `{"type": "project.changed", "version": n}` when something was recorded,
with `?trace=<id>` `{"type": "trace.changed", "trace_id", "seq"}`; at most four a second. They say "look again": the
caller reads what is new through the API, so a lost one loses nothing.
"""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.http import HttpRequest
from django.utils import timezone

from core import live as hints
from core.person_formats import Reader
from projects.authentication import authenticate_key, key_from_request
from projects.models import ApiKey, Project
from traces.consumers import LiveConsumer
from traces.ingest.limits import ID_LENGTH

PULSE_SECONDS = 0.25


def _request(scope: dict[str, Any]) -> HttpRequest:
    """As much of a request as the key's reader looks at: headers no other site's page can set."""
    request = HttpRequest()
    for name, value in scope.get("headers", ()):
        if name in (b"authorization", b"x-api-key"):
            request.META[f"HTTP_{name.decode().upper().replace('-', '_')}"] = value.decode(
                "latin-1"
            )
    return request


def _project_of(scope: dict[str, Any], ref: str) -> Project | None:
    """The key's project, when the key still stands, may read and `ref` names its project."""
    raw = key_from_request(_request(scope))
    auth = authenticate_key(raw, now=timezone.now()) if raw else None
    if auth is None or ApiKey.Scope.READ not in auth.scopes or not auth.names_project(ref):
        return None
    return Project.objects.filter(pk=auth.project_id).first()


class StreamConsumer(LiveConsumer):
    """News of a project or of one trace, for the holder of a key."""

    async def watched(self) -> tuple[Project, Reader] | None:
        ref = self.scope["url_route"]["kwargs"]["project"]
        project = await database_sync_to_async(_project_of)(self.scope, ref)
        return None if project is None else (project, Reader())

    def group(self) -> str:
        trace_id = self._trace_id()
        if trace_id:
            return hints.trace_group(self.project.pk, trace_id)
        return hints.project_group(self.project.pk)

    def _trace_id(self) -> str:
        raw: bytes = self.scope.get("query_string", b"")
        return parse_qs(raw.decode("latin-1")).get("trace", [""])[0][:ID_LENGTH]

    async def opened(self) -> None:
        self.latest: dict[str, Any] | None = None
        self.news = asyncio.Event()
        self.tasks.append(asyncio.create_task(self._pulse()))

    async def project_changed(self, event: dict[str, Any]) -> None:
        """A hint from ingestion."""
        self._put(event)

    async def trace_changed(self, event: dict[str, Any]) -> None:
        """A hint from ingestion."""
        self._put(event)

    def _put(self, event: dict[str, Any]) -> None:
        self.latest = event
        self.news.set()

    async def _pulse(self) -> None:
        """The newest hint, at most four a second."""
        while True:
            await self.news.wait()
            self.news.clear()
            await self.send(text_data=json.dumps(self.latest))
            await asyncio.sleep(PULSE_SECONDS)
