"""Saved reports."""

import datetime as dt

import factory
from factory.django import DjangoModelFactory

from costs.models import CostReport, ReportRecipient, ReportSchedule
from tests.factories.accounts import OrganizationFactory, UserFactory


class CostReportFactory(DjangoModelFactory[CostReport]):
    class Meta:
        model = CostReport

    organization = factory.SubFactory(OrganizationFactory)
    author = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda number: f"Report {number}")
    query = "by=model&compare=none"


class ReportScheduleFactory(DjangoModelFactory[ReportSchedule]):
    class Meta:
        model = ReportSchedule

    report = factory.SubFactory(CostReportFactory)
    next_run_at = dt.datetime(2026, 11, 9, 8, tzinfo=dt.UTC)


class ReportRecipientFactory(DjangoModelFactory[ReportRecipient]):
    class Meta:
        model = ReportRecipient

    schedule = factory.SubFactory(ReportScheduleFactory)
    user = factory.SubFactory(UserFactory)
