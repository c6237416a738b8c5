"""Query nodes as conditions on Trace. Nothing a reader types reaches SQL as a name: keys are looked up, values bound.

Every condition is a plain `Q` without annotations, so it can stand in any filter, be negated and be grouped. What is
unknown does not match a comparison: a trace without any priced call is not cheap, a running one is not short.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, Exists, F, Lookup, OuterRef, Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
)

from costs.models import CostRecord
from traces import query_terms as terms
from traces.models import Comment, Score, Span
from traces.query_terms import Node

# Query key → column of Trace.
TEXT_COLUMNS = {
    "status": "status",
    "name": "name",
    "env": "environment",
    "agent": "agent",
    "user": "user_id",
    "session": "session_id",
    "release": "release",
    "id": "trace_id",
}
LIST_COLUMNS = {"model": "model_names", "provider": "providers", "tag": "tags"}
NUMBER_COLUMNS = {
    "cost": "cost_usd",
    "duration": "duration_ms",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "steps": "span_count",
    "calls": "call_count",
    "errors": "error_count",
}
# How far a step or call of a trace may lie from the trace's own start.
SLACK = dt.timedelta(days=2)
_OPERATORS: dict[str, str] = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact"}
_LOOKUPS: dict[str, Any] = {
    "gt": GreaterThan, "gte": GreaterThanOrEqual, "lt": LessThan, "lte": LessThanOrEqual,
}  # fmt: skip


class ILike(Lookup):
    """`column ILIKE pattern`, the pattern bound."""

    lookup_name = "ilike"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """See Django's Lookup."""
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} ILIKE {right}", (*left_params, *right_params)


# Both places take what Django compiled: a column and a placeholder.
_ANY_ILIKE = "EXISTS (SELECT 1 FROM unnest({left}) AS one(element) WHERE element ILIKE {right})"


class AnyILike(Lookup):
    """Some element of the array is ILIKE the pattern."""

    lookup_name = "any_ilike"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """The pattern is text, not an array."""
        return "%s", (value,)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """See Django's Lookup."""
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        sql = _ANY_ILIKE.format(left=left, right=right)
        return sql, (*left_params, *right_params)


CharField.register_lookup(ILike)
TextField.register_lookup(ILike)
ArrayField.register_lookup(AnyILike)


def like(parts: tuple[str, ...]) -> str:
    """The LIKE pattern of literal pieces with anything between them."""
    return "%".join(_escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def text_match(text: str, *, is_phrase: bool = True) -> Q:
    """Trace id from its start, or any part of name, agent, user, session, model or tag; case does not matter.

    Of separate words each must be found. The seam for full-text search (traces.search).
    """
    found = Q()
    for word in [text] if is_phrase else text.split():
        pattern = f"%{_escaped(word)}%"
        found &= (
            Q(trace_id__istartswith=word)
            | Q(name__ilike=pattern)
            | Q(agent__ilike=pattern)
            | Q(user_id__ilike=pattern)
            | Q(session_id__ilike=pattern)
            | Q(model_names__any_ilike=pattern)
            | Q(tags__any_ilike=pattern)
        )
    return found


def condition(
    node: Node,
    *,
    start: dt.datetime,
    now: dt.datetime,
    text: Callable[[terms.Text], Q] | None = None,
) -> Q:
    """The node over Trace rows that began at or after `start`; `text` says what free text means (text_match)."""

    def read(one: Node) -> Q:
        return condition(one, start=start, now=now, text=text)

    match node:
        case terms.And(nodes):
            found = Q()
            for one in nodes:
                found &= read(one)
            return found
        case terms.Or(nodes):
            found = Q()
            for one in nodes:
                found |= read(one)
            return found
        case terms.Not(inner):
            return ~read(inner)
        case terms.Text(words, is_phrase):
            return text(node) if text else text_match(words, is_phrase=is_phrase)
        case terms.Term():
            return _term(node, start=start, now=now)


def _term(term: terms.Term, *, start: dt.datetime, now: dt.datetime) -> Q:
    key = term.key
    if key in TEXT_COLUMNS:
        return _scalar(TEXT_COLUMNS[key], term.values)
    if key in LIST_COLUMNS:
        return _list(LIST_COLUMNS[key], term.values)
    if key == "metadata":
        stored = Coalesce(
            KeyTextTransform(term.name, "metadata"), Value(""), output_field=TextField()
        )
        return _any(term.values, lambda value: _of_expression(stored, value))
    if key == "score":
        return _any(term.values, lambda value: _score(term.name, value))
    if key in ("error", "feature"):
        read = _error if key == "error" else _feature
        return _any(term.values, lambda value: read(value, start))
    if key == "has":
        return _any(term.values, lambda value: _has(value))
    if key == "started":
        return _any(term.values, lambda value: _started(value, now))
    return _any(term.values, lambda value: _number(key, value))


def _any(values: tuple[terms.Value, ...], one: Callable[[Any], Q]) -> Q:
    found = Q()
    for value in values:
        found |= one(value)
    return found


def _scalar(column: str, values: tuple[terms.Value, ...]) -> Q:
    exact = [value.text for value in values if isinstance(value, terms.Exact)]
    found = Q(**{f"{column}__in": exact}) if exact else Q()
    for value in values:
        if isinstance(value, terms.Glob):
            found |= Q(**{f"{column}__ilike": like(value.parts)})
    return found


def _list(column: str, values: tuple[terms.Value, ...]) -> Q:
    exact = [value.text for value in values if isinstance(value, terms.Exact)]
    named = [text for text in exact if text]
    found = Q(**{f"{column}__overlap": named}) if named else Q()
    if "" in exact:
        found |= Q(**{column: []})
    for value in values:
        if isinstance(value, terms.Glob):
            found |= Q(**{f"{column}__any_ilike": like(value.parts)})
    return found


def _of_expression(expression: Any, value: Any) -> Q:
    if isinstance(value, terms.Glob):
        return Q(ILike(expression, Value(like(value.parts))))
    return Q(Exact(expression, Value(value.text)))


def _bounds(column: str, value: Any) -> Q:
    if isinstance(value, terms.Between):
        return Q(**{f"{column}__gte": value.low, f"{column}__lte": value.high})
    return Q(**{f"{column}__{_OPERATORS[value.op]}": value.number})


def _number(key: str, value: Any) -> Q:
    if key == "tokens":
        return _tokens(value)
    column = NUMBER_COLUMNS[key]
    found = _bounds(column, value)
    if key == "cost":
        # An amount nobody knows is not small.
        return found & ~Q(unpriced_calls__gt=0, cost_usd=0)
    return found


def _tokens(value: Any) -> Q:
    total = F("input_tokens") + F("output_tokens")
    if isinstance(value, terms.Between):
        return Q(GreaterThanOrEqual(total, value.low)) & Q(LessThanOrEqual(total, value.high))
    if value.op == "=":
        return Q(GreaterThanOrEqual(total, value.number)) & Q(LessThanOrEqual(total, value.number))
    return Q(_LOOKUPS[_OPERATORS[value.op]](total, value.number))


def _started(value: Any, now: dt.datetime) -> Q:
    if isinstance(value, terms.WhenBetween):
        first, last = (terms.moment(at, now) for at in (value.first, value.last))
        return Q(started_at__gte=first, started_at__lt=last)
    return Q(**{f"started_at__{_OPERATORS[value.op]}": terms.moment(value.at, now)})


def _score(name: str, value: Any) -> Q:
    scores = Score.objects.filter(
        project=OuterRef("project"), trace_id=OuterRef("trace_id"), name=name
    )
    if isinstance(value, terms.Exact):
        found = Q(text=value.text)
    elif isinstance(value, terms.Glob):
        found = Q(text__ilike=like(value.parts))
    elif isinstance(value, terms.Between):
        found = Q(value__gte=float(value.low), value__lte=float(value.high))
    else:
        found = Q(**{f"value__{_OPERATORS[value.op]}": float(value.number)})
    return Q(Exists(scores.filter(found)))


def _error(value: Any, start: dt.datetime) -> Q:
    """Of the trace's steps, one failed with this type."""
    failed = Span.objects.filter(
        project=OuterRef("project"), trace_id=OuterRef("trace_id"), started_at__gte=start - SLACK
    )
    if isinstance(value, terms.Exact):
        if not value.text:
            return Q(error_count=0)
        # Not "and not empty" as well: PostgreSQL would take the steps for far fewer than they are.
        failed = failed.filter(error_type=value.text)
    else:
        failed = failed.exclude(error_type="").filter(error_type__ilike=like(value.parts))
    return Q(error_count__gt=0) & Q(Exists(failed))


def _feature(value: Any, start: dt.datetime) -> Q:
    """Of the trace's calls, one was made for this feature."""
    calls = CostRecord.objects.filter(
        project=OuterRef("project"), trace_id=OuterRef("trace_id"), occurred_at__gte=start - SLACK
    )
    if isinstance(value, terms.Glob):
        return Q(Exists(calls.filter(feature__ilike=like(value.parts)).exclude(feature="")))
    if not value.text:
        return ~Q(Exists(calls.exclude(feature="")))
    return Q(Exists(calls.filter(feature=value.text)))


def _has(value: Any) -> Q:
    mine: dict[str, Any] = {"project": OuterRef("project"), "trace_id": OuterRef("trace_id")}
    match value.text:
        case "error":
            return Q(error_count__gt=0)
        case "unpriced":
            return Q(unpriced_calls__gt=0)
        case "score":
            return Q(Exists(Score.objects.filter(**mine)))
        case "comment":
            return Q(Exists(Comment.objects.filter(**mine)))
        case "tag":
            return ~Q(tags=[])
        case "user":
            return ~Q(user_id="")
        case _:
            return ~Q(session_id="")
