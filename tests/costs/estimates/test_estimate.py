"""The arithmetic of planned workloads, to the last digit."""

import datetime as dt
from decimal import Decimal

import pytest

from costs.estimates.estimate import estimate
from costs.estimates.forms import query_of, read_calculator
from costs.estimates.plans import compared_plans
from costs.estimates.workload import CostLine, Part, Workload
from costs.price_rules import NO_RULES

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
# gpt-5-mini: 0.25 in, 0.025 cached, 2.00 out per million.
MINI = Part("openai/gpt-5-mini", Decimal(1), 1000, 200)


def test_one_call_times_tasks() -> None:
    plan = estimate(Workload(1000, (MINI,), months=2), name="plan", rules=NO_RULES, now=NOW)
    assert plan.per_task_usd == Decimal("0.00065")
    assert [month.total_usd for month in plan.months] == [Decimal("0.65000"), Decimal("0.65000")]
    assert plan.total_usd == Decimal("1.30")
    assert plan.parts[0].classes == {"input": Decimal("0.00025"), "output": Decimal("0.0004")}


def test_cached_share_is_part_of_the_input() -> None:
    part = Part("openai/gpt-5-mini", Decimal(1), 1000, 0, cache_read_percent=Decimal(40))
    plan = estimate(Workload(1, (part,), months=1), name="plan", rules=NO_RULES, now=NOW)
    # 600 at 0.25 and 400 at 0.025 per million.
    assert plan.per_task_usd == Decimal("0.00016")


def test_mix_is_calls_per_task() -> None:
    mix = (
        Part("openai/gpt-5-mini", Decimal("0.8"), 1000, 200),
        Part("openai/gpt-5", Decimal("0.2"), 1000, 200),
    )
    plan = estimate(Workload(10, mix, months=1), name="plan", rules=NO_RULES, now=NOW)
    # 0.8 × 0.00065 + 0.2 × (0.00125 + 0.002)
    assert plan.per_task_usd == Decimal("0.00117")
    assert plan.total_usd == Decimal("0.01170")


def test_growth_makes_whole_tasks() -> None:
    work = Workload(1000, (MINI,), months=3, growth_percent=Decimal("12.5"))
    assert [work.tasks_in(month) for month in range(3)] == [1000, 1125, 1266]


def test_batch_share_is_priced_as_batch() -> None:
    half = Workload(1, (MINI,), months=1, batch_percent=Decimal(50))
    plan = estimate(half, name="plan", rules=NO_RULES, now=NOW)
    assert plan.per_task_usd is not None
    said = [note for note in plan.notes if "batch" in note]
    # Half price where the catalogue has one; else the standard price, and it says so.
    assert plan.per_task_usd == (Decimal("0.00065") if said else Decimal("0.0004875"))


def test_other_costs_grow_with_months_or_tasks() -> None:
    lines = (CostLine("GPU", Decimal(100)), CostLine("Review", Decimal("2.5"), "thousand"))
    plan = estimate(
        Workload(2000, (MINI,), months=1, lines=lines), name="plan", rules=NO_RULES, now=NOW
    )
    assert plan.months[0].lines_usd == (Decimal(100), Decimal("5.0"))
    assert plan.total_usd == Decimal("106.30000")


def test_unknown_model_has_no_total() -> None:
    lines = (CostLine("GPU", Decimal(100)),)
    work = Workload(10, (MINI, Part("nobody/nothing", Decimal(1), 10, 10)), lines=lines)
    plan = estimate(work, name="plan", rules=NO_RULES, now=NOW)
    assert (plan.per_task_usd, plan.total_usd, plan.first_month_usd) == (None, None, None)
    assert plan.notes == ("nobody/nothing: The price catalogue does not know this provider.",)


def test_others_come_cheapest_first_and_unknown_last() -> None:
    names = ["nobody/nothing", "openai/gpt-5", "openai/gpt-5-mini"]
    plans = compared_plans(Workload(10, (MINI,)), names, rules=NO_RULES, now=NOW)
    assert [plan.name for plan in plans] == [
        "As planned", "openai/gpt-5-mini", "openai/gpt-5", "nobody/nothing",
    ]  # fmt: skip
    assert plans[1].total_usd == plans[0].total_usd


def test_an_address_says_the_same_workload() -> None:
    work = Workload(
        1200,
        (Part("openai/gpt-5", Decimal("0.25"), 900, 80, Decimal("33.5"), Decimal(2)), MINI),
        months=6,
        growth_percent=Decimal(-10),
        batch_percent=Decimal(25),
        lines=(CostLine("GPU", Decimal("99.5"), "thousand"),),
    )
    forms = read_calculator(query_of(work, compared=("a/b",)))
    assert forms.is_valid
    assert (forms.workload, forms.compared) == (work, ("a/b",))


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("tasks=0", "tasks", "Ensure this value is greater than or equal to 1."),
        ("tasks=x", "tasks", "Enter a whole number."),
        ("tasks=1&growth=101", "growth", "Ensure this value is less than or equal to 100."),
    ],
)
def test_plan_says_what_is_wrong(text: str, field: str, message: str) -> None:
    from django.http import QueryDict

    forms = read_calculator(QueryDict(text))
    assert not forms.is_valid
    assert forms.plan.errors[field] == [message]


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("p0-input=5", "model", "Name the model, as provider/model."),
        ("p0-model=a/b", "input", "Say how many tokens a call has."),
        ("p0-model=a/b&p0-input=5&p0-read=60&p0-written=41", "read",
         "Cache reads and writes are parts of the input: together at most 100 %."),
        ("p0-model=a/b&p0-input=-1", "input", "Ensure this value is greater than or equal to 0."),
    ],
)  # fmt: skip
def test_call_says_what_is_wrong(text: str, field: str, message: str) -> None:
    from django.http import QueryDict

    forms = read_calculator(QueryDict(f"tasks=1&{text}"))
    assert not forms.is_valid
    assert forms.parts[0].errors[field] == [message]
