"""The bell's websocket on real PostgreSQL and Redis: who may listen, what is said, when it ends."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.utils import timezone

from accounts.models import Membership, Role
from alerts import consumers, signals
from alerts.inbox import hints
from tests.factories.accounts import MembershipFactory
from tests.traces.test_live import closes_with, cookie_of, opened
from traces.consumers import BROKEN_RULES, REFUSED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@pytest.fixture
def member(transactional_db: None) -> Membership:
    channel_layers.backends.clear()
    return MembershipFactory(role=Role.VIEWER, organization__slug="shop")


async def connected(member: Membership) -> Any:
    socket, is_open, _ = await opened("/ws/alerts/shop/", await sync_to_async(cookie_of)(member))
    assert is_open
    return socket


def say(organization_id: Any) -> None:
    """What the engine sends on commit."""
    signals.events_changed.send(
        sender=None, organization_id=organization_id, event_ids=[uuid4()], now=timezone.now()
    )


async def test_a_change_is_said_at_once_and_at_most_once_a_second(member):
    socket = await connected(member)
    started = asyncio.get_running_loop().time()
    say(member.organization_id)
    assert await socket.receive_from(timeout=2) == consumers.CHANGED
    assert asyncio.get_running_loop().time() - started < 0.5
    for _ in range(5):
        say(member.organization_id)
        await asyncio.sleep(0.06)
    assert await socket.receive_nothing(timeout=0.3)
    assert await socket.receive_from(timeout=2) == consumers.CHANGED
    say(None)  # about the installation: nobody's bell
    say(uuid4())
    assert await socket.receive_nothing(timeout=1.2)
    await socket.disconnect()


async def test_reading_is_said_to_the_same_persons_pages_only(member):
    colleague = await sync_to_async(MembershipFactory)(organization=member.organization)
    mine, theirs = await connected(member), await connected(colleague)
    hints.tell_person(member.organization_id, member.user_id)
    assert await mine.receive_from(timeout=2) == consumers.CHANGED
    assert await theirs.receive_nothing(timeout=0.3)
    await mine.disconnect()
    await theirs.disconnect()


async def test_strangers_anonymous_and_unknown_organisations_are_refused_alike(member):
    stranger = await sync_to_async(cookie_of)(await sync_to_async(MembershipFactory)())
    own = await sync_to_async(cookie_of)(member)
    for cookie, path in (
        (b"", "/ws/alerts/shop/"),
        (stranger, "/ws/alerts/shop/"),
        (own, "/ws/alerts/nope/"),
        (b"sessionid=x", "/ws/alerts/shop/"),
    ):
        _, is_open, code = await opened(path, cookie)
        assert (is_open, code) == (False, REFUSED)


async def test_a_removed_member_is_closed_on_the_next_look(member, monkeypatch):
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)
    socket = await connected(member)
    await asyncio.sleep(0.3)
    await sync_to_async(member.delete)()
    assert await closes_with(socket, 3) == REFUSED
    await socket.wait()


async def test_who_talks_too_much_is_closed(member):
    socket = await connected(member)
    for _ in range(60):
        await socket.send_to(text_data="nope")
    assert await closes_with(socket, 3) == BROKEN_RULES
    await socket.wait()
