"""Destinations, schedules and links of exports."""

import datetime as dt

import factory
from django.utils import timezone

from core.ids import uuid7
from costs.exporting.sealing import seal_secret
from costs.models import ExportDestination, ExportLink, ExportSchedule
from tests.factories.accounts import OrganizationFactory


class ExportDestinationFactory(factory.django.DjangoModelFactory[ExportDestination]):
    class Meta:
        model = ExportDestination

    class Params:
        plain = "secret"

    id = factory.LazyFunction(uuid7)
    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Bucket {n}")
    bucket = "exports"
    prefix = "finance"
    region = "us-east-1"
    access_key_id = "key"
    secret = factory.LazyAttribute(lambda one: seal_secret(one.organization, one.id, one.plain))


class ExportScheduleFactory(factory.django.DjangoModelFactory[ExportSchedule]):
    class Meta:
        model = ExportSchedule

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Nightly {n}")
    kind = "focus"
    format = "jsonl"
    version = "1.2"
    first_day = dt.date(2026, 10, 1)
    next_run_at = dt.datetime(2026, 11, 20, 3, tzinfo=dt.UTC)


class ExportLinkFactory(factory.django.DjangoModelFactory[ExportLink]):
    class Meta:
        model = ExportLink

    organization = factory.SubFactory(OrganizationFactory)
    job_id = factory.LazyFunction(uuid7)
    file_name = "focus-1.2-2026-11.csv.gz"
    expires_at = factory.LazyFunction(lambda: timezone.now() + dt.timedelta(hours=24))
