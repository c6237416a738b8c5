"""Where a gateway call's time went: the phases of its step, from the attributes the gateway recorded. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PREFIX = "llmlab.gateway."
# The phases in their order: what the gateway measured, and what people call it.
WORDS = {
    "door": "Checks and routing",
    "cache": "Cache",
    "queue": "Queue",
    "prepare": "Preparing",
    "retry": "Failed tries and waits",
    "first_token": "Provider, until the first token",
    "provider": "Provider, answering",
    "send": "Handing over",
}
# What is longer is no measurement of ours.
_MOST_MS = 86_400_000.0


class Phase(NamedTuple):
    """`from_ms` counts from the step's start."""

    name: str
    from_ms: float
    length_ms: float

    @property
    def words(self) -> str:
        return WORDS[self.name]


def phases_of(attributes: Mapping[str, Any]) -> tuple[Phase, ...]:
    """The phases that took time, one after the other; none for a step that is no gateway's."""
    found: list[Phase] = []
    at = 0.0
    for name in WORDS:
        length = _milliseconds(attributes, name)
        if name == "provider":
            length -= _milliseconds(attributes, "first_token")
        if length > 0:
            found.append(Phase(name, at, length))
            at += length
    return tuple(found)


def _milliseconds(attributes: Mapping[str, Any], name: str) -> float:
    value = attributes.get(f"{PREFIX}{name}_ms")
    if isinstance(value, (int, float)) and 0 < value <= _MOST_MS:
        return float(value)
    return 0.0
