"""Rules, incidents and channels."""

import datetime as dt
from decimal import Decimal

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from alerts.models import Alert, AlertEvent, Channel, Delivery, Maintenance
from tests.factories.accounts import OrganizationFactory


class ChannelFactory(DjangoModelFactory[Channel]):
    class Meta:
        model = Channel

    organization = factory.SubFactory(OrganizationFactory)
    kind = "email"
    name = factory.Sequence(lambda n: f"Channel {n}")
    settings = factory.LazyFunction(lambda: {"to": ["team@example.com"]})


class AlertFactory(DjangoModelFactory[Alert]):
    class Meta:
        model = Alert

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Alert {n}")
    kind = "error_rate"
    levels = factory.LazyFunction(lambda: [{"limit": "5", "severity": "warning"}])


class AlertEventFactory(DjangoModelFactory[AlertEvent]):
    class Meta:
        model = AlertEvent

    organization = factory.SubFactory(OrganizationFactory)
    kind = "error_rate"
    name = "Errors"
    dedup_key = factory.Sequence(lambda n: f"llmlab:error_rate:{n}::1")
    severity = "warning"
    title = "Errors at 7.5 %"
    words = "7.5 % of 400 calls failed in the last 15 minutes; the limit is 5 %."
    value = Decimal("7.5")
    limit = Decimal(5)
    unit = "percent"
    began_at = factory.LazyFunction(timezone.now)
    fired_at = factory.LazyFunction(timezone.now)


class DeliveryFactory(DjangoModelFactory[Delivery]):
    class Meta:
        model = Delivery

    event = factory.SubFactory(AlertEventFactory)
    organization = factory.SelfAttribute("event.organization")
    channel = factory.SubFactory(
        ChannelFactory, organization=factory.SelfAttribute("..organization")
    )
    lanes = factory.LazyFunction(lambda: ["llmlab:error_rate:1"])
    action = "trigger"
    dedup_key = factory.SelfAttribute("event.dedup_key")
    unique_key = factory.Sequence(lambda n: f"llmlab:test:{n}")
    payload = factory.LazyFunction(lambda: {"title": "Errors at 7.5 %", "extra": {}})
    created_at = factory.LazyFunction(timezone.now)
    next_attempt_at = factory.LazyFunction(timezone.now)


class MaintenanceFactory(DjangoModelFactory[Maintenance]):
    class Meta:
        model = Maintenance

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Maintenance {n}")
    starts_at = factory.LazyFunction(timezone.now)
    ends_at = factory.LazyAttribute(lambda one: one.starts_at + dt.timedelta(hours=2))
