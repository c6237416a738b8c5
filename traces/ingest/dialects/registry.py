"""Finds the dialect of a span.

Every module of this package with `NAME`, `PRIORITY`, `matches(scope_name, attributes)` and
`normalise(facts, cleaner)` takes part; the lowest PRIORITY that matches wins. A module may name the
`SCOPES` its instrumentation writes under (a name, or the beginning of one ending in `*`): spans of
these are offered to it first. Unmatched spans are kept as plain steps.
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
# Whom to ask first, by scope name. Senders choose the names, so only so many are remembered.
_ORDERS: dict[str, tuple[Dialect, ...]] = {}
_MAX_ORDERS = 2_000


def _asked(scope_name: str) -> tuple[Dialect, ...]:
    """The dialects in the order they are asked about a span of this scope."""
    order = _ORDERS.get(scope_name)
    if order is None:
        own = [d for d in DIALECTS if _claims(d, scope_name)]
        order = (*own, *(dialect for dialect in DIALECTS if dialect not in own))
        if len(_ORDERS) >= _MAX_ORDERS:
            _ORDERS.clear()
        _ORDERS[scope_name] = order
    return order


def _claims(dialect: Dialect, scope_name: str) -> bool:
    return any(
        scope_name == name or (name.endswith("*") and scope_name.startswith(name[:-1]))
        for name in getattr(dialect, "SCOPES", ())
    )


def dialect_of(facts: SpanFacts) -> Dialect | None:
    """The dialect a span is written in; None for one of no known vocabulary."""
    scope_name, attributes = facts.scope.name, facts.attributes
    for dialect in _asked(scope_name):
        if dialect.matches(scope_name, attributes):
            return dialect
    return None


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
