"""Cost rows made by hand, without the services that normally write them."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import factory
from factory.django import DjangoModelFactory

from core import partitions
from costs.filters import ROW_FIELDS
from costs.histogram import merge
from costs.models import (
    BY_FIELDS,
    CostAggregate,
    CostDailyAggregate,
    CostRecord,
    PriceStatus,
    ProjectUsage,
)
from costs.selectors.sums import FIELDS

HOUR = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)


class CostAggregateFactory(DjangoModelFactory[CostAggregate]):
    """One hour of calls; pass `project=` and what matters to the test."""

    class Meta:
        model = CostAggregate

    hour = HOUR
    dimension = "all"
    value = ""
    provider = "openai"
    model = "gpt-4o"
    environment = "production"
    agent = "support"
    calls = 1
    cost_usd = Decimal("0.01")


class ProjectUsageFactory(DjangoModelFactory[ProjectUsage]):
    """Where a project's ledger stands."""

    class Meta:
        model = ProjectUsage

    version = 1
    last_activity_at = HOUR


class CostRecordFactory(DjangoModelFactory[CostRecord]):
    """One ledger row; its day partition is made when it is missing."""

    class Meta:
        model = CostRecord

    record_id = factory.Sequence(lambda n: f"trace:{n:06d}")
    occurred_at = HOUR
    recorded_at = factory.SelfAttribute("occurred_at")
    provider = "openai"
    model = "gpt-4o"
    price_status = PriceStatus.PRICED
    cost_usd = Decimal("0.0123")

    @classmethod
    def _create(cls, model_class: type[CostRecord], *args: Any, **kwargs: Any) -> CostRecord:
        partitions.ensure_days([kwargs["occurred_at"].date()], tables=["costs_costrecord"])
        return super()._create(model_class, *args, **kwargs)


def add_hour(project_id: UUID, hour: dt.datetime = HOUR, **values: Any) -> CostAggregate:
    """One hourly row of a project, and what its day grows by."""
    made = CostAggregateFactory.create(project_id=project_id, hour=hour, **values)
    for dimension, has_fields in _daily(made.dimension):
        _grow_day(made, dimension, has_fields=has_fields)
    return made


def _daily(dimension: str) -> list[tuple[str, bool]]:
    return (
        [("all", True)]
        if dimension == "all"
        else [(dimension, False), (dimension + BY_FIELDS, True)]
    )


def _grow_day(made: CostAggregate, dimension: str, *, has_fields: bool) -> None:
    key = {
        "project_id": made.project_id,
        "hour": made.hour.replace(hour=0),
        "dimension": dimension,
        "value": made.value,
        **{name: getattr(made, name) if has_fields else "" for name in ROW_FIELDS},
    }
    day = CostDailyAggregate.objects.filter(**key).first() or CostDailyAggregate(**key)
    for name in (*FIELDS, "latency_calls", "latency_ms", "first_token_calls", "first_token_ms"):
        more = getattr(made, name)
        setattr(day, name, getattr(day, name) + (Decimal(more) if name == "cost_usd" else more))
    for name in ("latency_counts", "first_token_counts"):
        if (mine := getattr(made, name)) is not None:
            before = getattr(day, name)
            setattr(day, name, mine if before is None else merge(before.to_list(), mine))
    day.save()
