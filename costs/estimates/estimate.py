"""What a planned workload costs, by the organisation's own prices and discounts before the catalogue's (pure).

Each call is priced as it would be recorded (costs.pricing), so thresholds, batch prices and cached tokens count as they
will. Unknown stays unknown: a plan with a call that has no price has no total.
"""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal

from costs.estimates.workload import HUNDRED, ONE, THOUSAND, Part, Workload
from costs.price_rules import RuleSet
from costs.prices import FLAGS, REASONS
from costs.pricing import PARTIAL_FLAGS, Priced, price_call
from costs.usage import ChargeableCall

ZERO = Decimal(0)
_NO_BATCH = "No batch price is known for {}; the standard price was taken."


@dataclass(frozen=True)
class Month:
    """One month of the plan. `models_usd` is None where a price is missing; lines are always known."""

    number: int  # from 1
    tasks: int
    models_usd: Decimal | None
    lines_usd: tuple[Decimal, ...]

    @property
    def total_usd(self) -> Decimal | None:
        return None if self.models_usd is None else self.models_usd + sum(self.lines_usd, ZERO)


@dataclass(frozen=True)
class PartCost:
    """What a task spends on one of its calls, by token class."""

    part: Part
    per_task_usd: Decimal | None
    classes: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A plan's cost. `notes` say what is missing or assumed."""

    name: str
    per_task_usd: Decimal | None
    parts: tuple[PartCost, ...]
    months: tuple[Month, ...]
    notes: tuple[str, ...] = ()
    is_lower_bound: bool = False

    @property
    def per_thousand_usd(self) -> Decimal | None:
        return None if self.per_task_usd is None else self.per_task_usd * THOUSAND

    @property
    def first_month_usd(self) -> Decimal | None:
        return self.months[0].total_usd

    @property
    def total_usd(self) -> Decimal | None:
        """All months together, lines included."""
        totals = [month.total_usd for month in self.months]
        known = [total for total in totals if total is not None]
        return sum(known, ZERO) if len(known) == len(totals) else None


def estimate(workload: Workload, *, name: str, rules: RuleSet, now: dt.datetime) -> Estimate:
    """The cost of `workload` at the prices of `now`."""
    notes: dict[str, None] = {}
    found = [
        _part_cost(part, workload.batch_percent, rules=rules, now=now, notes=notes)
        for part in workload.parts
    ]
    known = [one.per_task_usd for one, _ in found if one.per_task_usd is not None]
    per_task = sum(known, ZERO) if len(known) == len(found) else None
    months = []
    for number in range(workload.months):
        tasks = workload.tasks_in(number)
        models = None if per_task is None else per_task * tasks
        lines = tuple(line.in_month(tasks) for line in workload.lines)
        months.append(Month(number + 1, tasks, models, lines))
    return Estimate(
        name,
        per_task,
        tuple(one for one, _ in found),
        tuple(months),
        tuple(notes),
        any(is_partial for _, is_partial in found),
    )


def _part_cost(
    part: Part, batch_percent: Decimal, *, rules: RuleSet, now: dt.datetime, notes: dict[str, None]
) -> tuple[PartCost, bool]:
    """Standard and batch calls weighed by their shares, times the calls of a task; and whether it is a lower bound."""
    batch = batch_percent / HUNDRED
    cost, classes, is_partial = ZERO, dict[str, Decimal](), False
    for share, processing in ((ONE - batch, ""), (batch, "batch")):
        if not share:
            continue
        priced = _price(part, processing, rules, now)
        if priced.cost_usd is None:
            reason = REASONS.get(priced.unpriced_reason, priced.unpriced_reason)
            notes[f"{part.model or 'A call without a model'}: {reason}"] = None
            return PartCost(part, None), False
        is_partial |= _say_gaps(part, processing, priced, notes)
        weight = share * part.calls
        cost += priced.cost_usd * weight
        for line in priced.breakdown:
            name = line["class"]
            classes[name] = classes.get(name, ZERO) + Decimal(line["cost_usd"]) * weight
    return PartCost(part, cost, classes), is_partial


def _price(part: Part, processing: str, rules: RuleSet, now: dt.datetime) -> Priced:
    call = ChargeableCall(
        record_id="estimate",
        occurred_at=now,
        provider=part.provider,
        model=part.model_name,
        request_model=part.model_name,
        operation="chat",
        processing=processing,
        usage=part.usage,
    )
    return price_call(call, rules)


def _say_gaps(part: Part, processing: str, priced: Priced, notes: dict[str, None]) -> bool:
    """Put into words what the price leaves out; True when the cost is a lower bound for it."""
    flags = set(priced.flags)
    if processing == "batch" and "tier_unpriced" in flags:
        notes[_NO_BATCH.format(part.model)] = None
        flags.discard("tier_unpriced")
    for flag in flags & FLAGS.keys():
        notes[f"{part.model}: {FLAGS[flag][0]}"] = None
    return not PARTIAL_FLAGS.isdisjoint(flags)
