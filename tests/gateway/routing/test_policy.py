"""What comes after a failed attempt."""

import pytest

from gateway.routing.health import HealthView
from gateway.routing.policy import Stop, Try, next_step
from gateway.structs import Attempt, Call, FallbackReason, RetryRule, RouteRules
from tests.gateway.routing.making import NOW, a_call, circuit, failed


def after(call: Call, *attempts: Attempt, **given: object) -> Try | Stop:
    return next_step(call, attempts, now=NOW, draw=0.5, **given)  # type: ignore[arg-type]


def asks(step: Try | Stop) -> str:
    assert isinstance(step, Try), step
    return step.target.connection


ALL: tuple[FallbackReason, ...] = (
    "error",
    "timeout",
    "rate_limit",
    "context_length",
    "content_filter",
    "auth",
)


def test_the_first_target_is_asked_at_once() -> None:
    assert after(a_call("a", "b")) == Try(a_call("a").decision.targets[0])
    assert isinstance(after(a_call()), Stop)


def test_waits_have_full_jitter_that_doubles_up_to_the_longest() -> None:
    rules = RouteRules(retry=RetryRule(tries=9, first_wait_s=1.0, longest_wait_s=3.0))
    call = a_call("a", rules=rules)
    waits = []
    for count in range(1, 5):
        step = after(call, *[failed("a")] * count)
        assert isinstance(step, Try)
        waits.append(step.wait_s)
    assert waits == [0.5, 1.0, 1.5, 1.5]
    drawn = {next_step(call, [failed("a")], now=NOW).wait_s for _ in range(20)}  # type: ignore[union-attr]
    assert len(drawn) == 20
    assert all(0 <= wait <= 1 for wait in drawn)


def test_retry_after_is_honoured_up_to_the_longest_wait_else_the_next_has_its_turn() -> None:
    call = a_call("a", "b")
    step = after(call, failed("a", "rate_limit", retry_after_s=4.0))
    assert isinstance(step, Try)
    assert (asks(step), step.wait_s >= 4.0, step.wait_s <= 8.0) == ("a", True, True)
    step = after(call, failed("a", "rate_limit", retry_after_s=60.0))
    assert isinstance(step, Try)
    assert (asks(step), step.wait_s) == ("b", 0.0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("auth", ""),
        ("rate_limit", "insufficient_quota"),
        ("context_length", ""),
        ("content_filter", ""),
    ],
)
def test_what_asking_again_cannot_help_falls_back_at_once(error: str, code: str) -> None:
    call = a_call("a", "b", rules=RouteRules(fallback_on=ALL))
    assert asks(after(call, failed("a", error, code=code))) == "b"


@pytest.mark.parametrize("error", ["bad_request", "not_found"])
def test_the_clients_own_errors_end_it(error: str) -> None:
    call = a_call("a", "b", rules=RouteRules(fallback_on=ALL))
    assert isinstance(after(call, failed("a", error)), Stop)


@pytest.mark.parametrize("error", ALL)
def test_each_class_falls_back_only_where_the_route_says(error: str) -> None:
    retry = RetryRule(tries=1)
    others = tuple(one for one in ALL if one != error)
    on = a_call("a", "b", rules=RouteRules(fallback_on=(error,), retry=retry))  # type: ignore[arg-type]
    off = a_call("a", "b", rules=RouteRules(fallback_on=others, retry=retry))
    assert asks(after(on, failed("a", error))) == "b"
    assert isinstance(after(off, failed("a", error)), Stop)


def test_every_target_gets_its_tries_and_then_it_ends() -> None:
    call, made = a_call("a", "b"), list[Attempt]()
    while isinstance(step := after(call, *made), Try) and len(made) < 9:
        made.append(failed(step.target.connection))
    assert [one.target.connection for one in made] == ["a", "a", "b", "b"]
    assert step == Stop("Every target was tried.")


def test_nothing_is_tried_once_the_client_has_the_first_byte() -> None:
    call = a_call("a", "b", is_stream=True)
    assert isinstance(after(call, failed("a", first_token_at=NOW)), Stop)
    assert asks(after(a_call("a", "b"), failed("a", first_token_at=NOW))) == "a"


def test_the_deadline_is_kept() -> None:
    call = a_call("a", "b")
    call.deadline_at = NOW + 0.1
    assert asks(after(call, failed("a"))) == "b"  # no time to wait for a
    call.deadline_at = NOW
    assert isinstance(after(call, failed("a")), Stop)


def test_an_open_circuit_is_passed_by() -> None:
    call = a_call("a", "b")
    broken = HealthView({("a", "m"): circuit()})
    assert asks(after(call, health=broken)) == "b"
    assert asks(after(call, failed("a"), health=broken)) == "b"  # opened meanwhile: no retry
    other = HealthView({("b", "m"): circuit()})
    assert isinstance(after(call, failed("a", "auth"), health=other), Stop)
    both = HealthView({("a", "m"): circuit(3), ("b", "m"): circuit(9)})
    assert asks(after(call, health=both)) == "b"


def test_a_half_open_circuit_is_probed_without_a_hedge() -> None:
    call = a_call("a", "b", rules=RouteRules(hedge_after_s=0.2))
    step = after(call, health=HealthView({("a", "m"): circuit(16)}))
    assert isinstance(step, Try)
    assert (asks(step), step.is_probe, step.hedge_after_s) == ("a", True, None)


def test_a_hedge_goes_to_the_next_target_that_works() -> None:
    call = a_call("a", "b", "c", rules=RouteRules(hedge_after_s=0.2))
    step = after(call, health=HealthView({("b", "m"): circuit()}))
    assert isinstance(step, Try)
    assert step.beside is not None
    assert (step.hedge_after_s, step.beside.connection) == (0.2, "c")


def test_a_hedge_that_was_let_go_does_not_count() -> None:
    call = a_call("a", "b")
    step = after(call, failed("a"), failed("b", "cancelled", is_hedge=True))
    assert asks(step) == "a"
