"""When reconciliation runs again: what changed, and nothing else; one job at a time."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from core.jobs import request_cancel
from core.models import Job
from costs import signals
from costs.models import BilledCost, BillingMapping, ReconciledCause, ReconciledDay, ReconciledFacts
from costs.reconciliation import job, receivers
from costs.services.record_costs import record_costs
from costs.usage import ChargeableCall, Usage
from tests.costs.repricing import one_step
from tests.factories.billing import BilledCostFactory, BillingAccountFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=False)


@pytest.fixture
def ledgers(acme: SimpleNamespace, now: dt.datetime) -> SimpleNamespace:
    """A call of yesterday, recorded and billed."""
    day = now.date() - dt.timedelta(days=1)
    account = BillingAccountFactory(
        connection__organization=acme.organization, synced_through=now, data_through=now
    )
    project = ProjectFactory(organization=acme.organization)
    BilledCostFactory(
        account=account, day=day, model="gpt-5.5", service_tier="standard", token_class="output",
        quantity=Decimal(1000), amount=Decimal("0.03"), amount_usd=Decimal("0.03"), provider_key_id="k",
    )  # fmt: skip
    call(project, "one", now)
    return SimpleNamespace(
        organization=acme.organization, project=project, account=account, day=day, now=now
    )


@pytest.fixture
def now() -> dt.datetime:
    from django.utils import timezone

    return timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)


def call(project: Any, name: str, now: dt.datetime) -> None:
    usage = Usage(input_tokens=0, output_tokens=1000)
    at = now - dt.timedelta(days=1)
    made = ChargeableCall(
        record_id=name, occurred_at=at, provider="openai", model="gpt-5.5", usage=usage
    )
    record_costs(project_id=project.pk, calls=[made], now=now)


def finish() -> None:
    """Every step that is due."""
    while one_step():
        pass


def causes(organization: Any) -> dict[str, Decimal]:
    return dict(
        ReconciledCause.objects.filter(organization=organization).values_list("kind", "amount_usd")
    )


def test_it_runs_again_only_when_a_ledger_changed(ledgers: Any) -> None:
    organization, now = ledgers.organization, ledgers.now
    assert receivers.refresh_stale(now=now) == 1
    finish()
    assert causes(organization) == {}
    assert ReconciledDay.objects.get(day=ledgers.day).matched_usd == Decimal("0.03")
    assert receivers.refresh_stale(now=now) == 0

    call(ledgers.project, "two", now)
    kept = ReconciledFacts.objects.get(project=ledgers.project, day=ledgers.day).version
    assert receivers.refresh_stale(now=now) == 1
    finish()
    assert ReconciledFacts.objects.get(project=ledgers.project, day=ledgers.day).version > kept
    assert causes(organization) == {"late": Decimal("-0.03")}


def test_a_correction_and_a_mapping_are_changes(ledgers: Any) -> None:
    organization, now = ledgers.organization, ledgers.now
    job.want_reconciliation(organization_id=organization.pk, now=now)
    finish()
    BilledCost.objects.update(amount=Decimal("0.04"), amount_usd=Decimal("0.04"), revision=2)
    signals.sync_finished.send(
        sender=None, organization_id=organization.pk, account_id=ledgers.account.pk, first_day=ledgers.day,
        end_day=ledgers.day, now=now,
    )  # fmt: skip
    finish()
    assert causes(organization) == {"price": Decimal("0.01")}

    BillingMapping.objects.create(account=ledgers.account, provider_key_id="k", is_outside=True)
    assert job.is_stale(organization.pk, now=now)


def test_one_job_at_a_time_and_it_looks_again(ledgers: Any) -> None:
    organization, now = ledgers.organization, ledgers.now
    first = job.want_reconciliation(organization_id=organization.pk, now=now)
    assert first is not None
    assert job.want_reconciliation(organization_id=organization.pk, now=now) is None
    finish()
    assert Job.objects.filter(kind=job.KIND, state=Job.State.DONE).count() == 1
    assert not job.is_stale(organization.pk, now=now)


def test_a_cancelled_job_gives_way_to_the_next(ledgers: Any) -> None:
    organization, now = ledgers.organization, ledgers.now
    first = job.want_reconciliation(organization_id=organization.pk, now=now)
    assert first is not None
    request_cancel(first.pk, now=now)
    finish()
    assert not ReconciledDay.objects.exists()

    assert job.want_reconciliation(organization_id=organization.pk, now=now) is not None
    finish()
    assert ReconciledDay.objects.exists()
