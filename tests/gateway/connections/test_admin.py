"""Operators see how connections stand and may switch them; keys stay sealed."""

from types import SimpleNamespace

import pytest
from django.test import Client

from accounts.models import AuditEvent
from tests.factories.accounts import UserFactory
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory

pytestmark = pytest.mark.django_db


def test_operators_read_and_switch(acme: SimpleNamespace) -> None:
    row = ConnectionFactory.create(organization=acme.organization, name="Main")
    key = ConnectionKeyFactory.create(connection=row)
    client = Client()
    client.force_login(UserFactory.create(email="op@example.com", operator=True))
    listing = "/admin/gateway/connection/"
    assert b"Main" in client.get(listing).content
    assert client.get(f"{listing}{row.pk}/change/").status_code == 200
    client.post(listing, {"action": "switch_off", "_selected_action": [str(row.pk)]})
    row.refresh_from_db()
    assert row.is_enabled is False
    assert AuditEvent.objects.get().action == "gateway.connection.disabled"
    shown = client.get(f"/admin/gateway/connectionkey/{key.pk}/change/").content.decode()
    assert key.hint in shown
    assert "sealed" not in shown
    assert client.get("/admin/gateway/connectionkey/").status_code == 200
