"""Finds the dialect of a span.

Every module of this package with `NAME`, `PRIORITY`, `matches(scope_name, attributes)` and
`normalise(facts, cleaner)` takes part; the lowest PRIORITY that matches wins. Unmatched spans are
kept as plain steps.
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


def _discover() -> tuple[Any, ...]:
    names = [item.name for item in pkgutil.iter_modules(dialects.__path__)]
    modules = [importlib.import_module(f"{dialects.__name__}.{name}") for name in names]
    return tuple(sorted((m for m in modules if hasattr(m, "PRIORITY")), key=lambda m: m.PRIORITY))


DIALECTS: tuple[Dialect, ...] = _discover()
_LIMITS = Limits()


def understand(facts: SpanFacts, limits: Limits = _LIMITS) -> NormalSpan:
    """The span as its dialect reads it. Takes entries out of `facts.attributes`."""
    cleaner = Cleaner(limits)
    for dialect in DIALECTS:
        if dialect.matches(facts.scope.name, facts.attributes):
            span = dialect.normalise(facts, cleaner)
            break
    else:
        span = plain_span(facts, cleaner)
    flags = [*facts.flags, *cleaner.flags(), *span.flags]
    if flags:
        span.flags = tuple(dict.fromkeys(flags))
    return span
