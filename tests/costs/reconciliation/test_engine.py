"""The engine by itself: one identity that always holds, and the finer points of single causes."""

import datetime as dt
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from costs.reconciliation.engine import reconcile
from costs.reconciliation.facts import OUTSIDE, Calls, Cell, Charge, Tokens, Use, Window

DAY = dt.date(2026, 11, 2)
NOON = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
PRICES = {
    "input": Decimal("0.000005"),
    "cache_read": Decimal("0.0000005"),
    "output": Decimal("0.00003"),
}


def price_of(model: str, tier: str, token_class: str, day: dt.date) -> Decimal | None:
    factor = {"standard": Decimal(1), "batch": Decimal("0.5")}.get(tier)
    found = PRICES.get(token_class)
    return None if factor is None or found is None else found * factor


def charge(token_class: str, quantity: int | None, usd: str, **more: object) -> Charge:
    facts: dict[str, object] = {
        "account": "a",
        "day": DAY,
        "model": "m",
        "tier": "standard",
        "token_class": token_class,
        "amount": Decimal(usd),
        "amount_usd": Decimal(usd),
        "quantity": None if quantity is None else Decimal(quantity),
    }
    return Charge(**(facts | more))  # type: ignore[arg-type]


def tokens(token_class: str, quantity: int, **more: object) -> Tokens:
    facts: dict[str, object] = {
        "hour": NOON, "project": "p", "model": "m", "tier": "standard", "token_class": token_class,
        "quantity": quantity, "cost_usd": PRICES.get(token_class, Decimal(0)) * quantity,
    }  # fmt: skip
    return Tokens(**(facts | more))  # type: ignore[arg-type]


def calls(count: int, usd: Decimal, **more: object) -> Calls:
    facts: dict[str, object] = {
        "hour": NOON,
        "project": "p",
        "model": "m",
        "tier": "standard",
        "calls": count,
        "cost_usd": usd,
    }
    return Calls(**(facts | more))  # type: ignore[arg-type]


def one(window: Window) -> Cell:
    (cell,) = reconcile(window)
    assert cell.billed_usd - cell.recorded_usd == sum(
        (c.amount_usd for c in cell.causes), cell.unexplained_usd
    )
    return cell


def causes(cell: Cell) -> dict[str, Decimal]:
    return {cause.kind: cause.amount_usd for cause in cell.causes}


def window(charges: list[Charge], recorded: list[Tokens], made: int = 1, **more: object) -> Window:
    usd = sum((row.cost_usd or Decimal(0) for row in recorded), Decimal(0))
    facts: dict[str, object] = {
        "provider": "openai", "days": (DAY,), "charges": tuple(charges), "tokens": tuple(recorded),
        "calls": (calls(made, usd),) if made else (), "price_of": price_of,
    }  # fmt: skip
    return Window(**(facts | more))  # type: ignore[arg-type]


def test_a_bill_like_the_records_has_no_gap() -> None:
    cell = one(window([charge("input", 1000, "0.005")], [tokens("input", 1000)]))

    assert cell.causes == ()
    assert [(seen.ours, seen.is_same) for seen in cell.prices] == [(Decimal("0.000005"), True)]


def test_a_dearer_price_is_named_with_its_price() -> None:
    cell = one(window([charge("input", 1000, "0.007")], [tokens("input", 1000)]))

    assert causes(cell) == {"price": Decimal("0.002")}
    assert cell.prices[0].billed == Decimal("0.000007")
    assert not cell.prices[0].is_same


def test_tokens_charged_at_half_are_batch() -> None:
    cell = one(window([charge("input", 1000, "0.0025", tier="")], [tokens("input", 1000)]))

    assert causes(cell) == {"tier": Decimal("-0.0025")}


def test_a_key_outside_takes_all_of_its_money() -> None:
    bill = [charge("input", 1000, "0.005", key="ours"), charge("input", 400, "0.0021", key="cron")]
    cell = one(window(bill, [tokens("input", 1000)], owners={("a", "", "cron"): OUTSIDE}))

    assert causes(cell) == {"outside": Decimal("0.0021")}


def test_more_requests_than_calls_are_outside_and_fewer_tokens_are_lost() -> None:
    def use(requests: int) -> tuple[Use, ...]:
        return (
            Use(
                account="a", day=DAY, model="m", tier="standard", token_class="input", quantity=Decimal(1500),
                requests=requests,
            ),
        )  # fmt: skip

    bill, recorded = [charge("input", 1500, "0.0075")], [tokens("input", 1000)]

    assert causes(one(window(bill, recorded, made=2, uses=use(3)))) == {
        "outside": Decimal("0.0025")
    }
    lost = window(bill, recorded, uses=use(3), calls=(calls(3, Decimal("0.005"), without_usage=1),))
    assert causes(one(lost)) == {"lost_usage": Decimal("0.0025")}


def test_a_day_the_provider_has_not_finished_is_late_not_missing() -> None:
    bill, recorded = [charge("input", 400, "0.002")], [tokens("input", 1000)]

    assert causes(one(window(bill, recorded))) == {"not_billed": Decimal("-0.003")}
    assert causes(one(window(bill, recorded, complete_through=NOON))) == {"late": Decimal("-0.003")}


def test_money_without_quantity_stays_unexplained() -> None:
    cell = one(window([charge("input", None, "0.009")], [tokens("input", 1000)]))

    assert causes(cell) == {}
    assert cell.unexplained_usd == Decimal("0.004")


def test_what_has_no_rate_is_in_no_sum() -> None:
    bill = [charge("input", 1000, "0.005", currency="EUR", amount_usd=None)]
    cell = one(window(bill, [tokens("input", 1000)]))

    assert cell.unconverted == {"EUR": Decimal("0.005")}
    assert cell.billed_usd == 0


def test_a_record_without_a_price_is_missing_its_price() -> None:
    cell = one(window([charge("input", 1000, "0.0033")], [tokens("input", 1000, cost_usd=None)]))

    assert causes(cell) == {"missing_price": Decimal("0.0033")}
    assert cell.prices[0].ours is None


def in_cents(price: str, *, rounding: str = ROUND_HALF_EVEN, **more: object) -> list[Charge]:
    """A bill of many lines, each rounded to a cent."""
    return [
        charge(
            name, count, str((count * PRICES[name] * Decimal(price)).quantize(Decimal("0.01"), rounding)),
            key=f"k{number}", **more,
        )
        for number in range(40)
        for name, count in (("input", 50_021 + 937 * number), ("output", 4_007 + 119 * number))
    ]  # fmt: skip


def recorded_of(bill: list[Charge]) -> list[Tokens]:
    return [tokens(row.token_class, int(row.quantity or 0)) for row in bill]


def test_every_line_of_a_bill_in_cents_narrows_the_price() -> None:
    bill = in_cents("0.8")
    cell = one(window(bill, recorded_of(bill)))

    assert [seen.billed for seen in cell.prices] == [Decimal("0.000004"), Decimal("0.000024")]
    exact = sum((row.quantity or 0) * PRICES[row.token_class] * Decimal("-0.2") for row in bill)
    assert causes(cell)["price"] == exact
    assert set(causes(cell)) == {"price", "rounding"}


def test_a_class_too_cheap_to_tell_has_the_factor_of_its_model() -> None:
    bill = [*in_cents("0.8"), charge("cache_read", 3_000, "0.00", key="k1")]
    cell = one(window(bill, recorded_of(bill)))

    assert [seen.billed for seen in cell.prices if seen.token_class == "cache_read"] == [
        Decimal("0.0000004")
    ]


def test_a_bill_that_always_rounds_up_has_our_prices() -> None:
    bill = in_cents("1", rounding=ROUND_UP)
    days = [replace(row, day=DAY + dt.timedelta(days=n // 8)) for n, row in enumerate(bill)]
    kept = [
        replace(row, hour=NOON + dt.timedelta(days=n // 8))
        for n, row in enumerate(recorded_of(bill))
    ]
    made = tuple(
        calls(
            1,
            sum((r.cost_usd or Decimal(0) for r in kept if r.hour == hour), Decimal(0)),
            hour=hour,
        )
        for hour in sorted({row.hour for row in kept})
    )
    cells = reconcile(window(days, kept, days=tuple(sorted({row.day for row in days})), calls=made))

    assert {kind for cell in cells for kind in causes(cell)} == {"rounding"}


def test_rounding_is_of_what_the_discount_left() -> None:
    bill = [replace(row, model=model) for model in ("m", "n") for row in in_cents("0.9")]
    kept = [replace(row, model=bill[n].model) for n, row in enumerate(recorded_of(bill))]
    made = tuple(
        calls(
            1,
            sum((r.cost_usd or Decimal(0) for r in kept if r.model == model), Decimal(0)),
            model=model,
        )
        for model in ("m", "n")
    )
    for cell in reconcile(window(bill, kept, calls=made)):
        assert causes(cell)["discount"] == cell.recorded_usd * Decimal("-0.1")
        assert set(causes(cell)) == {"discount", "rounding"}


def test_a_line_rounded_to_nothing_is_as_blunt_as_the_others_of_its_currency() -> None:
    rates = {("GBP", DAY): Decimal("1.3")}
    bill = [
        replace(row, currency="GBP", amount_usd=row.amount * Decimal("1.3"))
        for row in [*in_cents("0.77"), charge("cache_read", 12_900, "0.00", key="k1")]
    ]
    cell = one(window(bill, recorded_of(bill), rates=rates))

    assert causes(cell)["currency"] == cell.recorded_usd * Decimal("0.001")
    assert set(causes(cell)) == {"currency", "rounding"}


def test_keys_nobody_mapped_are_the_project_s_whose_calls_agree() -> None:
    """One project's calls lose their usage on the last day, the other's are not billed: neither hides the other."""
    bill, used, kept, made = [], [], [], []
    for n in range(5):
        day = DAY + dt.timedelta(days=n)
        for project, count in (("p", 1000 + n), ("q", 5000 + 7 * n)):
            is_lost, is_billed = n == 4 and project == "p", n < 4 or project == "p"
            row = tokens("input", count, project=project, hour=NOON + dt.timedelta(days=n))
            kept += [] if is_lost else [row]
            usd = Decimal(0) if is_lost else (row.cost_usd or Decimal(0))
            made.append(calls(1, usd, project=project, hour=row.hour, without_usage=int(is_lost)))
            if is_billed:
                key = f"key-{project}"
                bill.append(charge("input", count, str(row.cost_usd), day=day, key=key))
                used.append(
                    Use(
                        account="a", day=day, model="m", tier="standard", token_class="input", key=key,
                        quantity=Decimal(count),
                    )
                )  # fmt: skip
    days = tuple(DAY + dt.timedelta(days=n) for n in range(5))
    cells = reconcile(window(bill, kept, days=days, calls=tuple(made), uses=tuple(used)))

    assert [causes(cell) for cell in cells[:4]] == [{}] * 4
    assert causes(cells[4]) == {
        "lost_usage": Decimal("0.00502"), "not_billed": Decimal("-0.02514"),
    }  # fmt: skip


def test_one_lost_call_is_judged_by_its_money_not_by_one_class() -> None:
    bill = [charge("input", 61_000, "0.305"), charge("output", 2_000, "0.06")]
    kept = [tokens("input", 1_000), tokens("output", 1_900)]
    made = (calls(2, Decimal("0.062"), without_usage=1),)

    assert causes(one(window(bill, kept, calls=made))) == {"lost_usage": Decimal("0.303")}


def test_a_tier_that_agrees_to_the_token_gave_nothing_to_another() -> None:
    bill = [charge("input", 1_000, "0.005"), charge("input", 400, "0.001", tier="batch")]
    made = (calls(2, Decimal("0.005"), without_usage=1),)

    assert causes(one(window(bill, [tokens("input", 1_000)], calls=made))) == {
        "lost_usage": Decimal("0.001")
    }


def test_a_project_that_once_used_another_s_key_makes_no_gap() -> None:
    bill, used, kept, made = [], [], [], []
    for n in range(5):
        day, hour = DAY + dt.timedelta(days=n), NOON + dt.timedelta(days=n)
        counts = {"p": 1000 + n, "q": 5000 + 7 * n}
        shifted = {"p": 300, "q": -300} if n == 4 else {"p": 0, "q": 0}
        for project, count in counts.items():
            row = tokens("input", count, project=project, hour=hour)
            kept.append(row)
            made.append(calls(1, row.cost_usd or Decimal(0), project=project, hour=hour))
            key, sent = f"key-{project}", count + shifted[project]
            bill.append(charge("input", sent, str(PRICES["input"] * sent), day=day, key=key))
            used.append(
                Use(
                    account="a", day=day, model="m", tier="standard", token_class="input", key=key,
                    quantity=Decimal(sent),
                )
            )  # fmt: skip
    days = tuple(DAY + dt.timedelta(days=n) for n in range(5))
    cells = reconcile(window(bill, kept, days=days, calls=tuple(made), uses=tuple(used)))

    assert [causes(cell) for cell in cells] == [{}] * 5


amounts = st.decimals(min_value="-5", max_value="50", places=11)
counts = st.integers(0, 50_000)
names = st.sampled_from(["input", "cache_read", "cache_write_5m", "output", "web_search", ""])
tiers = st.sampled_from(["", "standard", "batch"])
lines = st.builds(
    lambda name, tier, quantity, usd, key, category, listed: charge(
        name, quantity, str(usd), tier=tier, key=key, category=category, list_amount=listed
    ),
    names, tiers, st.none() | counts, amounts, st.sampled_from(["", "k1", "k2"]),
    st.sampled_from(["usage", "usage", "credit", "tax"]), st.none() | amounts,
)  # fmt: skip
uses = st.builds(
    lambda name, tier, quantity, requests, key: Use(
        account="a", day=DAY, model="m", tier=tier, token_class=name, key=key, quantity=Decimal(quantity),
        requests=requests,
    ),
    names, st.sampled_from(["standard", "batch"]), counts, st.none() | st.integers(0, 9), st.sampled_from(["", "k1"]),
)  # fmt: skip
recorded = st.builds(
    lambda name, tier, quantity, usd: tokens(name, quantity, tier=tier, cost_usd=usd),
    names.filter(bool), st.sampled_from(["standard", "batch"]), counts,
    st.none() | st.decimals(min_value="0", max_value="9", places=12),
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(lines, max_size=6), st.lists(uses, max_size=5), st.lists(recorded, max_size=5),
    st.integers(0, 9), st.integers(0, 9), amounts,
)  # fmt: skip
def test_causes_and_rest_are_the_gap_whatever_the_ledgers_hold(
    bill: list[Charge], used: list[Use], kept: list[Tokens], made: int, without: int, usd: Decimal
) -> None:
    made_calls = (calls(made + without, abs(usd), without_usage=without),)
    cells = reconcile(window(bill, kept, uses=tuple(used), calls=made_calls))

    for cell in cells:
        assert cell.billed_usd - cell.recorded_usd == sum(
            (cause.amount_usd for cause in cell.causes), cell.unexplained_usd
        )
    assert sum((cell.billed_usd for cell in cells), Decimal(0)) == sum(
        (line.amount for line in bill), Decimal(0)
    )
