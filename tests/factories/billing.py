"""Connections, billing accounts and lines of bills."""

import datetime as dt
from decimal import Decimal

import factory

from core.ids import uuid7
from costs.models import BilledCost, BilledRevision, BillingAccount, CurrencyRate, ProviderSync
from projects.connections import hint_of, seal_credentials
from projects.models import ProviderConnection
from tests.factories.accounts import OrganizationFactory

DAY = dt.date(2026, 11, 2)
SECRET = "sk-admin-0123456789abcdefghij-SECRET"


class ProviderConnectionFactory(factory.django.DjangoModelFactory[ProviderConnection]):
    class Meta:
        model = ProviderConnection

    class Params:
        secret = SECRET
        credentials_in_clear = factory.LazyAttribute(lambda one: {"api_key": one.secret})

    organization = factory.SubFactory(OrganizationFactory)
    provider = "openai"
    name = factory.Sequence(lambda n: f"Connection {n}")
    status = ProviderConnection.Status.VERIFIED
    hint = factory.LazyAttribute(lambda one: hint_of(one.secret))
    id = factory.LazyFunction(uuid7)
    credentials = factory.LazyAttribute(
        lambda one: seal_credentials(one.organization, one.id, one.credentials_in_clear)
    )


class BillingAccountFactory(factory.django.DjangoModelFactory[BillingAccount]):
    class Meta:
        model = BillingAccount

    connection = factory.SubFactory(ProviderConnectionFactory)
    organization = factory.SelfAttribute("connection.organization")
    currency = "USD"


class ProviderSyncFactory(factory.django.DjangoModelFactory[ProviderSync]):
    class Meta:
        model = ProviderSync

    account = factory.SubFactory(BillingAccountFactory)
    organization = factory.SelfAttribute("account.organization")
    kind = ProviderSync.Kind.MANUAL
    state = ProviderSync.State.DONE
    first_day = DAY
    end_day = DAY + dt.timedelta(days=3)
    next_day = factory.SelfAttribute("end_day")


class BilledCostFactory(factory.django.DjangoModelFactory[BilledCost]):
    class Meta:
        model = BilledCost

    account = factory.SubFactory(BillingAccountFactory)
    organization = factory.SelfAttribute("account.organization")
    day = DAY
    starts_at = factory.LazyAttribute(lambda one: dt.datetime.combine(one.day, dt.time(), dt.UTC))
    ends_at = factory.LazyAttribute(lambda one: one.starts_at + dt.timedelta(days=1))
    natural_key = factory.Sequence(lambda n: f"{n:040x}")
    source = "costs"
    provider = "openai"
    sub_account_id = "proj_1"
    sub_account_name = "Checkout"
    model = "gpt-5-mini"
    token_class = "input"
    description = "gpt-5-mini, input"
    quantity = Decimal(1000)
    unit = "tokens"
    amount = Decimal("1.25")
    currency = "USD"
    amount_usd = factory.LazyAttribute(lambda one: one.amount if one.currency == "USD" else None)
    fetched_at = factory.SelfAttribute("ends_at")


class BilledRevisionFactory(factory.django.DjangoModelFactory[BilledRevision]):
    class Meta:
        model = BilledRevision

    account = factory.SubFactory(BillingAccountFactory)
    organization = factory.SelfAttribute("account.organization")
    day = DAY
    natural_key = factory.Sequence(lambda n: f"{n:040x}")
    subject = "gpt-5-mini, input"
    before = Decimal("1.25")
    after = Decimal("1.5")
    unit = "USD"
    seen_at = dt.datetime(2026, 11, 4, tzinfo=dt.UTC)


class CurrencyRateFactory(factory.django.DjangoModelFactory[CurrencyRate]):
    class Meta:
        model = CurrencyRate

    currency = "EUR"
    valid_from = DAY
    usd_per_unit = Decimal("1.1")
