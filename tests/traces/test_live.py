"""Websockets of traces on real PostgreSQL and Redis: access, frames in sequence, resync, revocation, abuse."""

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Role, User
from config.asgi import application
from core import crypto
from projects.models import Project
from tests.factories.accounts import MembershipFactory
from tests.factories.projects import ProjectFactory
from traces import consumers, live
from traces.ingest.span import NormalSpan
from traces.ingest.write import IngestContext, write_spans
from traces.models import Trace
from traces.removal import delete_trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

ORIGIN = (b"origin", b"http://testserver")
SOCKET = "/ws/projects/shop/traces/t1/"


@pytest.fixture
def project(transactional_db: None) -> Project:
    channel_layers.backends.clear()
    return ProjectFactory(slug="shop")


@pytest.fixture
def member(project: Project) -> Membership:
    return MembershipFactory(organization=project.organization, role=Role.VIEWER)


def cookie_of(membership: Membership) -> bytes:
    client = Client()
    client.force_login(membership.user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode()


async def opened(
    path: str, cookie: bytes = b"", origin: tuple[bytes, bytes] | None = ORIGIN
) -> Any:
    headers = [(b"host", b"testserver"), *([origin] if origin else [])]
    if cookie:
        headers.append((b"cookie", cookie))
    socket = WebsocketCommunicator(application, path, headers=headers)
    socket.scope["headers"] = headers
    is_open, code = await socket.connect(timeout=5)
    return socket, is_open, code


def step(
    span_id: str, parent: str = "root", *, at: float = 0, status: str = "ok", **more: Any
) -> NormalSpan:
    started = START + dt.timedelta(milliseconds=at)
    ended = None if status == "running" else started + dt.timedelta(milliseconds=100)
    return NormalSpan(
        trace_id="t1", span_id=span_id, parent_span_id="" if span_id == "root" else parent, name=span_id,
        status=status, started_at=started, ended_at=ended, **more,
    )  # fmt: skip


START = timezone.now() - dt.timedelta(minutes=1)


def writer(project: Project) -> Callable[..., Any]:
    cipher = crypto.data_cipher(project.organization.data_key)

    def write(*spans: NormalSpan) -> None:
        try:
            write_spans(
                IngestContext(project_id=project.pk, cipher=cipher), list(spans), now=timezone.now()
            )
        finally:
            connection.close()

    return sync_to_async(write, thread_sensitive=False)


def seqs(frame: str) -> tuple[int, int]:
    found = re.search(r'id="trace-seq" data-from="(-?\d+)" data-seq="(\d+)"', frame)
    assert found, frame[:300]
    return int(found[1]), int(found[2])


def rows(frame: str) -> list[str]:
    return re.findall(r'data-step="([^"]+)"', frame)


async def closes_with(socket: Any, within: float) -> int:
    deadline = asyncio.get_running_loop().time() + within
    while True:
        output = await socket.receive_output(
            timeout=max(0.1, deadline - asyncio.get_running_loop().time())
        )
        if output["type"] == "websocket.close":
            return int(output["code"])


async def test_new_step_is_on_the_socket_in_half_a_second_and_frames_follow_one_another(
    project, member
):
    write = writer(project)
    await write(step("root", status="running"))
    socket, is_open, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    assert is_open
    await socket.send_json_to({"seq": 0})
    first = await socket.receive_from(timeout=3)
    assert seqs(first) == (0, 1)
    assert rows(first) == ["root"]
    await socket.send_json_to({"ack": 1})
    await asyncio.sleep(0.5)
    started = asyncio.get_running_loop().time()
    await write(step("plan", at=10))
    second = await socket.receive_from(timeout=3)
    assert asyncio.get_running_loop().time() - started < 1
    assert seqs(second) == (1, 2)
    assert rows(second) == ["root", "plan"]
    assert 'hx-swap-oob="true"' in second
    await socket.disconnect()


@pytest.mark.parametrize("path", [SOCKET, "/ws/projects/shop/activity/"])
async def test_strangers_anonymous_and_unknown_projects_are_refused_alike(project, member, path):
    stranger = await sync_to_async(cookie_of)(await sync_to_async(MembershipFactory)())
    own = await sync_to_async(cookie_of)(member)
    for cookie, target in (
        (b"", path),
        (stranger, path),
        (own, path.replace("shop", "nope")),
        (b"sessionid=x", path),
    ):
        _, is_open, code = await opened(target, cookie)
        assert (is_open, code) == (False, consumers.REFUSED)


@pytest.mark.parametrize(
    "origin", [b"http://evil.example", b"null", b"http://testserver.evil.example"]
)
async def test_other_origins_are_refused_even_with_a_valid_cookie(
    project, member, origin, settings
):
    settings.ALLOWED_HOSTS = ["testserver"]
    _, is_open, _ = await opened_with_hosts(await sync_to_async(cookie_of)(member), origin)
    assert not is_open


async def opened_with_hosts(cookie: bytes, origin: bytes) -> Any:
    from channels.auth import AuthMiddlewareStack
    from channels.routing import URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator

    from traces.routing import websocket_urlpatterns

    strict = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
    headers = [(b"host", b"testserver"), (b"cookie", cookie), (b"origin", origin)]
    socket = WebsocketCommunicator(strict, SOCKET, headers=headers)
    is_open, code = await socket.connect(timeout=5)
    return socket, is_open, code


async def test_lost_hints_are_made_good_by_the_safety_reading(project, member, monkeypatch):
    monkeypatch.setattr(live, "SAFETY_INTERVAL", 0.4)
    write = writer(project)
    await write(step("root", status="running"))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 1})
    feed = next(iter(live._feeds.values()))
    monkeypatch.setattr(feed, "hint", lambda: None)
    await write(step("plan", at=10))
    assert seqs(await socket.receive_from(timeout=3)) == (1, 2)
    await socket.disconnect()


async def test_reader_that_missed_frames_gets_the_difference_from_where_it_was(project, member):
    write = writer(project)
    for spans in (
        [step("root", status="running")],
        [step("a", at=1)],
        [step("b", at=2)],
        [step("c", at=3)],
    ):
        await write(*spans)
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 2})
    frame = await socket.receive_from(timeout=3)
    assert seqs(frame) == (2, 4)
    assert rows(frame) == ["root", "b", "c"]
    await socket.send_json_to({"seq": 4})
    assert await socket.receive_nothing(timeout=0.4)
    await socket.disconnect()


async def test_many_changed_rows_become_a_read_again_mark(project, member):
    write = writer(project)
    await write(step("root", status="running"), *(step(f"s{n:03d}", at=n) for n in range(60)))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 0})
    frame = await socket.receive_from(timeout=3)
    assert "data-reload" in frame
    assert rows(frame) == []
    await socket.disconnect()


async def test_late_parent_moves_its_children(project, member):
    write = writer(project)
    await write(step("leaf", "mid", at=20))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 1})
    await write(step("mid", "root", at=10), step("root"))
    frame = await socket.receive_from(timeout=3)
    assert rows(frame) == ["root", "mid", "leaf"]
    assert 'aria-level="3"' in frame
    await socket.disconnect()


async def test_burst_is_coalesced_and_ends_equal_to_the_database(project, member):
    write = writer(project)
    await write(step("root", status="running"))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 0})
    seen: set[str] = set()
    at, frames = 0, 0

    async def send() -> None:
        for n in range(40):
            await write(step(f"s{n:02d}", at=n))

    sending = asyncio.create_task(send())
    started = asyncio.get_running_loop().time()
    while at < 41:
        frame = await socket.receive_from(timeout=6)
        first, last = seqs(frame)
        assert first == at
        at, frames = last, frames + 1
        seen |= set(rows(frame))
        await socket.send_json_to({"ack": at})
    await sending
    spent = asyncio.get_running_loop().time() - started
    assert frames <= 4 * spent + 2
    assert seen == {"root", *(f"s{n:02d}" for n in range(40))}
    await socket.disconnect()


async def test_fifty_readers_share_one_reading_and_one_rendering(project, member, monkeypatch):
    write = writer(project)
    await write(step("root", status="running"))
    cookie = await sync_to_async(cookie_of)(member)
    built: list[tuple[int, int]] = []
    original = live.build_frame

    def counted(*args: Any, **kwargs: Any) -> Any:
        frame = original(*args, **kwargs)
        built.append((frame.from_seq, frame.seq))
        return frame

    monkeypatch.setattr(live, "build_frame", counted)
    sockets = [(await opened(SOCKET, cookie))[0] for _ in range(50)]
    for socket in sockets:
        await socket.send_json_to({"seq": 1})
    assert len(live._feeds) == 1
    await asyncio.sleep(0.6)
    await write(step("plan", at=10))
    frames = [await socket.receive_from(timeout=5) for socket in sockets]
    assert len(set(frames)) == 1
    assert built == [(1, 2)]
    for socket in sockets:
        await socket.disconnect()
    assert not live._feeds


async def test_removed_member_is_closed_within_five_seconds(project, member):
    socket, is_open, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    assert is_open
    await sync_to_async(member.delete)()
    assert await closes_with(socket, 5) == consumers.REFUSED
    await socket.wait()


async def test_logged_out_session_is_closed_within_five_seconds(project, member):
    from django.contrib.sessions.models import Session

    socket, _, _ = await opened(
        "/ws/projects/shop/activity/", await sync_to_async(cookie_of)(member)
    )
    await sync_to_async(Session.objects.all().delete)()
    assert await closes_with(socket, 5) == consumers.REFUSED
    await socket.wait()


async def test_junk_is_ignored_then_closed_and_big_messages_close_at_once(project, member):
    cookie = await sync_to_async(cookie_of)(member)
    socket, _, _ = await opened(SOCKET, cookie)
    for text in (
        " ",
        "[]",
        "[" * 3000,
        '{"seq": true}',
        '{"seq": "1"}',
        '{"seq": 1e400}',
        "\x00",
        '{"ack": null}',
    ):
        await socket.send_to(text_data=text)
    await socket.send_to(bytes_data=b"\xff\xfe")
    assert await socket.receive_nothing(timeout=0.3)
    for _ in range(30):
        await socket.send_to(text_data="nope")
    assert await closes_with(socket, 3) == consumers.BROKEN_RULES
    await socket.wait()
    socket, _, _ = await opened(SOCKET, cookie)
    await socket.send_to(text_data="x" * 5000)
    assert await closes_with(socket, 3) == consumers.TOO_BIG
    await socket.wait()


async def test_reader_that_never_answers_is_held_back_then_closed(project, member, monkeypatch):
    monkeypatch.setattr(consumers, "STALLED_SECONDS", 1.5)
    monkeypatch.setattr(consumers, "WINDOW", 1)
    write = writer(project)
    await write(step("root", status="running"))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 0})
    await socket.receive_from(timeout=3)
    await write(step("a", at=1))
    assert await closes_with(socket, 5) == consumers.TRY_LATER
    await socket.wait()


async def test_deleted_trace_tells_its_readers(project, member):
    write = writer(project)
    await write(step("root"))
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 1})
    await asyncio.sleep(0.4)
    await sync_to_async(delete_trace)(project=project, trace_id="t1")
    frame = await socket.receive_from(timeout=3)
    assert "data-gone" in frame
    assert "was deleted" in frame
    await socket.disconnect()


async def test_activity_is_announced_at_most_once_a_second(project, member):
    write = writer(project)
    socket, is_open, _ = await opened(
        "/ws/projects/shop/activity/", await sync_to_async(cookie_of)(member)
    )
    assert is_open
    for n in range(5):
        await write(step(f"s{n}", at=n))
    assert 'id="activity"' in await socket.receive_from(timeout=2)
    count = 0
    while not await socket.receive_nothing(timeout=1.3):
        await socket.receive_from()
        count += 1
    assert count <= 1
    await socket.disconnect()


async def test_nothing_a_program_sent_becomes_markup_in_a_frame(project, member):
    nasty = "\"><img src=x onerror=alert(1)><script>alert(1)</script>' hx-get=/evil"
    write = writer(project)
    await write(
        step(
            "root",
            request_model=nasty,
            error_type=nasty,
            trace_name=nasty,
            tags=(nasty,),
            agent=nasty,
        )
    )
    socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(member))
    await socket.send_json_to({"seq": 0})
    frame = await socket.receive_from(timeout=3)
    assert "<img" not in frame
    assert "<script" not in frame
    assert "' hx-get" not in frame
    assert await sync_to_async(Trace.objects.filter(project=project).count)() == 1
    await socket.disconnect()


async def test_figures_are_written_as_each_reader_wants_them(project, member):
    await sync_to_async(User.objects.filter(pk=member.user_id).update)(number_style="1.234,56")
    other = await sync_to_async(MembershipFactory)(
        organization=project.organization, role=Role.VIEWER
    )
    plan = step("plan", at=10)
    plan.ended_at = plan.started_at + dt.timedelta(milliseconds=1_500)
    await writer(project)(step("root", status="running"), plan)
    frames = []
    for one in (member, other):
        socket, _, _ = await opened(SOCKET, await sync_to_async(cookie_of)(one))
        await socket.send_json_to({"seq": 0})
        frames.append(await socket.receive_from(timeout=3))
        await socket.disconnect()
    assert ("1,50 s" in frames[0], "1.50 s" in frames[0]) == (True, False)
    assert ("1,50 s" in frames[1], "1.50 s" in frames[1]) == (False, True)
