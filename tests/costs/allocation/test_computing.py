"""Dividing bills to the last digit."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.allocation.computing import Billed, Line, Pool, Recorded, allocate
from costs.splitting import split

SHOP, CHAT = uuid.UUID(int=1), uuid.UUID(int=2)
amounts = st.decimals(min_value=-1000, max_value=1000, places=18)
weights = st.dictionaries(
    st.sampled_from("abcdef"), st.decimals(min_value=0, max_value=100, places=12), min_size=1
)


def usd(lines: list[Line]) -> dict[tuple[str, str, str], Decimal]:
    """(kind, team, pool or provider) → dollars."""
    found: dict[tuple[str, str, str], Decimal] = {}
    for line in lines:
        key = (line.kind, line.team, line.pool or line.provider)
        found[key] = found.get(key, Decimal(0)) + line.amount_usd
    return found


@given(amounts, weights)
def test_parts_add_up_to_the_last_digit(amount: Decimal, shares: dict[str, Decimal]) -> None:
    if not any(shares.values()):
        with pytest.raises(ValueError, match="positive"):
            split(amount, shares)
        return
    parts = split(amount, shares)
    assert sum(parts.values()) == amount
    exact = {key: amount * weight / sum(shares.values()) for key, weight in shares.items()}
    assert all(abs(parts[key] - exact[key]) < Decimal("2e-18") for key in shares)


def test_remainder_goes_to_the_largest_first() -> None:
    third = Decimal("0.333333333333333333")
    parts = split(Decimal(1), dict.fromkeys("abc", Decimal(1)))
    assert parts == {"a": third + Decimal("1e-18"), "b": third, "c": third}


def test_bill_is_divided_as_the_calls_were() -> None:
    recorded = [
        Recorded("openai", SHOP, "search", Decimal(3), has_bill=True),
        Recorded("openai", CHAT, "support", Decimal(1), has_bill=True),
        Recorded("anthropic", CHAT, "support", Decimal("0.7")),
    ]
    lines = allocate(recorded, [Billed("openai", Decimal(8))], [])
    assert usd(lines) == {
        ("direct", "search", "openai"): Decimal(6),
        ("direct", "support", "openai"): Decimal(2),
        ("direct", "support", "anthropic"): Decimal("0.7"),
    }


def test_mapped_lines_stay_in_their_project_and_unexplained_ones_with_nobody() -> None:
    recorded = [
        Recorded("openai", SHOP, "search", Decimal(1), has_bill=True),
        Recorded("openai", CHAT, "support", Decimal(1), has_bill=True),
    ]
    billed = [
        Billed("openai", Decimal(10), project=SHOP),
        Billed("openai", Decimal(5), is_outside=True),
        Billed("google", Decimal(2)),
    ]
    assert usd(allocate(recorded, billed, [])) == {
        ("direct", "search", "openai"): Decimal(10),
        ("direct", "", "openai"): Decimal(5),
        ("direct", "", "google"): Decimal(2),
    }


def test_days_without_a_bill_yet_count_as_recorded() -> None:
    recorded = [
        Recorded("openai", SHOP, "search", Decimal(1), has_bill=True),
        Recorded("openai", SHOP, "search", Decimal(4)),
    ]
    lines = allocate(recorded, [Billed("openai", Decimal("1.5"))], [])
    assert sorted((line.is_billed, line.amount_usd) for line in lines) == [
        (False, Decimal(4)), (True, Decimal("1.5")),
    ]  # fmt: skip


def test_pool_is_passed_on_by_share() -> None:
    recorded = [
        Recorded("openai", SHOP, team, Decimal(cost))
        for team, cost in (("platform", 3), ("search", 2), ("support", 1), ("", 9))
    ]
    found = usd(allocate(recorded, [], [Pool("platform")]))
    assert found["shared", "search", "platform"] == Decimal(2)
    assert found["shared", "support", "platform"] == Decimal(1)
    assert found["passed", "platform", "platform"] == Decimal(-3)
    assert sum(found.values()) == Decimal(15)


def test_pool_with_fixed_shares_keeps_the_rest() -> None:
    recorded = [Recorded("openai", SHOP, "platform", Decimal(10))]
    pool = Pool("platform", "fixed", {"search": Decimal(25), "support": Decimal(15)})
    found = usd(allocate(recorded, [], [pool]))
    assert found["shared", "search", "platform"] == Decimal("2.5")
    assert found["shared", "support", "platform"] == Decimal("1.5")
    assert found["passed", "platform", "platform"] == Decimal(-4)


def test_pool_without_receivers_keeps_its_cost() -> None:
    recorded = [Recorded("openai", SHOP, "platform", Decimal(10))]
    assert usd(allocate(recorded, [], [Pool("platform")])) == {
        ("direct", "platform", "openai"): Decimal(10)
    }


rows = st.lists(
    st.builds(
        Recorded,
        st.sampled_from(["openai", "anthropic"]),
        st.sampled_from([SHOP, CHAT]),
        st.sampled_from(["", "search", "support", "platform"]),
        st.decimals(min_value=0, max_value=100, places=12),
        st.booleans(),
    ),
    max_size=8,
)
bills = st.lists(
    st.builds(
        Billed,
        st.sampled_from(["openai", "google"]),
        amounts,
        st.sampled_from([None, SHOP]),
        st.booleans(),
    ),
    max_size=4,
)


@given(rows, bills, st.sampled_from(["share", "fixed"]))
def test_lines_are_the_bills_and_the_unbilled_records(
    recorded: list[Recorded], billed: list[Billed], method: str
) -> None:
    pool = Pool("platform", method, {"search": Decimal("33.3")})
    lines = allocate(recorded, billed, [pool])
    expected = sum((one.amount_usd for one in billed), Decimal(0)) + sum(
        (one.cost_usd for one in recorded if not one.has_bill), Decimal(0)
    )
    assert sum((line.amount_usd for line in lines), Decimal(0)) == expected
