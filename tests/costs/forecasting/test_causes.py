"""What moved a day: the right culprit, as broad as it is, in dollars that add up."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs.forecasting.causes import cells_of, explain

Key = tuple[str, ...]
PROJECT = "p"


def usual_mix() -> dict[Key, tuple[Decimal, int]]:
    """Two models, three features, twenty users; a hundred dollars on each of four days."""
    return {
        (PROJECT, model, feature, f"user{user}", "v1"): (Decimal(400) / 120, 40)
        for model in ("gpt", "claude")
        for feature in ("chat", "search", "triage")
        for user in range(20)
    }


def day_of(mix: dict[Key, tuple[Decimal, int]]) -> dict[Key, tuple[Decimal, int]]:
    return {key: (cost / 4, calls // 4) for key, (cost, calls) in mix.items()}


def found(day: dict[Key, tuple[Decimal, int]], *, expected: Decimal = Decimal(100)) -> list:
    usual = usual_mix()
    excess = sum(cost for cost, _ in day.values()) - expected
    causes = explain(cells_of(day, usual, expected=expected), excess)
    assert sum(cause.usd for cause in causes) == excess
    return causes


def test_one_user_of_one_feature():
    day = day_of(usual_mix())
    key = (PROJECT, "gpt", "triage", "user7", "v1")
    day[key] = (day[key][0] + 250, 500)
    first = found(day)[0]
    assert first.where == {"model": "gpt", "feature": "triage", "user": "user7"}
    assert abs(first.usd - 250) < 1
    assert first.calls == 500


def test_a_whole_feature_stays_broad():
    day = {
        key: (cost * (4 if key[2] == "chat" else 1), calls)
        for key, (cost, calls) in day_of(usual_mix()).items()
    }
    causes = found(day)
    assert causes[0].where == {"feature": "chat"}
    assert abs(causes[0].usd - 100) < 1


def test_a_new_prompt_version():
    day = day_of(usual_mix())
    day |= {
        (PROJECT, "claude", "search", f"user{user}", "v2"): (Decimal(20), 3) for user in range(20)
    }
    first = found(day)[0]
    assert first.where["prompt_version"] == "v2"
    assert "user" not in first.where
    assert first.usd == 400


def test_two_causes_one_after_the_other():
    day = day_of(usual_mix())
    for key, more in (
        ((PROJECT, "gpt", "chat", "user1", "v1"), 300),
        ((PROJECT, "claude", "search", "user2", "v1"), 120),
    ):
        day[key] = (day[key][0] + more, 90)
    causes = found(day)
    assert [cause.where.get("user") for cause in causes[:2]] == ["user1", "user2"]
    assert [round(cause.usd) for cause in causes[:2]] == [300, 120]


def test_a_drop_is_explained_as_well():
    day = {key: value for key, value in day_of(usual_mix()).items() if key[1] != "gpt"}
    first = found(day)[0]
    assert first.where == {"model": "gpt"}
    assert abs(first.usd + 50) < 1


def test_without_calls_everything_is_the_rest():
    causes = explain([], Decimal("12.5"))
    assert [(cause.where, cause.usd) for cause in causes] == [({}, Decimal("12.5"))]


_cells = st.dictionaries(
    st.tuples(*(st.sampled_from("ab") for _ in range(5))),
    st.tuples(st.decimals(0, 1000, places=6), st.integers(0, 50)),
    max_size=12,
)


@settings(max_examples=30)
@given(day=_cells, usual=_cells, expected=st.decimals(0, 500, places=6))
def test_dollars_always_add_up_and_the_order_of_calls_changes_nothing(day, usual, expected):
    excess = sum((cost for cost, _ in day.values()), Decimal(0)) - expected
    once = explain(cells_of(day, usual, expected=expected), excess)
    turned = explain(
        cells_of(dict(reversed(day.items())), dict(reversed(usual.items())), expected=expected),
        excess,
    )
    assert sum((cause.usd for cause in once), Decimal(0)) == excess
    assert once == turned
    assert len({tuple(sorted(cause.where.items())) for cause in once}) == len(once)


@pytest.mark.parametrize("expected", [Decimal(0), Decimal(100)])
def test_nothing_expected_is_no_division_by_zero(expected):
    assert found(day_of(usual_mix()), expected=expected)
