"""Whatever a rule sees, in whatever order: what it says of itself stays true (stateful property)."""

import datetime as dt
from decimal import Decimal

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerts.evaluate import (
    AGAIN_AFTER,
    CALLS_CAME,
    RECOVERED,
    Decision,
    Level,
    Observation,
    State,
    Terms,
    closed,
    step,
)

START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
VALUES = st.sampled_from([0, 20, 47, 48, 50, 75, 76, 79, 80, 81, 95, 100, 140])


class RuleMachine(RuleBasedStateMachine):
    """One rule of three levels, told by a listener that only believes decisions."""

    @initialize(
        pending=st.integers(0, 2),
        recover=st.integers(0, 2),
        on_no_data=st.sampled_from(["keep", "alert", "resolve"]),
        periodic=st.booleans(),
    )
    def begin(self, pending: int, recover: int, on_no_data: str, periodic: bool) -> None:
        self.terms = Terms(
            (Level(Decimal(50), "info"), Level(Decimal(80), "warning"), Level(Decimal(100), "critical")),
            pending=pending * MINUTE, recover=recover * MINUTE, on_no_data=on_no_data,
        )  # fmt: skip
        self.state, self.now, self.basis = State(), START, 100
        self.period = "first" if periodic else ""
        self.is_open = self.is_free = self.is_blind_free = False
        self.incidents, self.was_quiet = 0, False
        # When people last heard of the incident, and its highest level they heard of.
        self.heard_at: dt.datetime | None = None
        self.heard_level = -2
        # The same of missing data, which is another matter than a limit.
        self.blind_at: dt.datetime | None = None

    def take(self, decisions: list[Decision]) -> None:
        for one in decisions:
            if one.move in ("fire", "no_data"):
                assert self.is_open is (one.is_again and self.is_open)
                if not one.is_again:
                    self.incidents += 1
                if not one.is_quiet:
                    self.hear(one, is_new=not one.is_again)
                self.is_open = True
            elif one.move == "resolve":
                assert self.is_open
                self.is_open = False
                if one.reason not in (RECOVERED, CALLS_CAME):
                    self.set_free()
            elif one.move == "raise":
                assert self.is_open
                if not one.is_quiet:
                    waited = one.at - (self.heard_at or one.at)
                    is_back = self.was_quiet and waited >= self.terms.window
                    assert one.level > self.heard_level or is_back or waited >= AGAIN_AFTER
                    self.hear(one, is_new=False)
            else:
                assert self.is_open
                assert one.is_quiet

    def hear(self, one: Decision, *, is_new: bool) -> None:
        """Nobody hears of the same height, or of missing data, twice in a window, unless something ended it in
        between. Each is other news than the other."""
        if one.move == "no_data":
            if self.blind_at and not self.is_blind_free:
                assert one.at - self.blind_at >= self.terms.window
            self.blind_at, self.is_blind_free = one.at, False
            return
        if self.heard_at and not self.is_free and one.level <= self.heard_level:
            assert one.at - self.heard_at >= self.terms.window
        self.heard_at, self.is_free = one.at, False
        self.heard_level = one.level if is_new else max(one.level, self.heard_level)

    def set_free(self) -> None:
        """What comes after is news."""
        self.is_free = self.is_blind_free = True

    def see(self, value: int | None, *, minutes: int = 1, **facts: str) -> None:
        self.now += minutes * MINUTE
        seen = Observation(
            None if value is None else Decimal(value), 1, self.period, {"basis": str(self.basis), **facts}
        )  # fmt: skip
        before, self.was_quiet = self.state, self.state.is_quiet
        self.state, decisions = step(self.terms, before, seen, self.now)
        assert len([one for one in decisions if one.move != "resolve" and not one.is_quiet]) <= 1
        self.take(decisions)
        again, more = step(self.terms, self.state, seen, self.now)
        assert (again, more) == (self.state, [])

    @rule(values=st.lists(VALUES, min_size=3, max_size=12), minutes=st.sampled_from([1, 2, 6]))
    def values(self, values: list[int], minutes: int) -> None:
        for value in values:
            self.see(value, minutes=minutes)

    @rule(value=VALUES, minutes=st.sampled_from([16, 60 * 25]))
    def later(self, value: int, minutes: int) -> None:
        self.see(value, minutes=minutes)

    @rule(
        low=st.sampled_from([0, 47, 60]),
        high=st.sampled_from([50, 85, 120]),
        count=st.integers(2, 9),
    )
    def swings(self, low: int, high: int, count: int) -> None:
        for _ in range(count):
            self.see(high)
            self.see(low)

    @rule(high=st.sampled_from([50, 85]), low=st.sampled_from([0, 60]), count=st.integers(2, 5))
    def flickers(self, high: int, low: int, count: int) -> None:
        """Between a limit and nothing to judge, each for as long as it takes to count."""
        lasting = max(self.terms.pending, self.terms.recover) // MINUTE + 1
        for value in (high, low, None) * count:
            for _ in range(lasting):
                self.see(value)

    @rule()
    def nothing(self) -> None:
        self.see(None)

    @rule(value=VALUES)
    def new_period(self, value: int) -> None:
        if self.period:
            self.period += "'"
            self.set_free()
            self.see(value)

    @rule(value=VALUES)
    def edited(self, value: int) -> None:
        self.basis += 1
        self.see(value)

    @precondition(lambda self: self.incidents > 1)
    @rule()
    def gone(self) -> None:
        self.see(50, gone="It was paused.")
        assert not self.is_open
        self.set_free()

    @precondition(lambda self: self.incidents > 2)
    @rule()
    def switched_off(self) -> None:
        self.state, decisions = closed(self.terms, self.state, self.now, "Off.")
        self.take(decisions)
        assert not self.is_open
        self.set_free()

    @rule(value=VALUES)
    def late_reading(self, value: int) -> None:
        seen = Observation(Decimal(value), 1, self.period)
        old = self.now - MINUTE
        if self.state.evaluated_at is not None and old < self.state.evaluated_at:
            assert step(self.terms, self.state, seen, old) == (self.state, [])

    @invariant()
    def says_what_is(self) -> None:
        state = getattr(self, "state", None)
        if state is None:
            return
        assert state.is_open is self.is_open
        assert state.episode == self.incidents
        assert (state.level >= 0) is (state.status == "firing")
        assert state.top >= state.level
        if state.status == "firing" and state.value is not None and state.clear_since is None:
            # Not left by the margin, unless the recovery is being waited for.
            assert self.terms.held(state.value) >= state.level
        if state.status == "ok" and state.value is not None and not self.terms.pending:
            assert self.terms.reached(state.value) < 0


RuleMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
)
TestRule = RuleMachine.TestCase
