"""What a route's or a project's rules may be (pure): read from plain values, refused naming field, value and rule."""

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from core.errors import DomainError
from gateway.guards.rules import GuardRuleError, check_guard
from gateway.structs import (
    CacheRule,
    CompactRule,
    GuardRule,
    Match,
    ProjectRules,
    RetryRule,
    RouteRules,
    TargetRule,
)

MAX_TARGETS = 20
MAX_GUARDS = 20
MAX_WORDS = 50
YEAR_S = 365 * 86_400
_Rules = TypeVar("_Rules", RouteRules, ProjectRules)
_PATH = re.compile(r"^(.*?)(?: - at `\$(.*?)`)?$", re.DOTALL)


class InvalidRulesError(DomainError):
    """A value that a rule cannot have; `fields` names it by its path, such as targets.0.weight."""

    code = "invalid_rules"


def refused(field: str, value: Any, rule: str) -> InvalidRulesError:
    """The error of one value."""
    return InvalidRulesError(f"{field} is {str(value)[:80]!r}; {rule}", fields=[field])


def read_route_rules(document: Mapping[str, Any], *, connections: Collection[UUID]) -> RouteRules:
    """A route's rules. `connections` are those of the project; their ids are kept without dashes.

    Raises InvalidRulesError.
    """
    rules = _converted(document, RouteRules)
    if not 1 <= len(rules.targets) <= MAX_TARGETS:
        said = f"a route has 1 to {MAX_TARGETS} targets."
        raise refused("targets", f"{len(rules.targets)} targets", said)
    targets = tuple(
        _target(f"targets.{place}", target, connections)
        for place, target in enumerate(rules.targets)
    )
    _check_retry(rules.retry)
    _between("timeout_s", rules.timeout_s, 1, 3600)
    _between("first_token_s", rules.first_token_s, 0.1, 3600)
    _between("hedge_after_s", rules.hedge_after_s, 0.05, 600)
    if rules.cache is not None:
        _check_cache(rules.cache)
    if rules.compact is not None:
        _check_compact(rules.compact)
    _check_guards(rules.guards)
    once = tuple(dict.fromkeys(rules.fallback_on))
    return msgspec.structs.replace(rules, targets=targets, fallback_on=once)


def read_project_rules(document: Mapping[str, Any], *, keys: Collection[UUID]) -> ProjectRules:
    """What holds for all calls of a project. `keys` are its API keys. Raises InvalidRulesError."""
    rules = _converted(document, ProjectRules)
    _between("deadline_s", rules.deadline_s, 1, 86_400)
    _between("queue_limit", rules.queue_limit, 1, 20_000)
    _between("job_max_attempts", rules.job_max_attempts, 1, 10)
    _between("job_keep_s", rules.job_keep_s, 3600, 90 * 86_400)
    _between("cache_entries", rules.cache_entries, 1, 1_000_000)
    _check_cache(rules.cache)
    _check_compact(rules.compact)
    _check_guards(rules.guards)
    priorities = {}
    for given, priority in rules.key_priorities.items():
        found = _known_id(given, keys)
        if found is None:
            raise refused("key_priorities", given, "it must be the id of one of the project's API keys.")  # fmt: skip
        priorities[found] = priority
    return msgspec.structs.replace(rules, key_priorities=priorities)


def read_guards(documents: list[dict[str, Any]]) -> tuple[GuardRule, ...]:
    """Checks alone, as people write them. Raises InvalidRulesError."""
    rules = _converted({"guards": documents}, ProjectRules).guards
    _check_guards(rules)
    return rules


def _converted(document: Mapping[str, Any], kind: type[_Rules]) -> _Rules:
    try:
        return msgspec.convert(dict(document), kind)
    except msgspec.ValidationError as error:
        found = _PATH.match(str(error))
        said, path = found.groups() if found else (str(error), None)
        field = re.sub(r"\[(\d+)\]", r".\1", path or "").lstrip(".") or "rules"
        raise InvalidRulesError(f"{field}: {said}.", fields=[field]) from None


def _known_id(given: str, known: Collection[UUID]) -> str | None:
    try:
        found = UUID(given)
    except ValueError:
        return None
    return found.hex if found in known else None


def _target(path: str, target: TargetRule, connections: Collection[UUID]) -> TargetRule:
    connection = _known_id(target.connection, connections)
    if connection is None:
        said = "it must be a connection that this project may use."
        raise refused(f"{path}.connection", target.connection, said)
    model = target.model.strip()
    _text(f"{path}.model", model, 200)
    _between(f"{path}.weight", target.weight, 0, 1000)
    _between(f"{path}.step", target.step, 0, MAX_TARGETS - 1)
    check_match(f"{path}.when", target.when)
    return msgspec.structs.replace(target, connection=connection, model=model)


def check_match(path: str, when: Match) -> None:
    """Raises InvalidRulesError for conditions that cannot be."""
    for name in ("tags", "users", "agents", "environments"):
        words = getattr(when, name)
        if len(words) > MAX_WORDS:
            raise refused(f"{path}.{name}", f"{len(words)} words", f"at most {MAX_WORDS}.")
        for word in words:
            if not word:
                raise refused(f"{path}.{name}", word, "a word cannot be empty.")
            _text(f"{path}.{name}", word, 200)
    _text(f"{path}.prompt_contains", when.prompt_contains, 500)
    least, most = when.min_input_tokens, when.max_input_tokens
    _between(f"{path}.min_input_tokens", least, 0, 10_000_000)
    _between(f"{path}.max_input_tokens", most, 0, 10_000_000)
    if least is not None and most is not None and least > most:
        said = f"it must be at least min_input_tokens, {least}."
        raise refused(f"{path}.max_input_tokens", most, said)
    if when.hours is not None:
        first, end = when.hours
        if not (0 <= first <= 23 and 0 <= end <= 24):
            said = "hours go from 0–23 until 0–24, in UTC."
            raise refused(f"{path}.hours", f"{first}–{end}", said)
    for day in when.weekdays:
        if not 1 <= day <= 7:
            raise refused(f"{path}.weekdays", day, "days are 1 (Monday) to 7 (Sunday).")


def _check_retry(rule: RetryRule) -> None:
    _between("retry.tries", rule.tries, 1, 10)
    _between("retry.first_wait_s", rule.first_wait_s, 0, 60)
    _between("retry.longest_wait_s", rule.longest_wait_s, 0, 300)


def _check_cache(rule: CacheRule) -> None:
    _between("cache.ttl_s", rule.ttl_s, 1, YEAR_S)
    _between("cache.threshold", rule.threshold, 0.5, 1)
    _between("cache.shadow_share", rule.shadow_share, 0, 1)
    _between("cache.wrong_limit", rule.wrong_limit, 0, 1)
    _text("cache.namespace", rule.namespace, 120)


def _check_compact(rule: CompactRule) -> None:
    _between("compact.tool_results_after", rule.tool_results_after, 1, 1000)
    _between("compact.history_tokens", rule.history_tokens, 100, 10_000_000)


def _check_guards(rules: tuple[GuardRule, ...]) -> None:
    if len(rules) > MAX_GUARDS:
        raise refused("guards", f"{len(rules)} guards", f"at most {MAX_GUARDS}.")
    for place, rule in enumerate(rules):
        path = f"guards.{place}"
        check_match(f"{path}.when", rule.when)
        _between(f"{path}.limit", rule.limit, 1, 10_000_000)
        _text(f"{path}.message", rule.message, 500)
        if len(rule.patterns) > MAX_WORDS or len(rule.names) > MAX_WORDS:
            raise refused(path, "too many words", f"at most {MAX_WORDS} names and patterns.")
        try:
            check_guard(path, rule)
        except GuardRuleError as error:
            raise refused(error.field, error.value, error.rule) from None


def _between(field: str, value: float | None, least: float, most: float) -> None:
    # Not a number is neither below nor above.
    if value is not None and not least <= value <= most:
        raise refused(field, value, f"it must be from {least:g} to {most:,g}.")


def _text(field: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise refused(field, value, f"at most {longest} characters.")
    if any(ord(sign) < 32 and sign not in "\n\t" for sign in value) or any(
        0xD800 <= ord(sign) <= 0xDFFF for sign in value
    ):
        raise refused(field, value, "it must not contain control characters.")
