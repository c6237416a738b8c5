"""What each kind of alert says happened (pure): a title and a sentence with the figure, the limit, and by how much.

Figures that nobody knows are said to be unknown; none of them is ever written as zero. `facts` are those of the
measure's reading (alerts.measures.base.Reading.facts) with `sample`, `now_value` and `before_value`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from alerts.figures import COUNTED, figure, number, pair, short, span
from core import formats

MOST_TITLE = 200


@dataclass(frozen=True)
class Case:
    """What a sentence is made of."""

    kind: str
    name: str
    value: Decimal | None
    limit: Decimal | None
    unit: str
    is_below: bool = False
    # With the window before: then value and limit are percent, and what was compared is in `own_unit`.
    is_compared: bool = False
    own_unit: str = ""
    subject: str = ""
    period: str = ""
    window_minutes: int = 0
    # Which calls, in words; empty for all.
    scope: str = ""
    percentile: int | None = None
    score_name: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def fact(self, name: str) -> Decimal | None:
        """A figure of the facts; None when it is not there or no number."""
        try:
            found = self.facts.get(name)
            value = None if found is None or found == "" else Decimal(str(found))
        except InvalidOperation:
            return None
        return value if value is None or value.is_finite() else None

    @property
    def thing(self) -> str:
        """What it is about: the budget's name, the provider, else the rule's."""
        return short(self.subject or self.name)


def over(case: Case) -> str:
    """`$4.11 (4.1%) over`: by how much the limit is passed, with its share of the limit; empty when unknown.

    Percent differ by points, and a share of a share says nothing; a budget's are told in dollars.
    """
    spent, amount = case.fact("spent_usd"), case.fact("limit_usd")
    if case.kind == "forecast":
        spent = case.fact("forecast_usd") or spent
    if case.unit == "percent" and spent is not None and amount and case.limit is not None:
        return _gap(spent, amount * case.limit / 100, "usd", case.is_below)
    if case.value is None or case.limit is None:
        return ""
    if case.unit == "percent" or case.is_compared:
        points = abs(case.value - case.limit)
        word = "under" if case.value < case.limit else "over"
        size = number(points)
        return f"{size} point{'' if size == '1' else 's'} {word}" if points else "at the limit"
    return _gap(case.value, case.limit, case.unit, case.is_below, COUNTED.get(case.kind, ""))


def _gap(value: Decimal, limit: Decimal, unit: str, is_below: bool, counted: str = "") -> str:
    gap = value - limit
    if gap == 0:
        return "at the limit"
    word = "under" if gap < 0 else "over"
    share = f" ({formats.percent(abs(gap) / abs(limit))})" if limit else ""
    return f"{figure(abs(gap), unit, counted)}{share} {word}"


def told(case: Case) -> tuple[str, str]:
    """Title (at most 200 letters) and words."""
    title, words = _SENTENCES.get(case.kind, _anything)(case)
    return short(title, MOST_TITLE), words


def _last(case: Case) -> str:
    return f"in the last {span(case.window_minutes)}" if case.window_minutes else "now"


def _of(case: Case) -> str:
    return f" of {case.scope}" if case.scope else ""


def _limits(case: Case) -> str:
    """`The limit is $10.00; $2.00 (20.0%) over.`"""
    limit = pair(case.value, case.limit, case.unit, COUNTED.get(case.kind, ""))[1]
    if case.limit is None:
        return "No limit was passed."
    much = over(case)
    return f"The limit is {limit}{f'; {much}' if much else ''}."


def _judged(case: Case, what: str, title: str) -> tuple[str, str]:
    """The sentence of a measure over a window, against its limit or against the window before."""
    counted = COUNTED.get(case.kind, "")
    if case.is_compared:
        unit = case.own_unit or case.unit
        now, before = case.fact("now_value"), case.fact("before_value")
        change = _change(case.value)
        head = f"{case.thing}: {title} {change}"
        words = (
            f"{what}{_of(case)} {_last(case)}: {figure(now, unit, counted)}, after"
            f" {figure(before, unit, counted)} in the window before, {change}."
            f" The limit is {_change(case.limit)}."
        )
        return head, words
    value = pair(case.value, case.limit, case.unit, counted)[0]
    return f"{case.thing}: {title} {value}", (
        f"{what}{_of(case)} {_last(case)}: {value}. {_limits(case)}"
    )


def _change(percent: Decimal | None) -> str:
    if percent is None:
        return "by an unknown share"
    return f"{'down' if percent < 0 else 'up'} {formats.percent(abs(percent) / 100)}"


def _budget(case: Case) -> tuple[str, str]:
    spent, amount = case.fact("spent_usd"), case.fact("limit_usd")
    share, limit = pair(case.value, case.limit, "percent")
    title = f"Budget {case.thing}: {share} spent"
    when = f" in {case.period}" if case.period else ""
    if spent is None or amount is None:
        words = f"{share} of the budget {case.thing} is spent{when}; the threshold is {limit}."
        return title, words
    much = over(case)
    return f"{title} ({formats.money(spent)} of {formats.money(amount)})", (
        f"{formats.money(spent)} of the budget {case.thing} of {formats.money(amount)} is spent{when}:"
        f" {share}. The threshold is {limit}, {formats.money(amount * (case.limit or 0) / 100)};"
        f" {much}."
        if case.limit is not None
        else f"{formats.money(spent)} of {formats.money(amount)} is spent{when}: {share}."
    )


def _forecast(case: Case) -> tuple[str, str]:
    expected, amount = case.fact("forecast_usd"), case.fact("limit_usd")
    share, limit = pair(case.value, case.limit, case.unit)
    when = f" by the end of {case.period}" if case.period else " by the end of its period"
    title = f"Budget {case.thing}: {share} forecast"
    if expected is None or amount is None:
        return title, f"{share} of the budget {case.thing} is forecast{when}. The limit is {limit}."
    spent = case.fact("spent_usd")
    so_far = f" {formats.money(spent)} is spent so far." if spent is not None else ""
    much = over(case)
    return f"{title} ({formats.money(expected)} of {formats.money(amount)})", (
        f"{formats.money(expected)} is forecast{when} for the budget {case.thing} of"
        f" {formats.money(amount)}: {share}. The limit is {limit}{f'; {much}' if much else ''}.{so_far}"
    )


def _anomaly(case: Case) -> tuple[str, str]:
    spent, expected = case.fact("spent_usd"), case.fact("expected_usd")
    day = str(case.facts.get("day") or case.period or "")
    on = f" on {day}" if day else ""
    value = figure(case.value, case.unit)
    if spent is None:
        words = f"The spend{on} is not what it usually is: {value}. {_limits(case)}"
        return f"{case.thing}: strange spend{on}", words
    usual = f"; {formats.money(expected)} was expected" if expected is not None else ""
    beyond = ""
    if expected:
        share = (spent - expected) / expected
        beyond = f", {formats.percent(abs(share))} {'less' if share < 0 else 'more'}"
    return f"{case.thing}: {formats.money(spent)} spent{on}{usual}", (
        f"{formats.money(spent)} was spent{on}{usual}{beyond}. {_limits(case)}"
    )


def _latency(case: Case) -> tuple[str, str]:
    name = f"p{case.percentile}" if case.percentile else "Latency"
    return _judged(case, f"The {name} latency" if case.percentile else name, f"{name} latency")


def _quality(case: Case) -> tuple[str, str]:
    score = short(case.score_name) or "score"
    return _judged(case, f"The average of {score}", score)


def _error_rate(case: Case) -> tuple[str, str]:
    sample = case.fact("sample")
    if case.is_compared or not sample:
        return _judged(case, "The share of failed calls", "errors at")
    value = pair(case.value, case.limit, case.unit)[0]
    return f"{case.thing}: {value} of calls failed", (
        f"{value} of {formats.count(sample)} calls{_of(case)} failed {_last(case)}. {_limits(case)}"
    )


def _unpriced(case: Case) -> tuple[str, str]:
    value = pair(case.value, case.limit, case.unit)[0]
    if case.is_compared:
        return _judged(case, "The share of calls without a price", "unpriced calls")
    return f"{case.thing}: {value} of calls have no price", (
        f"{value} of the calls{_of(case)} {_last(case)} have no price, so that no amount holds them. {_limits(case)}"
    )


def _reconciliation(case: Case) -> tuple[str, str]:
    billed, recorded = case.fact("billed_usd"), case.fact("recorded_usd")
    value = pair(case.value, case.limit, case.unit)[0]
    when = f" in {case.period}" if case.period else ""
    sides = ""
    if billed is not None or recorded is not None:
        sides = f": {figure(billed, 'usd')} billed, {figure(recorded, 'usd')} recorded"
    return f"{case.thing}: bill and records differ by {value}", (
        f"The bill of {case.thing} and the recorded calls differ by {value}{when}{sides}. {_limits(case)}"
    )


def _sync_failed(case: Case) -> tuple[str, str]:
    reason = short(str(case.facts.get("error") or case.facts.get("reason") or ""), 400)
    since = case.facts.get("last_ok_at") or case.facts.get("since")
    return f"{case.thing}: the bill could not be read", (
        f"The bill of {case.thing} could not be read{f': {reason}' if reason else ''}."
        f"{f' It was last read {since}.' if since else ''} Its amounts are not up to date."
    )


def _ingest_lag(case: Case) -> tuple[str, str]:
    value = pair(case.value, case.limit, case.unit)[0]
    return f"{case.thing}: calls arrive {value} late", (
        f"Calls{_of(case)} arrive {value} after they were made. {_limits(case)}"
    )


def _no_data(case: Case) -> tuple[str, str]:
    quiet = figure(case.value, case.unit) if case.value is not None else ""
    how_long = f"for {quiet}" if quiet else _last(case)
    return f"{case.thing}: no calls {how_long}", (
        f"No call{_of(case)} has arrived {how_long}."
        + (f" The limit is {figure(case.limit, case.unit)}." if case.limit is not None else "")
    )


def _fallbacks(case: Case) -> tuple[str, str]:
    sample = case.fact("sample")
    if case.is_compared or not sample:
        return _judged(case, "The share of calls that fell back", "fallbacks at")
    value = pair(case.value, case.limit, case.unit)[0]
    return f"{case.thing}: {value} of calls fell back", (
        f"{value} of the gateway's {formats.count(sample)} calls to providers{_of(case)} went on to another target"
        f" than the first one {_last(case)}. {_limits(case)}"
    )


def _calls_limited(case: Case) -> tuple[str, str]:
    sample = case.fact("sample")
    if case.is_compared or not sample:
        return _judged(case, "The share of calls refused by limits", "refused calls at")
    value = pair(case.value, case.limit, case.unit)[0]
    return f"{case.thing}: {value} of calls refused", (
        f"{value} of the gateway's {formats.count(sample)} calls{_of(case)} were refused by a limit, a budget or a"
        f" full line {_last(case)}. {_limits(case)}"
    )


def _queue_wait(case: Case) -> tuple[str, str]:
    name = f"p{case.percentile} queue wait" if case.percentile else "queue wait"
    return _judged(case, f"The {name} of the gateway's calls", name)


def _circuit_open(case: Case) -> tuple[str, str]:
    why = short(str(case.facts.get("why") or ""), 200)
    since = str(case.facts.get("opened_at") or "")[:16].replace("T", " ")
    because = f": {why}" if why else ""
    when = f" It opened at {since} UTC." if since else ""
    return f"{case.thing}: circuit open", (
        f"The gateway passes {case.thing} by, because its calls failed{because}.{when} {_limits(case)}"
    )


def _cache_wrong(case: Case) -> tuple[str, str]:
    value = pair(case.value, case.limit, case.unit)[0]
    sample = case.fact("sample")
    of = f"{formats.count(sample)} checked hits" if sample else "the checked hits"
    return f"{case.thing}: {value} of checked cache hits wrong", (
        f"{value} of {of} of the semantic cache{_of(case)} had another answer {_last(case)}. {_limits(case)}"
    )


def _anything(case: Case) -> tuple[str, str]:
    """Kinds that came later, and the operators' checks, which hand over words of their own."""
    value = pair(case.value, case.limit, case.unit)[0]
    title = f"{case.thing}: {value}" if case.value is not None else case.thing
    words = f"{case.thing} is at {value}." if case.value is not None else f"{case.thing} needs a look."  # fmt: skip
    return title, words if case.limit is None else f"{words} {_limits(case)}"


_SENTENCES: dict[str, Callable[[Case], tuple[str, str]]] = {
    "budget": _budget,
    "forecast": _forecast,
    "anomaly": _anomaly,
    "spend": lambda case: _judged(case, "The spend", "spend"),
    "cost_per_call": lambda case: _judged(case, "The cost per call", "cost per call"),
    "error_rate": _error_rate,
    "latency": _latency,
    "call_rate": lambda case: _judged(case, "The rate", "rate"),
    "token_rate": lambda case: _judged(case, "The rate", "rate"),
    "unpriced": _unpriced,
    "quality": _quality,
    "reconciliation": _reconciliation,
    "sync_failed": _sync_failed,
    "ingest_lag": _ingest_lag,
    "no_data": _no_data,
    "fallbacks": _fallbacks,
    "calls_limited": _calls_limited,
    "queue_wait": _queue_wait,
    "circuit_open": _circuit_open,
    "cache_wrong": _cache_wrong,
}
