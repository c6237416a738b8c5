"""The trace list's one filter state: read from a query string, edited in two ways, turned into conditions."""

from traces.filters.conditions import text_match
from traces.filters.state import (
    DEFAULT_RANGE,
    DEFAULT_SORT,
    FACETS,
    KNOWN_PARAMS,
    SORTS,
    VALUE_FACETS,
    InvalidFilterError,
    TraceFilters,
    parse_filters,
    unknown_params,
)

__all__ = [
    "DEFAULT_RANGE",
    "DEFAULT_SORT",
    "FACETS",
    "KNOWN_PARAMS",
    "SORTS",
    "VALUE_FACETS",
    "InvalidFilterError",
    "TraceFilters",
    "parse_filters",
    "text_match",
    "unknown_params",
]
