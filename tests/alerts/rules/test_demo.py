"""The demo's rules: limits from its own hours, incidents decided as they would have been then, nobody told of them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.demo import HOOK, furnish_alerts
from alerts.models import Alert, AlertEvent, Channel, Delivery
from tests.factories.alerts import AlertFactory
from tests.factories.costs import add_hour

pytestmark = pytest.mark.django_db


def test_the_demo_has_rules_and_a_past_that_was_judged_hour_by_hour(
    acme, project, settings
) -> None:
    settings.LLMLAB_DEMO_SIMULATOR = "http://127.0.0.1:8900"
    settings.LLMLAB_OUTBOUND_ALLOW = ["127.0.0.1:8900"]
    now = timezone.now().replace(minute=30)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for back in range(1, 100):
        errors = 10 if back == 50 else back % 2
        at = hour - dt.timedelta(hours=back)
        add_hour(project.pk, at, calls=40, errors=errors, cost_usd=Decimal(1))
    furnish_alerts(project=project, owner=acme.owner.user, now=now)
    names = set(Alert.objects.values_list("name", flat=True))
    assert {"Budgets", "Budgets that will not last", "Nothing arrives", "Failing calls"} <= names
    incident = AlertEvent.objects.filter(name="Failing calls").order_by("-value").first()
    assert incident is not None
    assert (incident.value, incident.state) == (25, "resolved")
    assert incident.fired_at == hour - dt.timedelta(hours=49)
    assert "of 40 calls failed" in incident.words
    assert not Delivery.objects.exists()
    assert set(Channel.objects.values_list("kind", flat=True)) == {"email", "webhook"}
    assert all(alert.channels.count() == 2 for alert in Alert.objects.all())
    Alert.objects.all().delete()
    furnish_alerts(project=project, owner=acme.owner.user, now=now)
    assert not Alert.objects.exists()
    assert Channel.objects.filter(name=HOOK).count() == 1


def test_operators_look_at_rules_and_change_none(acme, admin_client: Client) -> None:
    made: Any = AlertFactory.create(organization=acme.organization, name="Theirs")
    listed = admin_client.get(reverse("admin:alerts_alert_changelist"), {"q": "acme"})
    assert "Theirs" in listed.content.decode()
    path = reverse("admin:alerts_alert_change", args=[made.pk])
    assert admin_client.get(path).status_code == 200
    assert admin_client.post(path, {"name": "Mine"}).status_code == 403
