"""What a reading does to a rule, sentence by sentence (pure)."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from alerts.evaluate import (
    Decision,
    Firing,
    Level,
    Observation,
    State,
    Terms,
    closed,
    replayed,
    step,
    terms_of,
)
from alerts.measures.base import Point
from tests.factories.alerts import AlertFactory

START = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
BUDGET = Terms(
    (Level(Decimal(50), "info"), Level(Decimal(80), "warning"), Level(Decimal(100), "critical"))
)
ERRORS = Terms((Level(Decimal(5), "warning"),))


def course(
    rule: Terms, *values: Any, state: State | None = None, **seen: Any
) -> tuple[State, list[Decision]]:
    """One reading a minute."""
    state, made = state or State(), []
    begin = state.evaluated_at + MINUTE if state.evaluated_at else START
    for number, value in enumerate(values):
        reading = Observation(None if value is None else Decimal(str(value)), **seen)
        state, decisions = step(rule, state, reading, begin + number * MINUTE)
        made += decisions
    return state, made


def moves(made: list[Decision]) -> list[tuple[str, int, bool]]:
    return [(one.move, one.level, one.is_quiet) for one in made]


def test_limit_itself_fires_once_however_often_it_is_seen() -> None:
    state, made = course(ERRORS, 4.99, 5, 6, 5, 7, 5)
    assert moves(made) == [("fire", 0, False)]
    assert made[0].at == made[0].began_at == START + MINUTE
    assert (state.status, state.level, state.episode) == ("firing", 0, 1)


def test_80_percent_recovers_below_76_not_at_76() -> None:
    terms = Terms((Level(Decimal(80), "warning"),))
    state, made = course(terms, 80, 79, "76.000000000000", state=None)
    assert moves(made) == [("fire", 0, False)]
    state, made = course(terms, "75.999999999999", state=state)
    assert moves(made) == [("resolve", 0, False)]
    assert made[0].reason == "Back within the limit."


def test_several_levels_at_once_are_one_decision_at_the_highest() -> None:
    _, made = course(BUDGET, 10, 101)
    assert moves(made) == [("fire", 2, False)]
    assert (made[0].severity, made[0].limit) == ("critical", Decimal(100))


def test_higher_level_raises_the_same_incident() -> None:
    state, made = course(BUDGET, 55, 60, 85, 90, 100)
    assert moves(made) == [("fire", 0, False), ("raise", 1, False), ("raise", 2, False)]
    assert state.episode == 1


def test_level_lost_and_reached_again_is_quiet_for_a_day() -> None:
    state, made = course(BUDGET, 85, 70, 85)
    assert moves(made) == [("fire", 1, False), ("lower", 0, True), ("raise", 1, True)]
    state, made = course(BUDGET, 70, state=state)
    state = replace(state, evaluated_at=START + dt.timedelta(hours=24))
    _, made = course(BUDGET, 85, state=state)
    assert moves(made) == [("raise", 1, False)]


def test_pending_must_last_without_a_break() -> None:
    terms = replace(ERRORS, pending=3 * MINUTE)
    state, made = course(terms, 6, 6, 4, 6, 6, 6)
    assert (made, state.status) == ([], "pending")
    _, made = course(terms, 6, state=state)
    assert moves(made) == [("fire", 0, False)]
    assert made[0].began_at == START + 3 * MINUTE


def test_recovery_must_last_without_a_break() -> None:
    terms = replace(ERRORS, recover=2 * MINUTE)
    state, made = course(terms, 6, 4, 4, 6, 4, 4)
    assert moves(made) == [("fire", 0, False)]
    _, made = course(terms, 4, state=state)
    assert moves(made) == [("resolve", 0, False)]


def test_a_raise_must_last_as_long_as_the_first_level() -> None:
    terms = replace(BUDGET, pending=2 * MINUTE)
    _, made = course(terms, 60, 60, 60, 120, 60, 120, 120, 120)
    assert moves(made) == [("fire", 0, False), ("raise", 2, False)]


def test_falling_rules_fire_at_the_limit_and_recover_above_it() -> None:
    terms = Terms(
        (Level(Decimal("0.8"), "warning"), Level(Decimal("0.5"), "error")), is_above=False
    )
    _, made = course(terms, 0.9, 0.8, 0.84, 0.5, 0.52, 0.53, 0.85)
    assert moves(made) == [
        ("fire", 0, False),
        ("raise", 1, False),
        ("lower", 0, True),
        ("resolve", 0, False),
    ]


def test_no_calls_at_all_recovers_with_the_first() -> None:
    terms = Terms((Level(Decimal(0), "error"),), is_above=False)
    _, made = course(terms, 3, 0, 0, 1)
    assert moves(made) == [("fire", 0, False), ("resolve", 0, False)]


def test_return_within_the_window_is_quiet_and_goes_on_with_the_incident() -> None:
    state, made = course(ERRORS, 6, 1, 6, 1, 6, 1)
    assert moves(made)[:2] == [("fire", 0, False), ("resolve", 0, False)]
    assert all(one.is_quiet for one in made[2:])
    assert [one.is_again for one in made if one.move == "fire"] == [False, True, True]
    assert state.episode == 1


def test_return_after_the_window_is_a_new_incident() -> None:
    state, made = course(ERRORS, 6, *[1] * 16, 6)
    assert moves(made) == [("fire", 0, False), ("resolve", 0, False), ("fire", 0, False)]
    assert (made[2].is_again, state.episode) == (False, 2)


def test_quiet_return_that_stays_is_told_when_the_window_is_over() -> None:
    state, made = course(ERRORS, 6, 1, *[6] * 30)
    assert moves(made) == [
        ("fire", 0, False), ("resolve", 0, False), ("fire", 0, True), ("fire", 0, False),
    ]  # fmt: skip
    assert made[3].at == START + 16 * MINUTE
    assert made[3].is_again
    _, made = course(ERRORS, 1, state=state)
    assert moves(made) == [("resolve", 0, False)]


def test_quick_return_at_a_higher_level_is_told() -> None:
    _, made = course(BUDGET, 55, 1, 85)
    assert moves(made) == [("fire", 0, False), ("resolve", 0, False), ("fire", 1, False)]
    assert made[2].is_again


def test_who_flaps_all_day_is_heard_of_once_per_window() -> None:
    _, made = course(ERRORS, *[6, 1] * 60)
    loud = [one for one in made if one.move == "fire" and not one.is_quiet]
    assert len(loud) <= 120 / 15 + 1


@pytest.mark.parametrize(
    ("on_no_data", "status", "found"),
    [
        ("keep", "firing", []),
        ("alert", "firing", []),
        ("resolve", "ok", [("resolve", 0, False)]),
    ],
)
def test_nothing_to_judge_while_it_fires(on_no_data: str, status: str, found: list[Any]) -> None:
    terms = replace(ERRORS, on_no_data=on_no_data, minimum_sample=10)
    state, _ = course(terms, 6, sample=50)
    state, made = course(terms, 0, sample=9, state=state)
    assert (state.status, moves(made)) == (status, found)


def test_nothing_to_judge_is_told_where_it_was_asked_for() -> None:
    terms = replace(ERRORS, on_no_data="alert", pending=2 * MINUTE)
    state, made = course(terms, None, None, None, None)
    assert (state.status, moves(made)) == ("no_data", [("no_data", 0, False)])
    state, made = course(terms, 1, state=state)
    assert (state.status, moves(made)) == ("ok", [("resolve", -1, False)])
    state, made = course(terms, *[6] * 3, state=state)
    assert moves(made) == [("fire", 0, False)]
    assert not made[0].is_again


def test_calls_that_come_back_too_dear_end_one_incident_and_begin_another() -> None:
    state, _ = course(replace(ERRORS, on_no_data="alert"), None)
    _, made = course(replace(ERRORS, on_no_data="alert"), 6, state=state)
    assert moves(made) == [("resolve", -1, False), ("fire", 0, False)]


def test_swinging_between_a_limit_and_no_data_is_told_once_each() -> None:
    terms = replace(ERRORS, on_no_data="alert")
    state, made = course(terms, 6, 1, None, 6, 1, None, 6, 1, None)
    loud = [(one.move, one.is_again) for one in made if not one.is_quiet]
    assert loud == [
        ("fire", False), ("resolve", False), ("no_data", False), ("resolve", False),
    ]  # fmt: skip
    assert (state.status, state.is_quiet) == ("no_data", True)
    # What stays is told when the window is over.
    state, made = course(terms, *[None] * 20, state=state)
    assert moves(made) == [("no_data", -1, False)]
    assert (made[0].is_again, made[0].at) == (True, START + 18 * MINUTE)
    # And a higher level than before at once.
    terms = replace(BUDGET, on_no_data="alert")
    _, made = course(terms, 55, 1, None, 55, 1, None, 85)
    assert moves(made)[-1] == ("fire", 1, False)


def test_both_are_news_again_once_the_window_is_over() -> None:
    terms = replace(ERRORS, on_no_data="alert")
    _, made = course(terms, 6, 1, None, *[1] * 16, 6, 1, None)
    loud = [one.move for one in made if not one.is_quiet and one.move != "resolve"]
    assert loud == ["fire", "no_data", "fire", "no_data"]


def test_a_gap_in_the_readings_begins_the_counting_anew() -> None:
    terms = replace(ERRORS, pending=2 * MINUTE, recover=2 * MINUTE)
    state, made = course(terms, 6, 6, None, 6, 6)
    assert made == []
    state, _ = course(terms, 6, state=state)
    _, made = course(terms, 1, 1, None, 1, 1, state=state)
    assert made == []


def test_new_period_ends_the_incident_and_begins_with_nothing() -> None:
    state, _ = course(BUDGET, 85, period="October 2026")
    state, made = course(BUDGET, 2, period="November 2026", state=state)
    assert moves(made) == [("resolve", 1, False)]
    assert made[0].reason.startswith("The period ended")
    state, made = course(BUDGET, 51, period="November 2026", state=state)
    assert moves(made) == [("fire", 0, False)]
    assert (made[0].is_again, state.episode) == (False, 2)


def test_limit_lowered_below_several_levels_is_one_raise() -> None:
    state, _ = course(BUDGET, 55, facts={"basis": "100"})
    _, made = course(BUDGET, 110, state=state, facts={"basis": "50"})
    assert moves(made) == [("raise", 2, False)]


def test_raised_limit_resolves_without_hysteresis() -> None:
    state, _ = course(BUDGET, 81, facts={"basis": "100"})
    # 49 % would be held by the margin; an edit is judged as it stands.
    _, made = course(BUDGET, 49, state=state, facts={"basis": "165"})
    assert moves(made) == [("resolve", 1, False)]
    assert made[0].reason.startswith("The limit was changed")


def test_edited_levels_are_judged_as_they_stand() -> None:
    state, _ = course(ERRORS, 6)
    higher = replace(ERRORS, levels=(Level(Decimal("6.1"), "warning"),))
    _, made = course(higher, 6, state=state)
    assert moves(made) == [("resolve", 0, False)]


def test_what_is_not_there_any_more_ends_with_its_reason_and_comes_back_as_news() -> None:
    state, _ = course(ERRORS, 6)
    state, made = course(ERRORS, 6, state=state, facts={"gone": "The budget was paused."})
    assert (moves(made), made[0].reason) == ([("resolve", 0, False)], "The budget was paused.")
    state, made = course(ERRORS, 6, state=state)
    assert (moves(made), made[0].is_again) == ([("fire", 0, False)], False)


def test_reading_that_is_older_than_the_last_changes_nothing() -> None:
    state, _ = course(ERRORS, 6)
    assert step(ERRORS, state, Observation(Decimal(0)), START - MINUTE) == (state, [])


def test_rule_that_begins_over_its_limit_fires_once() -> None:
    assert moves(course(ERRORS, 9, 9)[1]) == [("fire", 0, False)]


def test_closed_rule_ends_its_incident_and_forgets() -> None:
    state, _ = course(ERRORS, 6)
    state, made = closed(ERRORS, state, START + MINUTE, "Switched off.")
    assert (moves(made), made[0].reason) == ([("resolve", 0, False)], "Switched off.")
    assert closed(ERRORS, state, START + MINUTE, "Again.")[1] == []
    assert not course(ERRORS, 6, state=state)[1][0].is_again


def test_replay_counts_incidents_as_the_rule_would() -> None:
    values = [1, 6, 1, 6, 1, *[1] * 20, 6]
    points = [Point(START + n * MINUTE, Decimal(value)) for n, value in enumerate(values)]
    assert replayed(ERRORS, points) == [
        Firing(START + MINUTE, 0, Decimal(6), START + 4 * MINUTE),
        Firing(points[-1].at, 0, Decimal(6), None),
    ]


def test_replay_keeps_periods_apart_and_leaves_small_samples_out() -> None:
    points = [Point(START + n * MINUTE, Decimal(90)) for n in range(4)]
    found = replayed(BUDGET, points, lambda at: "a" if at < START + 2 * MINUTE else "b")
    assert [(one.at, one.level, one.resolved_at) for one in found] == [
        (START, 1, START + 2 * MINUTE), (START + 2 * MINUTE, 1, None),
    ]  # fmt: skip
    rare = replace(BUDGET, minimum_sample=5)
    assert replayed(rare, points, samples=[1, 2, 3, 4]) == []


def test_terms_are_read_from_a_rule_that_is_not_saved() -> None:
    alert = AlertFactory.build(
        organization=None,
        direction="below",
        levels=[{"limit": "0.8", "severity": "error"}],
        pending_minutes=2,
        recover_minutes=3,
        window_minutes=5,
        minimum_sample=7,
    )
    assert terms_of(alert) == Terms(
        (Level(Decimal("0.8"), "error"),), False, Decimal("0.05"), 2 * MINUTE, 3 * MINUTE, 7, "keep", 5 * MINUTE,
    )  # fmt: skip
