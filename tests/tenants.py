"""Fixtures: two tenants and a client per role."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role
from tests.factories.accounts import MembershipFactory, OrganizationFactory


@pytest.fixture
def acme(db: None) -> SimpleNamespace:
    """Organisation A with one person per role."""
    organization = OrganizationFactory(name="Acme", slug="acme")
    people: dict[str, Any] = {
        role.value: MembershipFactory(
            organization=organization, role=role, user__email=f"{role.value}@acme.example"
        )
        for role in Role
    }
    return SimpleNamespace(organization=organization, **people)


@pytest.fixture
def globex(db: None) -> SimpleNamespace:
    """Organisation B with an owner."""
    organization = OrganizationFactory(name="Globex", slug="globex")
    owner = MembershipFactory(
        organization=organization, owner=True, user__email="owner@globex.example"
    )
    return SimpleNamespace(organization=organization, owner=owner)


@pytest.fixture
def client_of() -> Any:
    """`client_of(membership)`: a browser logged in as that person."""

    def make(membership: Any) -> Client:
        client = Client()
        client.force_login(membership.user)
        return client

    return make
