"""Which targets a call gets, in which order, and what is said about it."""

import datetime as dt
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs.price_rules import Rule, RuleSet
from gateway.routing.decide import NoRouteError, rules_of
from gateway.routing.health import Figures, HealthView
from gateway.snapshot import KeyView, Snapshot
from gateway.structs import Caller, Dialect, Match, ProjectRules, RouteRules, TargetRule
from tests.gateway.routing.making import (
    AT,
    CALLER,
    NOW,
    asked,
    circuit,
    decided,
    snapshot,
    to,
    view,
    went,
)


def smart(*rules: TargetRule, **given: object) -> Snapshot:
    """Two OpenAI connections, a and b, and a route."""
    route = msgspec.convert({"targets": [], **given}, RouteRules)
    route = msgspec.structs.replace(route, targets=rules)
    return snapshot(view("a"), view("b"), view("c"), routes={"Smart": route})


def test_a_route_is_found_whatever_the_case_of_its_letters() -> None:
    known = smart(to("a"), to("b", step=1))
    decision = decided(known, asked("SMART"))
    assert decision.route == "Smart"
    assert went(decision) == ["a", "b"]
    assert decision.targets[0].model == "gpt-4o-mini"
    assert decision.because == "the model names route Smart"
    assert rules_of(known, decision).targets == known.routes["smart"].rules.targets


def test_a_star_route_takes_the_rest_and_an_empty_model_is_the_one_asked_for() -> None:
    known = snapshot(view("a"), view("b"), routes={"*": RouteRules(targets=(to("b", model=""),))})
    decision = decided(known, asked("gpt-4.1"))
    assert (went(decision), decision.targets[0].model) == (["b"], "gpt-4.1")


def test_direct_calls_go_to_who_lists_the_model_then_to_who_is_known_for_it() -> None:
    known = snapshot(
        view("a"), view("b", model_names=("gpt-4o",)), view("c", "anthropic"), view("d", "gemini")
    )
    assert went(decided(known, asked("gpt-4o"))) == ["b", "a"]
    assert went(decided(known, asked("gemini-2.0-flash"))) == ["d"]


@pytest.mark.parametrize("prefix", ["openai", "West", "WEST"])
def test_a_prefix_names_the_kind_or_the_connection(prefix: str) -> None:
    known = snapshot(view("west"), view("far", "compatible", base_url="http://x/v1"))
    decision = decided(known, asked(f"{prefix}/gpt-4o"))
    assert (went(decision), decision.targets[0].model) == (["west"], "gpt-4o")


def test_a_name_with_a_slash_that_a_connection_lists_is_left_whole() -> None:
    router = view("router", "compatible", base_url="http://x/v1", model_names=("openai/gpt-4o",))
    decision = decided(snapshot(view("a"), router), asked("openai/gpt-4o"))
    assert (went(decision), decision.targets[0].model) == (["router"], "openai/gpt-4o")


def test_an_unknown_model_is_a_404_that_names_the_routes() -> None:
    with pytest.raises(NoRouteError, match="Routes: Smart") as error:
        decided(smart(to("a")), asked("nobody-knows"))
    assert (error.value.code, error.value.status) == ("model_not_found", 404)


def test_direct_calls_can_be_switched_off() -> None:
    known = snapshot(view("a"), rules=ProjectRules(direct=False))
    with pytest.raises(NoRouteError, match="routes only") as error:
        decided(known, asked("gpt-4o"))
    assert error.value.status == 404


def test_weights_are_kept_exactly_over_evenly_spread_draws() -> None:
    known = smart(to("a", weight=80), to("b", weight=15), to("c", weight=5))
    firsts = Counter(went(decided(known, draw=n / 1000))[0] for n in range(1000))
    assert firsts == {"a": 800, "b": 150, "c": 50}
    assert "weight 80 of 100" in decided(known).because


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
def test_no_share_is_off_by_more_than_one_draw_and_every_target_stands_in(
    weights: list[int],
) -> None:
    views = [view(f"v{n}") for n in range(len(weights))]
    rules = tuple(to(f"v{n}", weight=weight) for n, weight in enumerate(weights))
    known = snapshot(*views, routes={"smart": RouteRules(targets=rules)})
    count = 97
    orders = [went(decided(known, draw=n / count)) for n in range(count)]
    firsts = Counter(order[0] for order in orders)
    for n, weight in enumerate(weights):
        share = Fraction(weight * count, sum(weights))
        assert abs(firsts[f"v{n}"] - share) < 1 + Fraction(1, 10**6)
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(one.id for one in views))}


def test_second_choices_follow_the_weights_of_who_is_left() -> None:
    known = smart(to("a", weight=2), to("b", weight=1), to("c", weight=1))
    seconds = Counter(tuple(went(decided(known, draw=n / 4000))[:2]) for n in range(4000))
    assert abs(seconds["a", "b"] - 1000) <= 1
    assert abs(seconds["b", "a"] - 667) <= 2


def test_the_same_user_keeps_its_target_and_only_those_of_a_lost_one_move() -> None:
    known = smart(to("a", weight=60), to("b", weight=40), sticky="user")
    wider = HealthView({("a", "gpt-4o-mini"): circuit()})
    before, after = {}, {}
    for n in range(300):
        caller = msgspec.structs.replace(CALLER, user=f"user {n}")
        before[n] = went(decided(known, caller=caller, draw=n / 300))
        assert went(decided(known, caller=caller, draw=0.99)) == before[n]
        after[n] = went(decided(known, caller=caller, health=wider))[0]
    firsts = Counter(order[0] for order in before.values())
    assert 140 <= firsts["a"] <= 220
    assert all(after[n] == "b" for n in after)
    assert went(decided(known, draw=0.7)) == ["b", "a"]  # nobody named: by the draw


def test_steps_follow_each_other() -> None:
    known = smart(to("a", step=2), to("b"), to("c", step=1))
    assert went(decided(known)) == ["b", "c", "a"]


def test_the_cheapest_goes_first_and_own_prices_count() -> None:
    known = smart(to("a", model="gpt-4o"), to("b", model="gpt-4o-mini"), choose="cost")
    decision = decided(known)
    assert went(decision) == ["b", "a"]
    assert "the cheapest, about $0.0003" in decision.because
    free = Rule(number=1, pattern="gpt-4o", factor=Decimal(0))
    assert went(decided(known, prices=RuleSet(1, [free]))) == ["a", "b"]
    unknown = smart(to("a", model="secret-model"), to("b", model="gpt-4o"), choose="cost")
    assert went(decided(unknown)) == ["b", "a"]


def test_the_fastest_goes_first_and_one_in_twenty_measures_the_unknown() -> None:
    known = smart(to("a"), to("b"), to("c"), choose="latency")
    health = HealthView(
        figures={
            ("a", "gpt-4o-mini"): Figures(at=NOW, whole_ms=900.0, stream_ms=100.0),
            ("b", "gpt-4o-mini"): Figures(at=NOW, whole_ms=400.0, stream_ms=300.0),
        }
    )
    assert went(decided(known, health=health, draw=0.5)) == ["b", "a", "c"]
    assert went(decided(known, asked(stream=True), health=health, draw=0.5)) == ["a", "b", "c"]
    firsts = Counter(went(decided(known, health=health, draw=n / 100))[0] for n in range(100))
    assert firsts == {"b": 95, "c": 5}


def test_the_best_scored_goes_first() -> None:
    known = smart(to("a", model="gpt-4o-mini"), to("b", model="gpt-4o"), choose="quality")
    assert went(decided(known, quality={"gpt-4o": 0.9, "gpt-4o-mini": 0.7})) == ["b", "a"]
    assert went(decided(known, quality={"gpt-4o-mini": 0.7})) == ["a", "b"]


HOURS = {"hours": (22, 6)}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"tags": ("beta", "x")}, True),
        ({"tags": ("gold",)}, False),
        ({"users": ("ann",)}, True),
        ({"users": ("bob",)}, False),
        ({"agents": ("bot",)}, True),
        ({"environments": ("prod",)}, False),
        ({"prompt_contains": "HELLO"}, True),
        ({"prompt_contains": "bye"}, False),
        ({"min_input_tokens": 1, "max_input_tokens": 500}, True),
        ({"min_input_tokens": 5000}, False),
        ({"max_input_tokens": 1}, False),
        ({"hours": (14, 15)}, True),
        ({"hours": (15, 14)}, False),
        (HOURS, False),
        ({"weekdays": (3,)}, True),
        ({"weekdays": (6, 7)}, False),
        ({"is_stream": False}, True),
        ({"is_stream": True}, False),
        ({"has_tools": True}, False),
        ({"has_images": False}, True),
    ],
)
def test_conditions_decide_who_is_asked(when: dict[str, object], holds: bool) -> None:
    caller = Caller(
        organization_id="o", project_id="p", key_id="k", user="ann", tags=("beta",), agent="bot"
    )
    known = smart(to("a", when=Match(**when)), to("b", step=1))  # type: ignore[arg-type]
    decision = decided(known, caller=caller)
    assert (went(decision)[0] == "a") is holds
    assert bool(decision.skipped) is not holds


def test_hours_may_span_midnight() -> None:
    known = smart(to("a", when=Match(hours=(22, 6))), to("b", step=1))
    for hour, first in ((21, "b"), (22, "a"), (23, "a"), (0, "a"), (5, "a"), (6, "b")):
        assert went(decided(known, at=AT.replace(hour=hour)))[0] == first


def test_conditions_that_leave_nobody_are_the_clients_400() -> None:
    with pytest.raises(NoRouteError, match="only for calls tagged gold") as error:
        decided(smart(to("a", when=Match(tags=("gold",)))))
    assert (error.value.code, error.value.status) == ("no_target_matches", 400)


def test_targets_that_cannot_be_called_are_skipped_and_named() -> None:
    gone = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    retired = KeyView(id="k", sealed=b"", hint="", weight=1, retires_at=gone)
    known = snapshot(
        view("keyless", keys=()),
        view("retired", keys=(retired,)),
        view("own", "compatible", base_url="http://x/v1", keys=()),
        routes={"smart": RouteRules(targets=(to("off"), to("keyless"), to("retired"), to("own")))},
    )
    decision = decided(known)
    assert went(decision) == ["own"]
    assert [text.split(" (")[0] for text in decision.skipped] == [
        "A connection",
        "Keyless",
        "Retired",
    ]
    assert "no key that may be used" in decision.skipped[1]


def test_a_provider_that_cannot_answer_the_dialect_is_skipped() -> None:
    known = snapshot(
        view("claude", "anthropic"), routes={"smart": RouteRules(targets=(to("claude"),))}
    )
    with pytest.raises(NoRouteError) as error:
        decided(known, dialect=Dialect.EMBEDDINGS)
    assert (error.value.code, error.value.status) == ("dialect_not_supported", 400)


def test_targets_that_rest_are_passed_by_while_others_take_calls() -> None:
    known = smart(to("a"), to("b", step=1))
    decision = decided(known, health=HealthView(rests={("a", "gpt-4o-mini"): NOW + 33}))
    assert went(decision) == ["b"]
    assert "rate limited for another 33 s" in decision.skipped[0]
    rests = {("a", "gpt-4o-mini"): NOW + 33, ("b", "gpt-4o-mini"): NOW + 3}
    decision = decided(known, health=HealthView(rests=rests))
    assert went(decision) == ["b"]
    assert "waits the shortest" in decision.because
    # One that only rests before one that is broken.
    circuits = {("b", "gpt-4o-mini"): circuit(3)}
    both = HealthView(circuits, rests={("a", "gpt-4o-mini"): NOW + 33})
    assert went(decided(known, health=both)) == ["a"]
    assert went(decided(known, health=HealthView(rests={("a", "gpt-4o-mini"): NOW - 1})))[0] == "a"


def test_open_circuits_are_passed_by_until_all_are_open() -> None:
    known = smart(to("a"), to("b", step=1))
    one = HealthView({("a", "gpt-4o-mini"): circuit()})
    decision = decided(known, health=one)
    assert went(decision) == ["b"]
    assert "circuit open since 5 s (5 failures in a row)" in decision.skipped[0]
    both = HealthView({("a", "gpt-4o-mini"): circuit(3), ("b", "gpt-4o-mini"): circuit(9)})
    decision = decided(known, health=both)
    assert went(decision) == ["b"]
    assert "opened first" in decision.because
    assert [text[:1] for text in decision.skipped] == ["A"]
    half = HealthView({("a", "gpt-4o-mini"): circuit(16)})
    assert went(decided(known, health=half)) == ["a", "b"]
    probing = HealthView({("a", "gpt-4o-mini"): circuit(16, probing_until=NOW + 5)})
    assert went(decided(known, health=probing)) == ["b"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "theirs", "deleted"]), min_size=1, max_size=6),
    st.sampled_from(["weight", "cost", "latency", "quality"]),
    st.sampled_from(["smart", "gpt-4o", "openai/gpt-4o", "theirs/gpt-4o"]),
    st.floats(0, 1, exclude_max=True),
)
def test_a_decision_never_names_a_connection_outside_the_snapshot(
    names: list[str], choose: str, model: str, draw: float
) -> None:
    known = smart(*(to(name) for name in names), choose=choose)
    try:
        decision = decided(known, asked(model), draw=draw)
    except NoRouteError as error:
        said = error.detail.lower()
    else:
        said = " ".join(decision.skipped).lower()
        assert set(went(decision)) <= {"a", "b", "c"}
    assert "theirs (" not in said
