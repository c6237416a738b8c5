"""The demo's bill follows its calls, is the same each time, and its connections survive another address."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal

import pytest
from django.test import override_settings
from django.utils import timezone

from costs.billing.demo_bill import OUTSIDE, charges_of, refresh_bill
from costs.models import BillingAccount, ProviderSync
from projects.demo import SLUG
from projects.models import ProviderConnection
from tests.factories.projects import ProjectFactory
from tests.traces.spans import context_for, llm
from traces.ingest.write import write_spans

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(acme):
    acme.organization.is_demo = True
    acme.organization.save()
    project = ProjectFactory(organization=acme.organization, slug=SLUG)
    now = timezone.now()
    spans = [
        llm(f"call{day}", trace_id=f"t{day}", started_at=now - dt.timedelta(days=day, hours=1))
        for day in range(6)
    ]
    write_spans(context_for(project), spans, now=now)
    return project


def test_every_recorded_call_is_billed_and_more(project) -> None:
    now = timezone.now()
    charges = list(charges_of(project, now=now))
    assert charges == list(charges_of(project, now=now))
    ours = [
        one for one in charges if one.get("key") == "key_support_live" and "visible_from" not in one
    ]
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in ours:
        sums[one["token_class"]] += Decimal(one["amount"])
    # 1,000 in and 100 out, six times, as recorded.
    assert sum(one["requests"] for one in ours) == 6
    assert sum(sums.values()) == Decimal("0.00045") * 6
    assert any(one.get("key") == OUTSIDE[2] for one in charges)


def test_the_demo_is_connected_once_and_follows_the_simulator(project, bills) -> None:
    assert refresh_bill(now=timezone.now()) is False
    with override_settings(LLMLAB_DEMO_SIMULATOR=bills.url):
        assert refresh_bill(now=timezone.now()) is True
        assert refresh_bill(now=timezone.now()) is True
    assert set(BillingAccount.objects.values_list("connection__provider", flat=True)) == {
        "openai",
        "anthropic",
        "google",
    }
    assert ProviderSync.objects.count() == 3
    moved = bills.url.replace("127.0.0.1", "localhost")
    with override_settings(
        LLMLAB_DEMO_SIMULATOR=moved, LLMLAB_OUTBOUND_ALLOW=[moved.removeprefix("http://")]
    ):
        refresh_bill(now=timezone.now())
    stored = ProviderConnection.objects.values_list("settings__base_url", flat=True)
    assert all(url.startswith(moved) for url in stored)
