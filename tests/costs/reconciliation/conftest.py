"""A month that was worked out: two days of a model with a gap, and what the bill says about its prices."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from costs.models import PriceCheck, ReconciledCause, ReconciledCell, ReconciledDay
from tests.factories.projects import ProjectFactory

NOW = dt.datetime(2026, 11, 5, tzinfo=dt.UTC)
DAY = dt.date(2026, 11, 2)


def make_cell(
    organization: Any, day: dt.date = DAY, model: str = "gpt-5.5", **sums: Any
) -> ReconciledCell:
    """A cell with outside calls of $2 and a wrong price of −$0.50."""
    values: dict[str, Any] = {
        "billed_usd": Decimal("11.5"), "recorded_usd": Decimal(10), "matched_usd": Decimal(10),
        "unexplained_usd": Decimal(0),
    }  # fmt: skip
    place = {"organization": organization, "provider": "openai", "day": day}
    cell = ReconciledCell.objects.create(
        **place, model=model, calls=7, requests=9, **(values | sums)
    )
    for kind, usd, evidence in (
        ("outside", "2", {"note": "found", "key": "key-cron", "tokens": "4000", "usd": "2"}),
        (
            "price",
            "-0.5",
            {"ours": "0.00003", "theirs": "0.000025", "tokens": "100000", "usd": "-0.5"},
        ),
    ):
        ReconciledCause.objects.create(
            **place, cell=cell, model=model, kind=kind, amount_usd=Decimal(usd), evidence=[evidence]
        )
    return cell


@pytest.fixture
def worked(acme: SimpleNamespace) -> SimpleNamespace:
    """Acme's month."""
    organization = acme.organization
    project = ProjectFactory(organization=organization, name="Support bot")
    cells = [make_cell(organization, DAY + dt.timedelta(days=number)) for number in range(2)]
    cells[0].lines = [
        {"sub_account": "proj_1", "key": "key-cron", "tier": "standard", "token_class": "output",
         "billed_quantity": "4000", "billed_usd": "2"},
        {"project": str(project.pk), "tier": "standard", "token_class": "output", "recorded_quantity": "100000",
         "recorded_usd": "10"},
    ]  # fmt: skip
    cells[0].save()
    for cell in cells:
        ReconciledDay.objects.create(
            organization=organization, provider="openai", day=cell.day, billed_usd=cell.billed_usd,
            recorded_usd=cell.recorded_usd, matched_usd=cell.matched_usd, computed_at=NOW,
        )  # fmt: skip
    common = {
        "organization": organization, "provider": "openai", "model": "gpt-5.5", "service_tier": "standard",
        "month": DAY.replace(day=1), "first_day": DAY, "last_day": DAY, "days": 1, "quantity": Decimal(1),
        "amount_usd": Decimal(3),
    }  # fmt: skip
    PriceCheck.objects.create(
        **common, token_class="input", state="verified", our_price_usd=Decimal("0.000005"),
        billed_price_usd=Decimal("0.000005"),
    )  # fmt: skip
    PriceCheck.objects.create(
        **common, token_class="output", state="differs", our_price_usd=Decimal("0.00003"),
        billed_price_usd=Decimal("0.000025"),
    )  # fmt: skip
    return SimpleNamespace(organization=organization, project=project, cells=cells)
