"""`/ws/v1/projects/{project}/stream`: who may listen with a key, and what is said."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.utils import timezone

from config.asgi import application
from projects.models import Project
from tests.factories.projects import ProjectFactory
from tests.traces.test_live import step, writer
from tests.traces.uploads import key_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
STREAM = "/ws/v1/projects/shop/stream"


@pytest.fixture
def project(transactional_db: None) -> Project:
    channel_layers.backends.clear()
    return ProjectFactory(slug="shop")


async def opened(path: str, *headers: tuple[bytes, bytes]) -> Any:
    socket = WebsocketCommunicator(application, path, headers=[(b"host", b"testserver"), *headers])
    socket.scope["headers"] = [(b"host", b"testserver"), *headers]
    is_open, code = await socket.connect(timeout=5)
    return socket, is_open, code


async def bearer(project: Project, **fields: Any) -> tuple[Any, tuple[bytes, bytes]]:
    key, raw = await sync_to_async(key_for)(project, **fields)
    return key, (b"authorization", f"Bearer {raw}".encode())


async def test_a_project_says_that_something_was_recorded(project: Project) -> None:
    _, key = await bearer(project, scopes=["read"])
    socket, is_open, _ = await opened(STREAM, key)
    assert is_open
    await asyncio.sleep(0.2)
    await writer(project)(step("root"))
    assert await socket.receive_json_from(timeout=3) == {"type": "project.changed", "version": 1}
    await socket.disconnect()


async def test_a_trace_says_its_sequence_number(project: Project) -> None:
    _, key = await bearer(project, scopes=["read"])
    socket, is_open, _ = await opened(f"{STREAM}?trace=t1", (b"x-api-key", key[1][7:]))
    assert is_open
    write = writer(project)
    await write(step("root", status="running"))
    said = await socket.receive_json_from(timeout=3)
    assert said == {"type": "trace.changed", "trace_id": "t1", "seq": 1}
    await write(step("plan", at=5))
    assert (await socket.receive_json_from(timeout=3))["seq"] == 2
    await socket.disconnect()


async def test_only_a_reading_key_of_the_project_may_listen(project: Project) -> None:
    """Unknown, foreign, expired, without the scope, a cookie's path without a key: the same refusal."""
    other = await sync_to_async(ProjectFactory)(slug="other")
    _, foreign = await bearer(other, scopes=["read"])
    _, ingesting = await bearer(project, scopes=["ingest"])
    past = timezone.now() - dt.timedelta(hours=1)
    _, expired = await bearer(project, scopes=["read"], expires_at=past)
    for headers in ([], [foreign], [ingesting], [expired], [(b"authorization", b"Bearer nobody")]):
        _, is_open, code = await opened(STREAM, *headers)
        assert (is_open, code) == (False, 4404), headers
    _, own = await bearer(project, scopes=["read"])
    _, is_open, code = await opened("/ws/v1/projects/other/stream", own)
    assert (is_open, code) == (False, 4404)
    _, is_open, _ = await opened("/ws/v1/projects/shop/activity/", own)
    assert not is_open


async def test_a_revoked_key_is_closed_within_five_seconds(project: Project) -> None:
    key, header = await bearer(project, scopes=["read"])
    socket, is_open, _ = await opened(STREAM, header)
    assert is_open
    key.revoked_at = timezone.now()
    await sync_to_async(key.save)()
    output = await socket.receive_output(timeout=5)
    assert (output["type"], output["code"]) == ("websocket.close", 4404)
