"""Finds the dialect of a span.

Every module of this package with `NAME` and `PRIORITY` takes part. A span is offered to the dialects one of whose
`MARKERS` (attribute names) or `PREFIXES` (their beginnings) it carries, and to those whose `SCOPES` (instrumentation
names, or beginnings ending in `*`) it comes from and whose `matches` agrees; the lowest PRIORITY wins. Unmatched spans
are kept as plain steps.

This runs for every span: one pass over the attribute names in C, one more in Python only where no marker was found.
"""

import importlib
import pkgutil
from typing import Any, Protocol

from traces.ingest import dialects
from traces.ingest.dialects.base import plain_span
from traces.ingest.facts import SpanFacts
from traces.ingest.limits import Limits
from traces.ingest.sanitize import Cleaner
from traces.ingest.span import NormalSpan


class Dialect(Protocol):
    """What a module of this package offers."""

    NAME: str
    PRIORITY: int
    MARKERS: frozenset[str]

    def matches(self, scope_name: str, attributes: dict[str, Any]) -> bool:
        """Whether the span is written in this vocabulary."""
        ...

    def normalise(self, facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
        """The span in normal form; never raises for odd values, flags them."""
        ...


# Modules of the package that read the registry themselves: importing them from here would be a circle.
NOT_DIALECTS = frozenset({"registry", "explain"})


def _discover() -> tuple[Any, ...]:
    found = (item.name for item in pkgutil.iter_modules(dialects.__path__))
    names = [name for name in found if name not in NOT_DIALECTS]
    modules = [importlib.import_module(f"{dialects.__name__}.{name}") for name in names]
    return tuple(sorted((m for m in modules if hasattr(m, "PRIORITY")), key=lambda m: m.PRIORITY))


DIALECTS: tuple[Dialect, ...] = _discover()
_LIMITS = Limits()
_RANK: dict[str, int] = {dialect.NAME: rank for rank, dialect in enumerate(DIALECTS)}
# Backwards, so that of two dialects with one marker the first in rank stays.
_BY_MARKER = {m: _RANK[d.NAME] for d in reversed(DIALECTS) for m in d.MARKERS}
_BY_PREFIX = [(prefix, _RANK[d.NAME]) for d in DIALECTS for prefix in getattr(d, "PREFIXES", ())]
_MARKERS = frozenset(_BY_MARKER)
_PREFIXES = tuple(prefix for prefix, _ in _BY_PREFIX)
# Whose scope it is. Senders choose the names, so only so many are remembered.
_OWNERS: dict[str, tuple[Dialect, ...]] = {}
_MAX_OWNERS = 2_000


def _owners(scope_name: str) -> tuple[Dialect, ...]:
    """The dialects whose instrumentation has this name."""
    if len(_OWNERS) >= _MAX_OWNERS:
        _OWNERS.clear()
    owners = _OWNERS[scope_name] = tuple(d for d in DIALECTS if _claims(d, scope_name))
    return owners


def _claims(dialect: Dialect, scope_name: str) -> bool:
    return any(
        scope_name == name or (name.endswith("*") and scope_name.startswith(name[:-1]))
        for name in getattr(dialect, "SCOPES", ())
    )


def dialect_of(facts: SpanFacts) -> Dialect | None:
    """The dialect a span is written in; None for one of no known vocabulary."""
    scope_name, attributes = facts.scope.name, facts.attributes
    ranks = [_BY_MARKER[marker] for marker in _MARKERS.intersection(attributes)]
    owners = _OWNERS.get(scope_name)
    for dialect in _owners(scope_name) if owners is None else owners:
        if dialect.matches(scope_name, attributes):
            ranks.append(_RANK[dialect.NAME])
    if not ranks:
        begun = [name for name in attributes if name.startswith(_PREFIXES)]
        ranks = [rank for prefix, rank in _BY_PREFIX if any(n.startswith(prefix) for n in begun)]
    return DIALECTS[min(ranks)] if ranks else None


def understand(facts: SpanFacts, limits: Limits = _LIMITS) -> NormalSpan:
    """The span as its dialect reads it. Takes entries out of `facts.attributes`."""
    return read_as(dialect_of(facts), facts, limits)


def read_as(dialect: Dialect | None, facts: SpanFacts, limits: Limits = _LIMITS) -> NormalSpan:
    """The span as this dialect reads it, marked with everything that had to give."""
    cleaner = Cleaner(limits)
    span = dialect.normalise(facts, cleaner) if dialect else plain_span(facts, cleaner)
    flags = [*facts.flags, *cleaner.flags(), *span.flags]
    if flags:
        span.flags = tuple(dict.fromkeys(flags))
    return span
