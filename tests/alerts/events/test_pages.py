"""The pages of incidents: firing now, the history, one incident."""

from typing import Any

import pytest
from django.urls import reverse

from tests.factories.alerts import AlertEventFactory

pytestmark = pytest.mark.django_db


def url(name: str, *args: Any, **query: Any) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(f"alerts:{name}", args=args) + (f"?{text}" if text else "")


def test_what_fires_is_listed_and_opens(acme, client_of) -> None:
    event = AlertEventFactory.create(organization=acme.organization, title="Spend at 120 %")
    client = client_of(acme.viewer)
    for name in ("firing", "history"):
        assert "Spend at 120 %" in client.get(url(name, "acme")).content.decode()
    assert client.get(url("event_detail", "acme", event.pk)).status_code == 200
    assert client.get("/alerts/")["Location"] == url("firing", "acme")
