"""How a call is to be handled, as far as the caller has a say: priority, time, tries, caches, recording (pure)."""

import re
from typing import Any

import msgspec

from gateway.dialects.facts import RequestFacts
from gateway.door.headers import HeaderError, Said
from gateway.structs import PRIORITIES, CacheWishes, ProjectRules, RouteRules

MAX_TRIES = 10
MAX_TIMEOUT_S = 24 * 3600.0
MAX_TTL_S = 30 * 86_400
MAX_NAMESPACE = 120
_ON = {"true", "1", "on", "yes", "enabled"}
_OFF = {"false", "0", "off", "no", "disabled"}
_MAX_AGE = re.compile(r"(?:^|,)\s*(?:max-age|s-maxage)\s*=\s*(\d{1,9})")
_NO_WISHES = CacheWishes()


class Wishes(msgspec.Struct, frozen=True):
    """What a caller asks for."""

    priority: int
    deadline_s: float
    cache: CacheWishes
    flags: tuple[str, ...]
    is_async: bool


def wishes_of(said: Said, facts: RequestFacts, rules: ProjectRules, key_id: str) -> Wishes:
    """Raises HeaderError."""
    is_async = "respond-async" in said.values.get("prefer", "").lower()
    if "webhook" in said.values and not is_async:
        raise HeaderError(said.names["webhook"], "It goes with Prefer: respond-async only.")
    return Wishes(
        priority=_priority(said, facts, rules, key_id),
        deadline_s=_deadline(said, rules),
        cache=_cache(said, facts),
        flags=_flags(said),
        is_async=is_async,
    )


def followed(rules: RouteRules, said: Said) -> RouteRules:
    """The route's rules with what the caller asks of them: fewer or more tries, less patience."""
    values = said.values
    if not ("first_token" in values or "tries" in values or "retries" in values):
        if values.get("retry_is_on", "").lower() not in _OFF or "retry_is_on" not in values:
            return rules
        return msgspec.structs.replace(rules, retry=msgspec.structs.replace(rules.retry, tries=1))
    retry, first = rules.retry, rules.first_token_s
    if "tries" in values:
        tries = _whole(said, "tries", 1, MAX_TRIES)
        retry = msgspec.structs.replace(retry, tries=tries)
    elif "retries" in values:
        retry = msgspec.structs.replace(retry, tries=_whole(said, "retries", 0, MAX_TRIES - 1) + 1)
    if "first_token" in values:
        first = _seconds(said, "first_token")
    return msgspec.structs.replace(rules, retry=retry, first_token_s=first)


def _priority(said: Said, facts: RequestFacts, rules: ProjectRules, key_id: str) -> int:
    """The header's, the body's (LiteLLM's place: 0 is the highest there), the key's, the project's."""
    asked = said.values.get("priority")
    if asked is not None:
        if asked.lower() not in PRIORITIES:
            raise HeaderError(said.names["priority"], "It must be high, normal or low.")
        return PRIORITIES.index(asked.lower())
    name = facts.document.get("priority")
    if type(name) is int:
        return min(max(name, 0), len(PRIORITIES) - 1)
    if type(name) is not str or name not in PRIORITIES:
        name = rules.key_priorities.get(key_id, rules.default_priority)
    return PRIORITIES.index(name)


def _deadline(said: Said, rules: ProjectRules) -> float:
    values, found = said.values, rules.deadline_s
    if "timeout" in values:
        found = min(found, _seconds(said, "timeout"))
    elif "timeout_ms" in values:
        found = min(found, _seconds(said, "timeout_ms", of=1000))
    return found


def _seconds(said: Said, field: str, *, of: int = 1) -> float:
    try:
        found = float(said.values[field]) / of
    except ValueError:
        found = 0.0
    if not 0 < found <= MAX_TIMEOUT_S:
        unit = "milliseconds" if of == 1000 else "seconds"
        rule = f"It must be a number of {unit} above 0, at most {MAX_TIMEOUT_S * of:.0f}."
        raise HeaderError(said.names[field], rule)
    return found


def _whole(said: Said, field: str, least: int, most: int) -> int:
    text = said.values[field]
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise HeaderError(said.names[field], f"It must be a whole number from {least} to {most}.")
    return int(text)


def _switch(said: Said, field: str) -> bool | None:
    text = said.values.get(field)
    if text is None:
        return None
    if text.lower() in _ON:
        return True
    if text.lower() in _OFF:
        return False
    raise HeaderError(said.names[field], "It must be true or false.")


def _cache(said: Said, facts: RequestFacts) -> CacheWishes:
    values = said.values
    found = facts.document.get("cache")  # LiteLLM's place
    asked: dict[str, Any] = found if type(found) is dict else {}
    if not asked and not any(name.startswith("cache") for name in values):
        return _NO_WISHES
    is_on, reads, writes = _cache_mode(said)
    control = values.get("cache_control", "").lower()
    reads = reads and "no-cache" not in control and not _switch(said, "cache_refresh")
    writes = writes and "no-store" not in control
    ttl = _whole(said, "cache_ttl", 1, MAX_TTL_S) if "cache_ttl" in values else None
    age = _MAX_AGE.search(control)
    if ttl is None and age and int(age[1]) > 0:
        ttl = min(int(age[1]), MAX_TTL_S)
    namespace = values.get("cache_namespace")
    if asked:
        reads = reads and not asked.get("no-cache")
        writes = writes and not asked.get("no-store")
        ttl = ttl or _asked_ttl(asked.get("ttl"))
        if namespace is None and type(asked.get("namespace")) is str:
            namespace = asked["namespace"]
    if namespace is not None and len(namespace) > MAX_NAMESPACE:
        name = said.names.get("cache_namespace", "cache.namespace")
        raise HeaderError(name, f"At most {MAX_NAMESPACE} characters.")
    per_user = _switch(said, "cache_per_user")
    return CacheWishes(
        is_on=is_on,
        reads=reads,
        writes=writes,
        ttl_s=ttl,
        namespace=namespace,
        per_user=per_user,
    )


def _asked_ttl(value: object) -> int | None:
    return min(value, MAX_TTL_S) if type(value) is int and value > 0 else None


def _cache_mode(said: Said) -> tuple[bool | None, bool, bool]:
    """Whether it is on, whether it is read, whether the answer is kept."""
    text = said.values.get("cache", "").lower()
    if text == "refresh":
        return None, False, True
    if text == "no-store":
        return None, True, False
    if text in ("", "default"):
        return None, True, True
    if text in _ON:
        return True, True, True
    if text in _OFF or text == "bypass":
        return False, False, False
    rule = "It must be on, off, refresh or no-store."
    raise HeaderError(said.names["cache"], rule)


def _flags(said: Said) -> tuple[str, ...]:
    """What is not to be recorded of the contents: `omit_input`, `omit_output`."""
    values = said.values
    if not ("omit" in values or "omit_request" in values or "omit_response" in values):
        if "redact" not in values or not _switch(said, "redact"):
            return ()
        return ("omit_input", "omit_output")
    parts = {part.strip().lower() for part in values.get("omit", "").split(",")} - {""}
    if parts - {"input", "output"}:
        raise HeaderError(said.names["omit"], "It must be input, output or both, with a comma.")
    if _switch(said, "omit_request"):
        parts.add("input")
    if _switch(said, "omit_response"):
        parts.add("output")
    return tuple(f"omit_{part}" for part in sorted(parts))
