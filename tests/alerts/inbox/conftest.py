"""A person, their organisation, and incidents that people were told of."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Role
from alerts.models import AlertEvent
from tests.factories.accounts import MembershipFactory
from tests.factories.alerts import AlertEventFactory

Fire = Callable[..., AlertEvent]


@pytest.fixture
def member(db: None) -> Membership:
    """A viewer who joined a month and a half ago."""
    membership = MembershipFactory(role=Role.VIEWER)
    joined = timezone.now() - dt.timedelta(days=45)
    Membership.objects.filter(pk=membership.pk).update(created_at=joined)
    membership.refresh_from_db()
    return membership


@pytest.fixture
def client(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


@pytest.fixture
def fire(member: Membership) -> Fire:
    """`fire(ago=minutes, **fields)`: an incident of the member's organisation that people were told of."""

    def made(ago: float = 1, **fields: Any) -> AlertEvent:
        at = timezone.now() - dt.timedelta(minutes=ago)
        return AlertEventFactory(
            **{
                "organization": member.organization,
                "began_at": at,
                "fired_at": at,
                "told_at": at,
                "waiting_since": at,
                **fields,
            }
        )

    return made
