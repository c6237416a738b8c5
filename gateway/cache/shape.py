"""What of a route and a project shapes an answer, beside the request itself (pure).

Where a call may go, what guards change and what compaction leaves out: when people change one of them, answers of
before are not given any more. Conditions count by whether they hold for the call: who is sent elsewhere does not get
the other place's answers.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

import msgspec

from gateway.structs import CompactRule, GuardRule, Match, RouteRules

_ALWAYS = Match()
_encode = msgspec.json.Encoder(order="sorted").encode


def shape_of(
    rules: RouteRules | None,
    *,
    guards: tuple[GuardRule, ...] = (),
    compact: CompactRule | None = None,
    holds: Callable[[Match], bool] | None = None,
) -> bytes:
    """For `plan(shape=…)`. `guards` and `compact` are those in force for the call, `holds` says whether a condition
    does (gateway.routing); without it every condition that is one counts as its own case and nothing is shared."""
    targets = rules.targets if rules is not None else ()
    conditions = [one.when for one in targets if one.when != _ALWAYS]
    conditions += [one.when for one in guards if one.when != _ALWAYS]
    cases = b""
    if conditions and holds is not None:
        cases = bytes(holds(one) for one in conditions)
    return _fixed(rules.choose if rules else "", targets, guards, compact) + cases


@lru_cache(maxsize=1024)
def _fixed(choose: str, targets: object, guards: object, compact: object) -> bytes:
    return hashlib.sha256(_encode((choose, targets, guards, compact))).digest()
