"""Whether a rule's conditions hold for a call (pure)."""

import datetime as dt

from gateway.dialects.facts import RequestFacts
from gateway.structs import Caller, Match

ALWAYS = Match()
DAYS = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def holds(when: Match, facts: RequestFacts, caller: Caller, at: dt.datetime) -> bool:
    """Whether all that `when` asks for is so. `at` is in UTC."""
    return not why_not(when, facts, caller, at)


def why_not(when: Match, facts: RequestFacts, caller: Caller, at: dt.datetime) -> str:
    """The first condition that does not hold, in words; empty when all do."""
    if when == ALWAYS:
        return ""
    return (
        _why_not_caller(when, facts, caller)
        or _why_not_request(when, facts)
        or _why_not_now(when, at)
    )


def _why_not_caller(when: Match, facts: RequestFacts, caller: Caller) -> str:
    if when.tags and not any(tag in caller.tags or tag in facts.tags for tag in when.tags):
        return f"only for calls tagged {_any(when.tags)}"
    if when.users and (caller.user or facts.user) not in when.users:
        return f"only for user {_any(when.users)}"
    if when.agents and caller.agent not in when.agents:
        return f"only for agent {_any(when.agents)}"
    if when.environments and caller.environment not in when.environments:
        return f"only in environment {_any(when.environments)}"
    return ""


def _why_not_request(when: Match, facts: RequestFacts) -> str:
    if when.prompt_contains and not _says(facts, when.prompt_contains.casefold()):
        return f"only for prompts that contain “{when.prompt_contains}”"
    if when.min_input_tokens is not None and facts.input_tokens < when.min_input_tokens:
        return (
            f"only from {when.min_input_tokens} input tokens (this has about {facts.input_tokens})"
        )
    if when.max_input_tokens is not None and facts.input_tokens > when.max_input_tokens:
        return (
            f"only up to {when.max_input_tokens} input tokens (this has about {facts.input_tokens})"
        )
    if when.is_stream is not None and facts.is_stream is not when.is_stream:
        return (
            "only for calls that stream" if when.is_stream else "only for calls that do not stream"
        )
    if when.has_tools is not None and facts.has_tools is not when.has_tools:
        return "only for calls with tools" if when.has_tools else "only for calls without tools"
    if when.has_images is not None and facts.has_images is not when.has_images:
        return "only for calls with images" if when.has_images else "only for calls without images"
    return ""


def _why_not_now(when: Match, at: dt.datetime) -> str:
    if when.weekdays and at.isoweekday() not in when.weekdays:
        return f"only on {_any(tuple(DAYS[day] for day in when.weekdays))} (UTC)"
    if when.hours is not None and not _within(when.hours, at.hour):
        return f"only from {when.hours[0]} to {when.hours[1]} o'clock UTC"
    return ""


def _says(facts: RequestFacts, text: str) -> bool:
    return text in facts.system.casefold() or any(
        text in turn.text.casefold() for turn in facts.turns
    )


def _within(hours: tuple[int, int], hour: int) -> bool:
    first, end = hours
    return first <= hour < end if first < end else hour >= first or hour < end


def _any(words: tuple[str, ...]) -> str:
    return " or ".join(words)
