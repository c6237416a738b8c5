"""`check_input`: a project's and a route's checks of a request (pure)."""

from typing import Any

import msgspec

from core.errors import DomainError
from gateway.dialects.facts import RequestFacts
from gateway.guards import injection
from gateway.guards.finding import LOOKS, Look
from gateway.guards.texts import REQUEST, changed
from gateway.structs import Caller, Dialect, GuardRule

BLOCKED_CODE = "guard_blocked"
_LIMIT_FIELDS = {
    Dialect.CHAT: "max_completion_tokens",
    Dialect.RESPONSES: "max_output_tokens",
    Dialect.COMPLETIONS: "max_tokens",
    Dialect.MESSAGES: "max_tokens",
}
_LEAST_THINKING = 1024


class Blocked(msgspec.Struct, frozen=True):
    """Which check stopped a call; `message` never holds what it found."""

    kind: str
    message: str
    param: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the checks say. `document` is the request as it may go on, the facts' own one when nothing was changed; of
    a blocked one, as it may be recorded."""

    document: dict[str, Any]
    blocked: Blocked | None = None
    flags: tuple[str, ...] = ()


def check_input(rules: tuple[GuardRule, ...], facts: RequestFacts, caller: Caller) -> Verdict:
    """Judge a request by the rules in force for it (those whose `when` holds)."""
    del caller  # conditions on who calls are `when`'s, which is the door's
    work = _Checking(facts)
    for rule in rules:
        if rule.on in ("input", "both") and rule.kind != "json_schema":
            work.check(rule)
    return Verdict(work.document, work.blocked, tuple(dict.fromkeys(work.flags)))


def flag_of(rule: GuardRule, done: str) -> str:
    return f"guard:{rule.kind}:{done}"


def stopped(rule: GuardRule, what: str, param: str = "", *, is_answer: bool = False) -> Blocked:
    """The refusal's words: the project's own, else what was found, by name."""
    of = "answer" if is_answer else "request"
    text = f"This project's check “{rule.kind}” stopped the {of}: {what}."
    return Blocked(rule.kind, f"{text} {rule.message}".strip() if rule.message else text, param)


class _Checking:
    def __init__(self, facts: RequestFacts) -> None:
        self.facts = facts
        self.document = facts.document
        self.blocked: Blocked | None = None
        self.flags: list[str] = []

    def check(self, rule: GuardRule) -> None:
        if rule.kind == "max_tokens":
            self._max_tokens(rule)
        elif rule.kind == "allowed_models":
            self._allowed_models(rule)
        elif rule.kind == "injection":
            self._injection(rule)
        elif rule.kind in LOOKS:
            self._look(rule)

    def _stop(self, rule: GuardRule, what: str, param: str = "") -> None:
        """Block or flag; what can only be one of both is not masked, so it is blocked."""
        if rule.action == "flag":
            self.flags.append(flag_of(rule, "flagged"))
            return
        self.flags.append(flag_of(rule, "blocked"))
        self.blocked = self.blocked or stopped(rule, what, param)

    def _max_tokens(self, rule: GuardRule) -> None:
        field = _LIMIT_FIELDS.get(self.facts.dialect)
        if rule.limit is None or field is None:
            return
        asked = self.facts.max_output_tokens
        if asked is not None and asked <= rule.limit:
            return
        if asked is not None and rule.action != "mask":
            what = f"it asks for up to {asked:,} tokens of output, {rule.limit:,} are allowed"
            stated = [name for name in ("max_tokens", field) if name in self.document]
            self._stop(rule, what, stated[-1] if stated else field)
        elif rule.action != "flag":
            # Also for who names no limit: what is not said would be the model's own.
            self.document = _capped(self.document, field, rule.limit)
            self.flags.append(flag_of(rule, "masked"))

    def _allowed_models(self, rule: GuardRule) -> None:
        model = self.facts.model.casefold()
        for name in rule.names:
            wanted = name.casefold()
            if model == wanted or (wanted.endswith("*") and model.startswith(wanted[:-1])):
                return
        self._stop(rule, "the model it names is not allowed", "model")

    def _injection(self, rule: GuardRule) -> None:
        limit = rule.limit or injection.THRESHOLD
        for turn in self.facts.turns:
            if turn.role == "assistant":
                continue
            score, names = injection.score(turn.text)
            if score >= limit:
                self._stop(rule, f"it reads like a prompt injection ({', '.join(names)})")
                return

    def _look(self, rule: GuardRule) -> None:
        try:
            look = Look(rule)
        except DomainError:
            # A check that cannot run lets nothing pass.
            self.flags.append(flag_of(rule, "blocked"))
            self.blocked = self.blocked or stopped(rule, "the check itself cannot be used")
            return
        masked = changed(self.document, REQUEST, look)
        if masked is self.document and not look.has_found:
            return
        if rule.action == "mask":
            self.document = masked
            self.flags.append(flag_of(rule, "masked"))
            return
        self._stop(rule, f"it holds {look.names or 'more than could be read in time'}")
        if rule.action == "block":
            # Only for the record.
            self.document = masked


def _capped(document: dict[str, Any], field: str, limit: int) -> dict[str, Any]:
    made = dict(document)
    if field == "max_completion_tokens" and "max_tokens" in made and field not in made:
        field = "max_tokens"
    elif field == "max_completion_tokens":
        made.pop("max_tokens", None)
    made[field] = limit
    thinking = made.get("thinking")
    if type(thinking) is dict and type(thinking.get("budget_tokens")) is int:
        # Anthropic wants it below the limit.
        if limit <= _LEAST_THINKING:
            del made["thinking"]
        elif thinking["budget_tokens"] >= limit:
            made["thinking"] = {**thinking, "budget_tokens": limit - 1}
    return made
