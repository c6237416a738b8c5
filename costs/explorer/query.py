"""An explorer question read from a query string: what pages and the API share."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.http import QueryDict

from core.ranges import InvalidRangeError, TimeRange, parse_range
from costs.explorer.ask import BINS, InvalidQuestionError, Question
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES
from costs.filters import MAX_LENGTH, MAX_VALUES, NONE
from costs.forms import MAX_HOURLY, choice, read_limit, refuse_unknown

DEFAULT_RANGE = "30d"
DEFAULT_LIMIT, MAX_LIMIT = 50, 1000
DEFAULT_MEASURES = ("cost_usd", "calls", "total_tokens")
COMPARISONS = ("none", "previous", "last_month")
FORMATS = ("json", "csv")
PARAMETERS = ("range", "by", "bin", "measures", "sort", "limit", "compare", "format")


@dataclass(frozen=True)
class Asked:
    """A checked question, its range in words, and what it is compared with."""

    question: Question
    period: TimeRange
    previous: TimeRange | None
    format: str = "json"

    def before(self, keys: Sequence[tuple[str, ...]]) -> Question | None:
        """The same question about the period before, for these groups."""
        if self.previous is None:
            return None
        return replace(
            self.question,
            start=self.previous.start,
            end=self.previous.end,
            bin="",
            limit=None,
            keys=tuple(keys),
        )


def read_question(
    query: QueryDict,
    *,
    project_ids: Sequence[UUID],
    now: dt.datetime,
    extra: Sequence[str] = (),
) -> Asked:
    """The question of a query string. Raises DomainError naming the parameter, its value and the rule.

    `by` and `measures` take names with commas between them, or repeat; `sort` is a measure, with `-` in front for the
    largest first. Every dimension is a filter of its own name. `extra` are parameters the caller reads itself.
    """
    refuse_unknown(query, {*PARAMETERS, *DIMENSIONS, *extra})
    period = parse_range(query.get("range", ""), now=now, default=DEFAULT_RANGE).whole_hours()
    measures = _names(query, "measures") or DEFAULT_MEASURES
    sort = query.get("sort") or f"-{measures[0]}"
    size = choice(query, "bin", BINS, "")
    if size == "hour" and period.duration > MAX_HOURLY:
        raise InvalidRangeError(
            f"bin is hour; the range may then span at most {MAX_HOURLY.days} days. Use day, or a shorter range.",
            fields=["bin", "range"],
        )
    compare = choice(query, "compare", COMPARISONS, "none")
    previous = {"previous": period.previous, "last_month": period.month_before}.get(compare)
    question = Question(
        project_ids=tuple(project_ids),
        start=period.start,
        end=period.end,
        by=_names(query, "by"),
        bin=size,
        filters=tuple((name, found) for name in DIMENSIONS if (found := _values(query, name))),
        measures=measures,
        sort=_sorted_by(sort, measures),
        ascending=not sort.startswith("-"),
        limit=read_limit(query, default=DEFAULT_LIMIT, most=MAX_LIMIT),
    )
    return Asked(
        question,
        period,
        previous().whole_hours() if previous else None,
        choice(query, "format", FORMATS, "json"),
    )


def _sorted_by(sort: str, measures: tuple[str, ...]) -> str:
    """The measure; an unknown one among `measures` is named by the question itself."""
    name = sort.removeprefix("-")
    if name in measures:
        return "" if name == measures[0] else name
    if name not in MEASURES:
        raise InvalidQuestionError(
            f"sort is {sort[:40]!r}; it must be one of {', '.join(MEASURES)}, with - in front for the largest first.",
            fields=["sort"],
        )
    return name


def _names(query: QueryDict, name: str) -> tuple[str, ...]:
    """Words with commas between them; each once."""
    found = [part.strip() for text in query.getlist(name) for part in text.split(",")]
    if len(found) > 2 * len(MEASURES):
        raise InvalidQuestionError(f"{name} has {len(found)} names; use each once.", fields=[name])
    words = [word for word in found if word]
    return tuple(words) if name == "by" else tuple(dict.fromkeys(words))


def _values(query: QueryDict, name: str) -> tuple[str, ...]:
    """A filter's values, `(none)` for calls without one."""
    given = [text for text in query.getlist(name) if text]
    if len(given) > MAX_VALUES:
        raise InvalidQuestionError(
            f"{name} has {len(given)} values; at most {MAX_VALUES} are allowed.", fields=[name]
        )
    for text in given:
        if len(text) > MAX_LENGTH or "\x00" in text:
            raise InvalidQuestionError(
                f"{name} is {text[:40]!r}; a value has at most {MAX_LENGTH} characters and no NUL.",
                fields=[name],
            )
    return tuple(sorted({"" if text == NONE else text for text in given}))
