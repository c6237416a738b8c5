"""A ledger with everything a FOCUS export meets, and ways to run and read exports."""

import datetime as dt
import gzip
import json
from decimal import Decimal
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import F, Sum
from django.utils import timezone

from core import outbox
from core.models import Job
from costs.breakdown import compact
from costs.exporting import runs
from costs.models import CostDay, CostRecord
from projects.exports.registry import Request
from tests.factories.costs import CostRecordFactory, add_hour

DAY = dt.datetime(2026, 11, 18, tzinfo=dt.UTC)
UNPRICED: dict[str, Any] = {"price_status": "unpriced", "cost_usd": None}


def line(kind: str, quantity: int, price: str, cost: Decimal | None = None) -> dict[str, str]:
    amount = Decimal(price) * quantity if cost is None else cost
    return {
        "class": kind,
        "quantity": str(quantity),
        "unit_price_usd": price,
        "cost_usd": f"{amount:f}",
    }


def record(project: Any, *lines: dict[str, str], is_list: bool = False, **more: Any) -> CostRecord:
    """A call whose cost is the rounded sum of its lines, unless said otherwise; its day knows of it."""
    total = sum((Decimal(one["cost_usd"]) for one in lines), Decimal(0)).quantize(Decimal("1e-12"))
    facts: dict[str, Any] = {
        "project_id": project.pk,
        "occurred_at": DAY + dt.timedelta(hours=10),
        "cost_usd": total,
        "breakdown": list(lines) if is_list else compact(list(lines)),
        "price_source": "genai-prices 1",
    } | more
    made: CostRecord = CostRecordFactory.create(**facts)
    CostDay.objects.update_or_create(
        project=project,
        day=made.occurred_at.date(),
        defaults={"version": F("version") + 1},
        create_defaults={"version": 1},
    )
    add_hour(
        project.pk,
        made.occurred_at.replace(minute=0),
        provider=made.provider,
        model=made.model,
        agent="",
        environment=f"e{made.pk}",
        unpriced_calls=int(made.cost_usd is None),
        cost_usd=made.cost_usd or 0,
    )
    return made


def recorded_sum(*projects: Any) -> Decimal:
    found: Decimal = CostRecord.objects.filter(
        project_id__in=[project.pk for project in projects]
    ).aggregate(sum=Sum("cost_usd", default=Decimal(0)))["sum"]
    return found


def start(
    organization: Any,
    kind: str = "focus",
    format_name: str = "jsonl",
    query: str = "start=2026-11-01&end=2026-11-30",
    **more: Any,
) -> Job:
    return runs.start_export(
        organization=organization,
        kind=kind,
        format_name=format_name,
        request=Request(query=query, now=timezone.now(), is_machine=more.pop("is_machine", False)),
        actor=more.pop("actor", None),
        **more,
    )


def drain(minutes: int = 1) -> None:
    later = dt.timedelta(minutes=minutes)
    while outbox.drain(now=lambda: timezone.now() + later):
        pass


def finished(job: Job, state: str = "done") -> Job:
    drain()
    job.refresh_from_db()
    assert job.state == state, job.message
    return job


def content(job: Job, name: str) -> bytes:
    found = next(file for file in job.result["files"] if file["name"] == name)
    with default_storage.open(found["file"]) as file:
        data = file.read()
    return gzip.decompress(data) if name.endswith(".gz") else data


def rows_of(job: Job) -> list[dict[str, Any]]:
    """All rows of all its JSON Lines."""
    names = [file["name"] for file in job.result["files"] if file["name"].endswith(".jsonl.gz")]
    return [json.loads(text) for name in names for text in content(job, name).splitlines()]
