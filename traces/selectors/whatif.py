"""What a trace's tokens would have cost on other models. Arithmetic on prices (the organisation's own and its discounts
before the catalogue's), nothing about how well they answer.

Each call is priced by itself, as it would have been recorded: tiers depend on one call's input. Calls with the same
counts are priced once. Token classes a model has no price of its own for count at the price of what they are part of
(cached input as input), which is what its provider would charge.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from costs.known_models import first_models
from costs.models import CostRecord
from costs.price_rules import RuleSet
from costs.pricing import price_call
from costs.services.rule_cache import load_rules
from costs.usage import ChargeableCall, Usage
from projects.models import Project
from traces.models import Trace

MAX_MODELS = 12
MAX_DISTINCT = 20_000  # different token counts; beyond, the comparison says it is of the first ones
_CLASSES = {
    "cache_write_5m": "cache_write_5m_input_tokens", "cache_write_1h": "cache_write_1h_input_tokens",
    "input_audio": "input_audio_tokens", "output_audio": "output_audio_tokens", "input_image": "input_image_tokens",
    "output_image": "output_image_tokens", "web_search": "web_searches",
}  # fmt: skip
_SLACK = timedelta(days=2)


@dataclass(frozen=True)
class OtherModel:
    """The sum on one model. `cost_usd` is None when no call has a price there; `partial` calls are lower bounds."""

    name: str
    cost_usd: Decimal | None
    priced: int
    partial: int
    unpriced: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The trace as recorded, and elsewhere. `uncounted` calls have no token counts and are in no sum."""

    calls: int
    uncounted: int
    is_cut: bool
    own_cost_usd: Decimal | None
    own_unpriced: int
    models: tuple[OtherModel, ...] = ()
    own_models: tuple[str, ...] = field(default=())


def compare(project: Project, trace: Trace, *, models: Sequence[str] = ()) -> Comparison:
    """The same tokens on `models` ("provider/model"), or on a few well-known ones. Two queries."""
    records = CostRecord.objects.filter(
        project=project,
        trace_id=trace.trace_id,
        occurred_at__gte=trace.first_span_at - _SLACK,
        occurred_at__lte=(trace.ended_at or trace.last_span_at) + _SLACK,
    ).values_list(
        "provider", "model", "cost_usd", "input_tokens", "output_tokens", "cache_read_input_tokens",
        "cache_write_input_tokens", "reasoning_output_tokens", "breakdown", "operation",
    )  # fmt: skip
    usages: Counter[tuple[str, Usage]] = Counter()
    calls = uncounted = unpriced = 0
    own: Decimal | None = None
    names: dict[str, None] = {}
    is_cut = False
    for provider, model, cost, *counts, breakdown, operation in records.iterator(chunk_size=2000):
        usage = _usage(counts, breakdown)
        if not usage.is_known:
            uncounted += 1
            continue
        if (operation, usage) not in usages and len(usages) >= MAX_DISTINCT:
            is_cut = True
            continue
        calls += 1
        usages[operation, usage] += 1
        names[f"{provider}/{model}"] = None
        unpriced += cost is None
        own = own if cost is None else (own or Decimal(0)) + cost
    wanted = list(dict.fromkeys(models)) or first_models(without=names)
    rules = load_rules(project.pk)
    found = (
        tuple(_sum(name, usages, trace, rules) for name in wanted[:MAX_MODELS]) if usages else ()
    )
    ordered = sorted(found, key=lambda one: (one.cost_usd is None, one.cost_usd or 0, one.name))
    return Comparison(calls, uncounted, is_cut, own, unpriced, tuple(ordered), tuple(names))


def _usage(counts: Sequence[int | None], breakdown: Any) -> Usage:
    """The call's token counts; the classes a record has no column for are in its breakdown."""
    total, output, read, written, reasoning = counts
    more: dict[str, Any] = {}
    for item in breakdown if isinstance(breakdown, list) else []:
        column = _CLASSES.get(str(item.get("class")))
        if column:
            more[column] = more.get(column, 0) + int(Decimal(str(item.get("quantity", "0"))))
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_input_tokens=read or 0,
        cache_write_input_tokens=written or 0,
        reasoning_output_tokens=reasoning or 0,
        **more,
    )


def _sum(name: str, usages: Counter[tuple[str, Usage]], trace: Trace, rules: RuleSet) -> OtherModel:
    provider, _, model = name.partition("/")
    total: Decimal | None = None
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for (operation, usage), times in usages.items():
        priced = price_call(
            ChargeableCall(
                record_id="",
                occurred_at=trace.started_at,
                provider=provider,
                model=model,
                operation=operation,
                usage=usage,
            ),
            rules,
        )
        tally[priced.status] += times
        if priced.cost_usd is None:
            reasons[priced.unpriced_reason] += times
        else:
            total = (total or Decimal(0)) + priced.cost_usd * times
    return OtherModel(
        name=name,
        cost_usd=total,
        priced=tally["priced"] + tally["free"],
        partial=tally["partial"],
        unpriced=tally["unpriced"],
        reasons=tuple(reason for reason, _ in reasons.most_common(3)),
    )
