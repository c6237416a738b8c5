"""What a span's dialect made of it: what it read, what it left, and why. For people, not for the hot path.

The span is read once more with mappings that note every key taken from them; reading itself is not changed by this.
"""

import copy
from typing import Any

import msgspec

from traces.ingest.dialects.registry import Dialect, dialect_of, read_as
from traces.ingest.facts import EventFacts, ScopeFacts, SpanFacts
from traces.ingest.limits import Limits
from traces.ingest.span import NormalSpan

PLAIN = "otel"
RESOURCE = "resource."  # how keys of the resource are told from those of the span

NOT_READ = "not part of what LLMLab reads; kept with the step's attributes"
OTHER_PREFERRED = "another attribute says the same and comes first; kept with the step's attributes"
NO_DIALECT = "the span is in no vocabulary LLMLab knows; kept with the step's attributes"
RESOURCE_NOT_READ = "describes the sending program; kept with the step's attributes"
_EMPTY: tuple[Any, ...] = (None, "", {}, [], (), False)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How one span was understood. Keys of the resource are written `resource.<key>`."""

    dialect: str  # traces.ingest.dialects.*.NAME, or "otel" for a span of no known vocabulary
    version: str  # of the instrumentation, from the scope; may be empty
    scope: str  # the instrumentation's name
    span: NormalSpan
    fields: dict[str, Any]  # the fields of `span` that say something, by name
    consumed: tuple[str, ...]  # attribute keys that were read, in the order they were sent
    consumed_events: tuple[str, ...]  # names of events that became messages
    ignored: tuple[tuple[str, str], ...]  # (key, reason), in the order they were sent
    flags: tuple[str, ...]  # what did not fit: bad_token_count, truncated, …


class Noting(dict[str, Any]):
    """A mapping that remembers which of its keys were read. Looking at all keys reads none of them."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        if found and isinstance(key, str):
            self.read.add(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read.add(key)
        return super().pop(key, *default)


def explain(raw_span: SpanFacts, limits: Limits | None = None) -> Explanation:
    """How `raw_span` is understood; it is left as it is. Never raises for odd values, like the dialects themselves."""
    dialect = dialect_of(raw_span)
    span, attributes, resource = _read(dialect, raw_span, limits or Limits())
    # Looked at only to be dropped, or to be told why not.
    attributes.read.difference_update(getattr(dialect, "IGNORED", {}))
    left = [key for key in raw_span.attributes if key not in attributes.read]
    preferred = _read_without(dialect, raw_span, left, limits or Limits())
    ignored = [(key, _reason(dialect, key, preferred)) for key in left]
    unread = [key for key in raw_span.scope.resource if key not in resource.read]
    ignored += [(RESOURCE + key, RESOURCE_NOT_READ) for key in unread]
    consumed = [key for key in raw_span.attributes if key in attributes.read]
    consumed += [RESOURCE + key for key in raw_span.scope.resource if key in resource.read]
    return Explanation(
        dialect=dialect.NAME if dialect else PLAIN,
        version=span.scope_version,
        scope=span.scope_name,
        span=span,
        fields=said_fields(span),
        consumed=tuple(consumed),
        consumed_events=_consumed_events(raw_span, span),
        ignored=tuple(ignored),
        flags=span.flags,
    )


def _read(
    dialect: Dialect | None, raw_span: SpanFacts, limits: Limits
) -> tuple[NormalSpan, Noting, Noting]:
    """The span read from noting copies; its own mappings are plain again afterwards."""
    attributes = Noting(copy.deepcopy(raw_span.attributes))
    resource = Noting(copy.deepcopy(raw_span.scope.resource))
    scope = ScopeFacts(name=raw_span.scope.name, version=raw_span.scope.version, resource=resource)
    facts = msgspec.structs.replace(
        raw_span,
        attributes=attributes,
        events=[_copied(event) for event in raw_span.events],
        scope=scope,
        flags=list(raw_span.flags),
    )
    span = read_as(dialect, facts, limits)
    kept = dict(span.attributes)
    if "resource" in kept:
        kept["resource"] = dict(resource)
    return msgspec.structs.replace(span, attributes=kept), attributes, resource


def _copied(event: EventFacts) -> EventFacts:
    return msgspec.structs.replace(event, attributes=copy.deepcopy(event.attributes))


def _read_without(
    dialect: Dialect | None, raw_span: SpanFacts, left: list[str], limits: Limits
) -> set[str]:
    """Which of the keys that were left would have been read, had the preferred ones not been there."""
    if dialect is None:
        return set()
    alone = {key: raw_span.attributes[key] for key in left}
    _, attributes, _ = _read(dialect, msgspec.structs.replace(raw_span, attributes=alone), limits)
    return attributes.read


def _reason(dialect: Dialect | None, key: str, preferred: set[str]) -> str:
    if dialect is None:
        return NO_DIALECT
    stated: dict[str, str] = getattr(dialect, "IGNORED", {})
    for name, reason in stated.items():
        if key == name or (name.endswith("*") and key.startswith(name[:-1])):
            return reason
    return OTHER_PREFERRED if key in preferred else NOT_READ


def said_fields(span: NormalSpan) -> dict[str, Any]:
    """What the normal form says, without the attributes it only keeps and where it was read from."""
    hidden = {"attributes", "dialect", "scope_name", "scope_version", "flags"}
    values = ((name, getattr(span, name)) for name in span.__struct_fields__ if name not in hidden)
    return {name: value for name, value in values if value not in _EMPTY}


def _consumed_events(raw_span: SpanFacts, span: NormalSpan) -> tuple[str, ...]:
    """The events that are not shown as events any more."""
    kept = [(event["name"], event["offset_ms"]) for event in span.events]
    consumed = []
    for event in raw_span.events:
        key = (event.name, event.offset_ms)
        if key in kept:
            kept.remove(key)
        else:
            consumed.append(event.name)
    return tuple(consumed)
