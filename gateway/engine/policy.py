"""What comes after an attempt (pure): the same target again, the next one, or the end."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.structs import Attempt, Call, Target

RETRYABLE = ("error", "timeout", "rate_limit")


class Try(msgspec.Struct, frozen=True):
    """Ask this target after `wait_s`; and another one beside it when it has not begun within `hedge_after_s`."""

    target: Target
    wait_s: float = 0.0
    hedge_after_s: float | None = None


class Stop(msgspec.Struct, frozen=True):
    """Nobody is left to ask; why, in words for the record."""

    reason: str


def next_step(call: Call, attempts: Sequence[Attempt], *, now: float, health: Any) -> Try | Stop:
    """The first target, then each as often as the route says, then the next; retry-after is honoured."""
    targets, rules = call.decision.targets, call.rules
    if not targets:
        return Stop("The route has no target.")
    if not attempts:
        return Try(targets[0], 0.0, rules.hedge_after_s)
    last = attempts[-1]
    made = sum(one.target == last.target for one in attempts)
    if last.error in RETRYABLE and made < rules.retry.tries:
        wait = min(rules.retry.longest_wait_s, rules.retry.first_wait_s * 2 ** (made - 1))
        wait *= 0.5 + random.random() / 2  # noqa: S311 - spreads load
        if last.retry_after_s is not None:
            wait = max(wait, last.retry_after_s)
        if wait <= rules.retry.longest_wait_s and now + wait < call.deadline_at:
            return Try(last.target, wait, rules.hedge_after_s)
    if last.error not in rules.fallback_on:
        return Stop(f"{last.error} is no reason for a fallback")
    tried = [one.target for one in attempts]
    for target in targets:
        if target not in tried:
            return Try(target, 0.0, rules.hedge_after_s)
    return Stop("Every target was tried.")
