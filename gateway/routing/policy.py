"""What comes after an attempt (pure): the same target again, the next one, or the end."""

import random
from collections.abc import Sequence

import msgspec

from gateway.dialects.errors import Failure
from gateway.routing.health import HEALTHY, HealthView
from gateway.structs import Attempt, Call, Target


class Try(msgspec.Struct, frozen=True):
    """Ask this target after `wait_s`; and `beside` too when it has not begun within `hedge_after_s`.

    A probe of a half-open circuit (`is_probe`) is asked only by whom `Health.claim` says so; else ask `next_step` anew.
    """

    target: Target
    wait_s: float = 0.0
    hedge_after_s: float | None = None
    beside: Target | None = None
    is_probe: bool = False


class Stop(msgspec.Struct, frozen=True):
    """Nobody is left to ask; why, in words for the record."""

    reason: str


def next_step(
    call: Call,
    attempts: Sequence[Attempt],
    *,
    now: float,
    health: HealthView = HEALTHY,
    draw: float | None = None,
) -> Try | Stop:
    """What to do now: `attempts` are those made so far, `draw` in [0, 1) decides the jitter in tests.

    Nothing is asked again once the client has the first byte, nor past the deadline. An open circuit is passed by,
    and one whose provider said to wait; when all are so from the beginning, the one that looks best is asked once.
    """
    made = [one for one in attempts if one.error != "cancelled"]
    if not made:
        return _first(call, now, health)
    last = made[-1]
    if not last.error:
        return Stop("It was answered.")
    if call.is_stream and any(one.first_token_at for one in made):
        return Stop("The client already has the beginning of the answer.")
    if now >= call.deadline_at:
        return Stop("The deadline has passed.")
    again = _again(call, made, last, now, health, draw)
    return again if again is not None else _fall_back(call, made, last, now, health)


def _first(call: Call, now: float, health: HealthView) -> Try | Stop:
    targets = call.decision.targets
    if not targets:
        return Stop("There is no target.")
    for place, target in enumerate(targets):
        standing = health.standing(target.connection, target.model, now)
        if standing != "open" and not _rests(target, now, health):
            return _try(call, place, 0.0, now, health, is_probe=standing == "half_open")
    return Try(min(targets, key=lambda one: health.hardness(one.connection, one.model, now)))


def _try(
    call: Call, place: int, wait_s: float, now: float, health: HealthView, *, is_probe: bool
) -> Try:
    """A hedge goes to the next target that works, else to the same one; a probe has none."""
    targets, after = call.decision.targets, call.rules.hedge_after_s
    if after is None or is_probe:
        return Try(targets[place], wait_s, is_probe=is_probe)
    others = targets[place + 1 :]
    beside = next(
        (one for one in others if _is_closed(one, now, health) and not _rests(one, now, health)),
        targets[place],
    )
    return Try(targets[place], wait_s, after, beside)


def _rests(target: Target, now: float, health: HealthView) -> bool:
    return health.rests_for(target.connection, target.model, now) > 0


def _is_closed(target: Target, now: float, health: HealthView) -> bool:
    return health.standing(target.connection, target.model, now) == "closed"


def _again(
    call: Call,
    made: Sequence[Attempt],
    last: Attempt,
    now: float,
    health: HealthView,
    draw: float | None,
) -> Try | None:
    """The same target, after a wait of full jitter; None when it has had its tries or asking again does not help."""
    rule, target = call.rules.retry, last.target
    count = sum(one.target == target for one in made)
    if count >= rule.tries or not Failure(last.error, last.code, "").is_retryable:
        return None
    if not _is_closed(target, now, health):
        return None
    longest = min(rule.longest_wait_s, rule.first_wait_s * 2 ** min(count - 1, 30))
    wait = longest * (random.random() if draw is None else draw)  # noqa: S311 - spreads load
    if last.retry_after_s is not None:
        if last.retry_after_s > rule.longest_wait_s:
            return None
        # Nobody is to come back sooner, and not all at the same moment.
        wait = min(last.retry_after_s + wait, max(rule.longest_wait_s, last.retry_after_s))
    if now + wait >= call.deadline_at:
        return None
    targets = call.decision.targets
    place = targets.index(target) if target in targets else 0
    return _try(call, place, wait, now, health, is_probe=False)


def _fall_back(
    call: Call, made: Sequence[Attempt], last: Attempt, now: float, health: HealthView
) -> Try | Stop:
    if last.error not in call.rules.fallback_on:
        return Stop(f"The route does not fall back on {last.error.replace('_', ' ')}.")
    tried = [one.target for one in made]
    is_any_open = False
    for place, target in enumerate(call.decision.targets):
        if target in tried:
            continue
        standing = health.standing(target.connection, target.model, now)
        if standing != "open" and not _rests(target, now, health):
            return _try(call, place, 0.0, now, health, is_probe=standing == "half_open")
        is_any_open = True
    if is_any_open:
        return Stop("The targets left have open circuits or are rate limited.")
    return Stop("Every target was tried.")
