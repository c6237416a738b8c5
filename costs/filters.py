"""Which calls a cost question is about, read from and written to query strings (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import DomainError

# On every aggregate row, so they combine freely.
ROW_FIELDS = ("provider", "model", "environment", "agent")
# One more per question: rows of such a dimension repeat calls by its value.
EXTRA_FIELDS = (
    "user",
    "tag",
    "api_key",
    "feature",
    "prompt_version",
    "error_type",
    "service_tier",
    "operation",
)
GROUPS = (*ROW_FIELDS, *EXTRA_FIELDS)
# How "no agent", "no environment" is written in a query string; an empty value is an untouched form field.
NONE = "(none)"
MAX_VALUES = 50
MAX_LENGTH = 200


class Query(Protocol):
    """A QueryDict, as far as this module needs it."""

    def getlist(self, key: str) -> list[str]: ...


class InvalidFilterError(DomainError):
    """A filter that cannot be answered; the detail says why and what to do."""

    code = "invalid_filter"


@dataclass(frozen=True)
class SpendFilters:
    """`rows` combine (AND between fields, OR between values); `extra` is at most one more dimension with its values."""

    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra: str = ""
    values: tuple[str, ...] = ()

    @property
    def cache_key(self) -> tuple[object, ...]:
        return (
            tuple((name, self.rows[name]) for name in ROW_FIELDS if name in self.rows),
            self.extra,
            self.values,
        )

    def pairs(self) -> list[tuple[str, str]]:
        """(field, value) as they stand in a query string, in a fixed order."""
        found = [(name, value or NONE) for name in ROW_FIELDS for value in self.rows.get(name, ())]
        return found + [(self.extra, value) for value in self.values]


def read_filters(query: Query, *, group_by: str = "") -> SpendFilters:
    """The filters of a query string. Raises InvalidFilterError for too many or impossible ones.

    With `group_by` an extra dimension, the only extra filter can be on that same dimension.
    """
    rows = {name: values for name in ROW_FIELDS if (values := _values(query, name))}
    extras = {name: values for name in EXTRA_FIELDS if (values := _values(query, name))}
    if len(extras) > 1:
        raise InvalidFilterError(
            f"Only one of {', '.join(EXTRA_FIELDS)} can be filtered by at a time; remove {' or '.join(extras)}.",
            fields=list(extras),
        )
    extra = next(iter(extras), "")
    if extra and group_by in EXTRA_FIELDS and group_by != extra:
        raise InvalidFilterError(
            f"group_by is {group_by}; it cannot be combined with the filter {extra}. Remove one of them.",
            fields=["group_by", extra],
        )
    values = extras.get(extra, ())
    if "" in values:
        raise InvalidFilterError(
            f"{extra} is {NONE!r}; calls without a {extra} are not counted apart.", fields=[extra]
        )
    if extra == "tag" and len(values) > 1 and group_by != "tag":
        # A call with both tags would count twice.
        raise InvalidFilterError("tag is given more than once; filter by one tag.", fields=["tag"])
    return SpendFilters(rows, extra, values)


def _values(query: Query, name: str) -> tuple[str, ...]:
    given: Sequence[str] = [text for text in query.getlist(name) if text]
    if len(given) > MAX_VALUES:
        raise InvalidFilterError(
            f"{name} has {len(given)} values; at most {MAX_VALUES} are allowed.", fields=[name]
        )
    for text in given:
        if len(text) > MAX_LENGTH or "\x00" in text:
            raise InvalidFilterError(
                f"{name} is {text[:40]!r}; a value has at most {MAX_LENGTH} characters and no NUL.",
                fields=[name],
            )
    return tuple(sorted({"" if text == NONE else text for text in given}))
