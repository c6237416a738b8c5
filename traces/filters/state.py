"""The filter state: a time range, the parts of a query, an order. The page, its panels, exports and the API share it.

The address holds it in two forms that mean the same: plain facet choices as parameters (`status=error&model=a&model=b`)
and everything else as `q` in the query language. Reading joins them, `query()` writes them apart again, `text` is the
whole as the query bar shows it. What cannot be read is left out with a note (pages) or raised (API).
"""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from core.errors import DomainError
from core.ranges import TimeRange, make_range, parse_instant, parse_range
from costs.filters import NONE
from traces.filters.conditions import condition
from traces.models import SpanStatus
from traces.query_language import MAX_QUERY, Problem, parse_query
from traces.query_printing import normal, print_query
from traces.query_terms import And, Compare, Exact, Node, Not, Term, Text

DEFAULT_RANGE = "24h"
MAX_VALUES = 50
MAX_TEXT = 200
# Parameter → key of the query language.
FACETS = {
    "status": "status",
    "name": "name",
    "model": "model",
    "provider": "provider",
    "environment": "env",
    "agent": "agent",
    "user": "user",
    "session": "session",
    "tag": "tag",
    "release": "release",
    "feature": "feature",
    "error": "error",
}
PARAM_OF = {key: param for param, key in FACETS.items()}
# Parameter → the column of Trace it narrows, for those that have one.
VALUE_FACETS = {
    "status": "status",
    "name": "name",
    "model": "model_names",
    "provider": "providers",
    "environment": "environment",
    "agent": "agent",
    "user": "user_id",
    "session": "session_id",
    "tag": "tags",
    "release": "release",
}
LIST_FACETS = frozenset({"model", "provider", "tag"})
SORTS = {
    "started": "started_at",
    "cost": "cost_usd",
    "duration": "duration_ms",
    "tokens": "tokens",
    "steps": "span_count",
}
DEFAULT_SORT = "-started"
# What makes the address name a filter state of its own.
STATE_PARAMS = frozenset(
    {"range", "start", "end", "q", "min_cost", "unpriced", "sort"}
) | frozenset(FACETS)
PAGE_PARAMS = frozenset({"after", "before", "view", "peek", "tail"})
KNOWN_PARAMS = STATE_PARAMS | PAGE_PARAMS
LIMIT = Decimal(10) ** 8
TextCondition = Callable[[Text], Q]
UNPRICED = Term("has", (Exact("unpriced"),))


class InvalidFilterError(DomainError):
    """A filter that cannot be read; `fields` names it."""

    code = "invalid_filter"


@dataclass(frozen=True)
class TraceFilters:
    """What the reader asked for: traces of `range` for which every one of `nodes` holds, in the order `sort`.

    `typed` is what stood in the query bar, `problems` the parts of it that are not run. `now` resolves ages (-2h).
    """

    range: TimeRange
    nodes: tuple[Node, ...] = ()
    sort: str = DEFAULT_SORT
    typed: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def sort_key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @cached_property
    def text(self) -> str:
        """The whole query in canonical form: what the query bar shows."""
        return print_query(And(self.nodes))

    @cached_property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Plain facet choices: parameter → values, any of which matches; "" is a trace without one."""
        return {
            PARAM_OF[node.key]: tuple(_texts(node))
            for node in self.nodes
            if isinstance(node, Term) and _is_facet(node, self.nodes)
        }

    @cached_property
    def rest(self) -> tuple[Node, ...]:
        """What the facet parameters cannot say."""
        return tuple(node for node in self.nodes if not _is_facet(node, self.nodes))

    @property
    def q(self) -> str:
        """The free text of the query, for ranking and for "is this a trace id"."""
        return " ".join(node.text for node in self.nodes if isinstance(node, Text))

    @property
    def active_count(self) -> int:
        """How many parts are on."""
        return len(self.nodes)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.nodes)

    def where(self, *, text: TextCondition | None = None) -> Q:
        """Everything but the project, which the caller names; `text` says what free text means there."""
        found = Q(started_at__gte=self.range.start, started_at__lt=self.range.end)
        for node in self.nodes:
            found &= self.condition(node, text=text)
        return found

    def condition(self, node: Node, *, text: TextCondition | None = None) -> Q:
        """One part over Trace rows of the range."""
        return condition(node, start=self.range.start, now=self.now, text=text)

    def query(self, **changes: object) -> str:
        """The query string of this state with some parameters replaced (None drops one); never a page cursor."""
        pairs: list[tuple[str, str]] = []
        base: dict[str, object] = {
            "range": self.range.key,
            **{facet: [value or NONE for value in chosen] for facet, chosen in self.values.items()},
            "q": print_query(And(self.rest)),
            "sort": None if self.sort == DEFAULT_SORT else self.sort,
        }
        for name, value in {**base, **changes}.items():
            if value is None or value == "":
                continue
            items = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(item)) for item in items]
        return urlencode(pairs)

    def with_nodes(self, nodes: Iterable[Node]) -> "TraceFilters":
        """The same range and order with other parts."""
        joined = normal(And(tuple(nodes)))
        found = joined.nodes if isinstance(joined, And) else (joined,)
        return replace(self, nodes=found, typed="", problems=(), notes=())

    def toggled(self, key: str, value: str) -> "TraceFilters":
        """The state with one exact value of a key switched on or off (a value that was excluded is included again)."""
        exact = Exact(value)
        excluded = Not(Term(key, (exact,)))
        nodes = [node for node in self.nodes if node != excluded]
        for index, node in enumerate(nodes):
            if isinstance(node, Term) and node.key == key and not node.name:
                has_it = exact in node.values
                kept = tuple(one for one in node.values if one != exact)
                nodes[index] = Term(key, kept if has_it else (*node.values, exact))
                if has_it and not kept:
                    del nodes[index]
                return self.with_nodes(nodes)
        return self.with_nodes([*nodes, Term(key, (exact,))])

    def only(self, node: Term) -> "TraceFilters":
        """The state with this as the key's one condition."""
        return self.with_nodes([*(one for one in self.nodes if key_of(one) != node.key), node])

    def excluding(self, key: str, value: str) -> "TraceFilters":
        """The state with one value of a key ruled out."""
        exact = Exact(value)
        kept: list[Node] = []
        for node in self.nodes:
            if isinstance(node, Term) and node.key == key and exact in node.values:
                values = tuple(one for one in node.values if one != exact)
                kept += [Term(key, values, node.name)] if values else []
            else:
                kept.append(node)
        return self.with_nodes([*kept, Not(Term(key, (exact,)))])

    def without(self, node: Node) -> "TraceFilters":
        """The state with one part taken out."""
        return self.with_nodes(one for one in self.nodes if one != node)


def key_of(node: Node) -> str:
    """The one key a part is about; "" for text and groups."""
    inner = node.node if isinstance(node, Not) else node
    return inner.key if isinstance(inner, Term) and not inner.name else ""


def _texts(term: Term) -> list[str]:
    return [value.text for value in term.values if isinstance(value, Exact)]


def _is_facet(node: Node, nodes: tuple[Node, ...]) -> bool:
    """Whether parameters can say it: the key's first plain choice of values."""
    if not isinstance(node, Term) or node.key not in PARAM_OF:
        return False
    first = next(one for one in nodes if isinstance(one, Term) and one.key == node.key)
    return first == node and len(_texts(node)) == len(node.values)


def parse_filters(params: QueryDict, *, now: dt.datetime, strict: bool = False) -> TraceFilters:
    """Read a query string. What is unreadable becomes `notes` and `problems`; with `strict` InvalidFilterError."""
    problems: list[tuple[str, str]] = []
    try:
        time_range = _range(params, now=now)
    except DomainError as error:
        problems.append(("range", error.detail))
        time_range = parse_range(DEFAULT_RANGE, now=now)
    nodes: list[Node] = []
    for facet, key in FACETS.items():
        if chosen := _values(params, facet, problems):
            nodes.append(Term(key, tuple(Exact(value) for value in chosen)))
    minimum = _min_cost(params.get("min_cost", ""), problems)
    if minimum is not None:
        nodes.append(Term("cost", (Compare(">", minimum.normalize() + 0),)))
    if _flag(params, "unpriced", problems):
        nodes.append(UNPRICED)
    typed = params.get("q", "").replace("\x00", "").strip()[: MAX_QUERY + 1]
    parsed = parse_query(typed)
    sort = _sort(params.get("sort", ""), problems)
    if strict and (problems or parsed.problems):
        raise _refusal(problems, typed, parsed.problems)
    joined = normal(And((*nodes, *parsed.node.nodes)))
    return TraceFilters(
        range=time_range,
        nodes=joined.nodes if isinstance(joined, And) else (joined,),
        sort=sort,
        typed=typed,
        problems=parsed.problems,
        notes=tuple(text for _, text in problems),
        now=now,
    )


def _refusal(
    problems: list[tuple[str, str]], typed: str, parts: tuple[Problem, ...]
) -> InvalidFilterError:
    texts = [text for _, text in problems]
    texts += [f"q: {typed[one.start : one.end][:60]!r}: {one.reason}" for one in parts]
    fields = [name for name, _ in problems] + (["q"] if parts else [])
    return InvalidFilterError("; ".join(texts), fields=fields)


def _range(params: QueryDict, *, now: dt.datetime) -> TimeRange:
    """`range`, or the two ends that the range picker's own form sends."""
    if "start" in params and "end" in params:
        start, end = (parse_instant(str(params[name]), name) for name in ("start", "end"))
        return make_range(start, end, fields=("start", "end"))
    return parse_range(params.get("range", ""), now=now, default=DEFAULT_RANGE)


def unknown_params(params: QueryDict, *, also: frozenset[str] = frozenset()) -> list[str]:
    """Names in the query string that mean nothing here, shortened for a note."""
    return [name[:40] for name in params if name not in KNOWN_PARAMS and name not in also][:5]


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:MAX_TEXT]


def _values(params: QueryDict, facet: str, problems: list[tuple[str, str]]) -> tuple[str, ...]:
    given = (_clean(text) for text in params.getlist(facet))
    # An empty value is an untouched form field; "(none)" asks for traces without one.
    chosen = list(dict.fromkeys("" if text == NONE else text for text in given if text))
    if len(chosen) > MAX_VALUES:
        problems.append((facet, f"{facet} has {len(chosen)} values; at most {MAX_VALUES} are used"))
        chosen = chosen[:MAX_VALUES]
    if facet == "status":
        for value in [value for value in chosen if value not in SpanStatus.values]:
            chosen.remove(value)
            problems.append(
                (
                    facet,
                    f"status is {value[:40]!r}; it must be one of {', '.join(SpanStatus.values)}",
                )
            )
    return tuple(chosen)


def _min_cost(text: str, problems: list[tuple[str, str]]) -> Decimal | None:
    text = text.strip()
    if not text:
        return None
    try:
        amount = Decimal(text) if len(text) <= 30 and text.isascii() else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < LIMIT or amount != round(amount, 12):
        problems.append(
            (
                "min_cost",
                f"min_cost is {text[:40]!r}; it must be an amount in dollars from 0 up, like 0.05",
            )
        )
        return None
    return amount


def _flag(params: QueryDict, name: str, problems: list[tuple[str, str]]) -> bool:
    text = params.get(name, "").strip().lower()
    if text not in ("", "0", "1", "true", "false", "on"):
        problems.append((name, f"{name} is {text[:40]!r}; it must be 1 or 0"))
    return text in ("1", "true", "on")


def _sort(text: str, problems: list[tuple[str, str]]) -> str:
    if not text:
        return DEFAULT_SORT
    if text.removeprefix("-") in SORTS:
        return text
    allowed = ", ".join(f"{key} or -{key}" for key in SORTS)
    problems.append(("sort", f"sort is {text[:40]!r}; it must be one of {allowed}"))
    return DEFAULT_SORT
