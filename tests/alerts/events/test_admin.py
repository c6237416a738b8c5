"""Incidents, timelines and windows in the operators' admin: to look at."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.models import EventEntry
from tests.factories.accounts import UserFactory
from tests.factories.alerts import AlertEventFactory, MaintenanceFactory

pytestmark = pytest.mark.django_db


def test_operators_look_at_incidents_and_change_nothing(acme) -> None:
    event = AlertEventFactory.create(organization=acme.organization, title="Errors at 7.5%")
    EventEntry.objects.create(event=event, at=timezone.now(), kind="fired", words="It began")
    MaintenanceFactory.create(organization=acme.organization, name="Upgrade")
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    for name, said in (
        ("alertevent", "Errors at 7.5%"),
        ("evententry", "Errors at 7.5%"),
        ("maintenance", "Upgrade"),
    ):
        listed = client.get(reverse(f"admin:alerts_{name}_changelist"), {"q": said[:6]})
        assert said in listed.content.decode(), name
        assert client.get(reverse(f"admin:alerts_{name}_add")).status_code == 403
    page = reverse("admin:alerts_alertevent_change", args=[event.pk])
    assert "It began" in client.get(page).content.decode()
    assert client.post(page, {"title": "x"}).status_code == 403
