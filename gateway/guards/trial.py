"""What checks would do with a text somebody pastes: nothing is called, kept or recorded (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.dialects.facts import facts_of
from gateway.guards import injection
from gateway.guards.checks import check_input
from gateway.guards.finding import LOOKS, Look
from gateway.guards.output import GuardBlockedError, OutputGuard
from gateway.guards.rules import KINDS
from gateway.structs import Caller, Dialect, GuardRule

LONGEST = 20_000
_ELSEWHERE = {
    "max_tokens": "It looks at how long an answer the request asks for, not at its text.",
    "allowed_models": "It looks at the model the request names, not at its text.",
    "json_schema": "It compares an answer with the JSON that its request asked for.",
}
_NOBODY = Caller(organization_id="", project_id="", key_id="")


@dataclass(frozen=True)
class Tried:
    """One check: what it would do (blocked, masked, flagged, passed or elsewhere), and why in words."""

    kind: str
    done: str
    words: str
    has_conditions: bool = False

    @property
    def label(self) -> str:
        return KINDS[self.kind]


@dataclass(frozen=True)
class Trial:
    """All of them together; `text` is what would go on, None when a check blocks."""

    checks: Sequence[Tried]
    text: str | None
    is_answer: bool

    @property
    def is_changed(self) -> bool:
        return any(one.done == "masked" for one in self.checks)


def try_checks(rules: Sequence[GuardRule], text: str, *, is_answer: bool = False) -> Trial:
    """Judge a user's message, or a model's answer, whatever the checks' conditions say."""
    place = "output" if is_answer else "input"
    mine = tuple(rule for rule in rules if rule.on in (place, "both"))
    judge = _answered if is_answer else _asked
    checks = [_tried(rule, text, judge((rule,), text)[0]) for rule in mine]
    of_texts = tuple(rule for rule in mine if rule.kind not in _ELSEWHERE)
    return Trial(checks, judge(of_texts, text)[1], is_answer)


def _asked(rules: tuple[GuardRule, ...], text: str) -> tuple[tuple[str, ...], str | None]:
    body = {"model": "any", "messages": [{"role": "user", "content": text}]}
    verdict = check_input(rules, facts_of(Dialect.CHAT, msgspec.json.encode(body)), _NOBODY)
    passed = str(verdict.document["messages"][0]["content"])
    return verdict.flags, None if verdict.blocked else passed


def _answered(rules: tuple[GuardRule, ...], text: str) -> tuple[tuple[str, ...], str | None]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    try:
        guard = OutputGuard(rules, Dialect.CHAT)
        passed = guard.whole(msgspec.json.encode({"choices": [choice]}))
    except GuardBlockedError as error:
        return (f"guard:{error.blocked.kind}:blocked",), None
    document = msgspec.json.decode(passed)
    return tuple(guard.flags), str(document["choices"][0]["message"]["content"])


def _tried(rule: GuardRule, text: str, flags: Sequence[str]) -> Tried:
    has_conditions = rule.when != type(rule.when)()
    if rule.kind in _ELSEWHERE:
        return Tried(rule.kind, "elsewhere", _ELSEWHERE[rule.kind], has_conditions)
    done = flags[0].rpartition(":")[2] if flags else "passed"
    return Tried(rule.kind, done, _why(rule, text, done), has_conditions)


def _why(rule: GuardRule, text: str, done: str) -> str:
    if rule.kind == "injection":
        score, names = injection.score(text)
        found = f"{', '.join(names).replace('_', ' ')}: " if names else ""
        return f"{found}score {score}, from {rule.limit or injection.THRESHOLD} on it counts"
    if rule.kind in LOOKS and done != "passed":
        look = Look(rule)
        look.text(text)
        return look.names or "it took too long, which counts as found"
    return "nothing found"
