"""How facets, chips and unreadable parts of the trace list read on the page, with the links that change the state."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from core import formats
from traces.filters import TraceFilters
from traces.filters.state import PARAM_OF, key_of
from traces.query_printing import print_query
from traces.query_terms import KEYS, Compare, Exact, Node, Not, Term, print_value
from traces.selectors.facets import HAS, STEPS, Facet, FacetValue
from traces.waterfall import dom_id

LABELS = {
    "status": "Status",
    "name": "Trace name",
    "model": "Model",
    "provider": "Provider",
    "env": "Environment",
    "agent": "Agent",
    "user": "User",
    "session": "Session",
    "tag": "Tag",
    "release": "Release",
    "error": "Error type",
    "feature": "Feature",
    "cost": "Cost",
    "duration": "Duration",
    "tokens": "Tokens",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
    "steps": "Steps",
    "calls": "Calls",
    "errors": "Errors",
    "started": "Started",
    "has": "Has",
    "id": "Trace id",
}
OPEN = frozenset({"status", "name", "model", "env", "cost"})
VALUE_LABELS = {
    "ok": "OK", "error": "Error", "running": "Running", "score": "A score", "unpriced": "Unpriced calls",
}  # fmt: skip
FIXED_STATUS = ("ok", "error", "running")


def chips(filters: TraceFilters, base: str, **kept: object) -> list[dict[str, str]]:
    """Active parts with the address that removes each."""
    found = []
    for node in filters.nodes:
        label, value = _words(node)
        href = f"{base}?{filters.without(node).query(**kept)}"
        found.append({"label": label, "value": value, "href": href})
    return found


def _words(node: Node) -> tuple[str, str]:
    inner = node.node if isinstance(node, Not) else node
    if not isinstance(inner, Term):
        return ("Not" if isinstance(node, Not) else "Search", print_query(inner))
    label = LABELS.get(inner.key, inner.key) if not inner.name else f"{inner.key}.{inner.name}"
    texts = [_value_words(inner.key, value) for value in inner.values]
    return (f"{label} not" if isinstance(node, Not) else label, " or ".join(texts))


def _value_words(key: str, value: Any) -> str:
    if isinstance(value, Exact):
        return (
            VALUE_LABELS.get(value.text, value.text)
            if key in ("status", "has")
            else value.text or "none"
        )
    return print_value(KEYS[key], value)


def being_typed(filters: TraceFilters, caret: int) -> TraceFilters:
    """The state without the problem of the part the caret stands in or right behind: it is not finished."""
    kept = tuple(one for one in filters.problems if not one.start < caret <= one.end)
    return replace(filters, problems=kept)


def problem_parts(filters: TraceFilters) -> list[dict[str, Any]]:
    """What was typed, cut into readable and unreadable pieces; each unreadable one with its reason."""
    found: list[dict[str, Any]] = []
    at = 0
    for problem in filters.problems:
        if problem.start < at:
            continue
        if problem.start > at:
            found.append({"text": filters.typed[at : problem.start], "reason": ""})
        found.append({"text": filters.typed[problem.start : problem.end], "reason": problem.reason})
        at = problem.end
    if found and at < len(filters.typed):
        found.append({"text": filters.typed[at:], "reason": ""})
    return found


def placeholder_facets(filters: TraceFilters) -> list[Facet]:
    """Before anything is counted: what is chosen, and what has fixed values."""
    found = []
    for key in (*PARAM_OF, *STEPS, "has"):
        if key == "feature":
            continue
        on = filters.values.get(PARAM_OF.get(key, ""), ())
        if key == "status":
            values = [FacetValue(value, -1, value in on) for value in FIXED_STATUS]
        elif key == "has":
            values = [FacetValue(value, -1, _has(filters, value)) for value in HAS]
        elif key in STEPS:
            values = [
                FacetValue(f"{b:f}", -1, _bound(key, b) in filters.nodes) for b in STEPS[key][1]
            ]
        else:
            values = [FacetValue(value, -1, True) for value in on]
        found.append(Facet(key, values))
    return found


def _has(filters: TraceFilters, value: str) -> bool:
    return any(
        isinstance(node, Term) and node.key == "has" and Exact(value) in node.values
        for node in filters.nodes
    )


def _bound(key: str, bound: Decimal) -> Term:
    return Term(key, (Compare(">", bound.normalize()),))


def facet_groups(
    facets: list[Facet], filters: TraceFilters, base: str, **kept: object
) -> list[dict[str, Any]]:
    """The groups beside the list; every choice is a link to the state it leads to."""
    return [
        {
            "key": facet.key,
            "label": LABELS[facet.key],
            "options": [
                facet_option(facet.key, one, filters, base, **kept) for one in facet.values
            ],
            "open": facet.key in OPEN or any(one.is_on or one.is_excluded for one in facet.values),
            "has_more": facet.has_more,
        }
        for facet in facets
    ]


def facet_option(
    key: str, one: FacetValue, filters: TraceFilters, base: str, **kept: object
) -> dict[str, Any]:
    """One choice: what it says, and where a click, "only" and "not" lead."""

    def href(state: TraceFilters) -> str:
        return f"{base}?{state.query(**kept)}"

    if key in STEPS:
        term = _bound(key, Decimal(one.value))
        toggled = filters.without(term) if one.is_on else filters.only(term)
        text = print_value(KEYS[key], term.values[0])
        if key == "cost":
            text = f"> {formats.money(Decimal(one.value))}"
        return _option(key, one, text, href(toggled), "", "")
    label = (
        VALUE_LABELS.get(one.value, one.value) if key in ("status", "has") else one.value or "none"
    )
    if one.is_excluded:
        back = filters.without(Not(Term(key, (Exact(one.value),))))
        return _option(key, one, label, href(back), "", "")
    only = filters.only(Term(key, (Exact(one.value),)))
    return _option(
        key,
        one,
        label,
        href(filters.toggled(key, one.value)),
        href(only) if key != "has" else "",
        href(filters.excluding(key, one.value)),
    )


def _option(
    key: str, one: FacetValue, label: str, href: str, only: str, not_href: str
) -> dict[str, Any]:
    return {
        "id": f"f-{key}-{dom_id(one.value)[5:13]}",
        "label": label.replace(">", "> ") if key in ("duration", "tokens") else label,
        "count": one.count if one.count >= 0 else None,
        "selected": one.is_on,
        "excluded": one.is_excluded,
        "href": href,
        "only_href": only,
        "not_href": not_href,
    }


__all__ = [
    "being_typed",
    "chips",
    "facet_groups",
    "facet_option",
    "key_of",
    "placeholder_facets",
    "problem_parts",
]
