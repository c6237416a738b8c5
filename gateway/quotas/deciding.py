"""Whether a call fits what its limits leave, and what clients are told about it (pure)."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from costs.budgets.periods import period_words
from gateway.models import LimitMetric, LimitScope
from gateway.quotas.lines import BUDGET, ZERO, CounterKey, Line
from gateway.quotas.windows import go_duration
from gateway.snapshot import BudgetView

# What under way stands between a call and its limit is likely to end soon.
SOON_S = 1
_UNITS = {
    LimitMetric.REQUESTS: "requests",
    LimitMetric.TOKENS: "tokens",
    LimitMetric.CONCURRENCY: "calls at once",
}
_EACH = {
    LimitScope.ORGANIZATION: "the organisation",
    LimitScope.PROJECT: "the project",
    LimitScope.KEY: "the API key",
    LimitScope.USER: "the user",
    LimitScope.TAG: "the tag",
    LimitScope.MODEL: "the model",
    "team": "the team",
    "agent": "the agent",
}


class Counter(msgspec.Struct):
    """How far a counter is: used, and set aside for calls under way."""

    used: Decimal = ZERO
    reserved: Decimal = ZERO

    def left(self, amount: Decimal) -> Decimal:
        return amount - self.used - self.reserved


class Granted(msgspec.Struct, frozen=True):
    """The call may go out. `remaining_usd` is the least that a dollar limit leaves, None without one; `flags` name soft
    limits that it is beyond."""

    headers: dict[str, str] = {}
    remaining_usd: Decimal | None = None
    flags: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The call may not go out; nothing of it was counted. `extra` goes into the error's body (dialects.errors)."""

    status: int
    code: str
    message: str
    retry_after_s: int | None = None
    headers: dict[str, str] = {}
    extra: dict[str, Any] = {}
    flags: tuple[str, ...] = ()


Counters = Mapping[CounterKey, Counter]
FREE = Granted()


def fits(line: Line, counter: Counter) -> bool:
    """Whether what the call needs is left."""
    return counter.used + counter.reserved + line.need <= line.amount


def blocking(lines: Sequence[Line], counters: Counters) -> Line | None:
    """The hard limit that refuses the call; of several the one that holds longest. None: it may go."""
    found = [line for line in lines if line.is_hard and not fits(line, counters[line.at])]
    return max(found, key=_severity) if found else None


def _severity(line: Line) -> tuple[bool, dt.datetime]:
    return line.is_money, line.resets_at or line.at.start


def take(lines: Sequence[Line], counters: Counters) -> None:
    """Count the call: requests are used at once, all else is set aside."""
    for line in lines:
        counter = counters[line.at]
        if line.metric == LimitMetric.REQUESTS:
            counter.used += line.need
        else:
            counter.reserved += line.need


def granted(
    lines: Sequence[Line], counters: Counters, at: dt.datetime, *, is_anthropic: bool
) -> Granted:
    """What the client of a call that was counted hears."""
    headers = headers_of(lines, counters, at, is_anthropic=is_anthropic)
    beyond = [
        line for line in lines if not line.is_hard and counters[line.at].left(line.amount) < 0
    ]
    if beyond:
        headers["x-llmlab-limit-warning"] = ", ".join(
            dict.fromkeys(_ascii(line.rule.name) for line in beyond)
        )
    flags = tuple(dict.fromkeys(f"soft_limit:{line.rule.id}" for line in beyond))
    return Granted(headers, _money_left(lines, counters), flags)


def headers_of(
    lines: Sequence[Line], counters: Counters, at: dt.datetime, *, is_anthropic: bool
) -> dict[str, str]:
    """The limits that leave least, in the form of the client's own provider."""
    headers: dict[str, str] = {}
    for metric in (LimitMetric.REQUESTS, LimitMetric.TOKENS):
        mine = [line for line in lines if line.metric == metric]
        if not mine:
            continue
        line = min(mine, key=lambda one: counters[one.at].left(one.amount))
        left = max(ZERO, counters[line.at].left(line.amount))
        ends = line.resets_at or at
        if is_anthropic:
            name = f"anthropic-ratelimit-{metric.value}"
            reset = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
            headers |= {f"{name}-limit": _whole(line.amount), f"{name}-remaining": _whole(left)}
            headers[f"{name}-reset"] = reset
        else:
            headers[f"x-ratelimit-limit-{metric.value}"] = _whole(line.amount)
            headers[f"x-ratelimit-remaining-{metric.value}"] = _whole(left)
            reset = go_duration((ends - at).total_seconds())
            headers[f"x-ratelimit-reset-{metric.value}"] = reset
    money = _money_left(lines, counters)
    if money is not None:
        headers["x-llmlab-budget-remaining-usd"] = usd_text(money)
    return headers


def _money_left(lines: Sequence[Line], counters: Counters) -> Decimal | None:
    left = [counters[line.at].left(line.amount) for line in lines if line.is_money]
    return max(ZERO, min(left)) if left else None


def refused(
    line: Line, lines: Sequence[Line], counters: Counters, at: dt.datetime, *, is_anthropic: bool
) -> Refused:
    """Which limit it is, what is left, what the call would need, and when more is left."""
    counter = counters[line.at]
    left = max(ZERO, counter.left(line.amount))
    waits = _wait(line, counter, at)
    headers = headers_of(lines, counters, at, is_anthropic=is_anthropic)
    if waits is not None:
        headers["retry-after"] = str(waits)
    return Refused(
        402 if line.is_money else 429,
        "budget_exceeded" if line.is_money else "rate_limit_exceeded",
        _message(line, counter, left),
        waits,
        headers,
        {
            "limit": {
                "id": line.rule.id,
                "name": line.rule.name,
                "kind": "budget" if line.metric == BUDGET else "limit",
                "metric": LimitMetric.USD.value if line.is_money else line.metric,
                "scope": line.rule.scope,
                "window": line.window,
                "amount": plain(line.amount),
            },
            "used": plain(counter.used),
            "reserved": plain(counter.reserved),
            "remaining": plain(left),
            "needed": plain(line.need),
            "resets_at": line.resets_at.isoformat() if line.resets_at else None,
        },
    )


def unpriced(line: Line, what: str) -> Refused:
    """A dollar limit cannot be kept with calls nobody knows the price of."""
    kind = "budget" if line.metric == BUDGET else "limit"
    return Refused(
        402,
        "model_unpriced",
        f"The hard {kind} “{line.rule.name}” is in dollars and no price is known for {what}. Set a price for the"
        " model under Costs → Prices, 0 if it should count as free.",
        extra={"limit": {"id": line.rule.id, "name": line.rule.name, "kind": kind}},
    )


def unavailable(line: Line) -> Refused:
    """PostgreSQL is away and nothing is known of a dollar limit: unknown is not zero."""
    return Refused(
        503,
        "limits_unavailable",
        f"How much “{line.rule.name}” leaves cannot be read at the moment. Try again in a few seconds.",
        5,
        {"retry-after": "5"},
    )


def _wait(line: Line, counter: Counter, at: dt.datetime) -> int | None:
    """When it may be worth asking again; None when it never is: the call alone is more than the limit."""
    if line.need > line.amount:
        return None
    if line.resets_at is None or counter.used + line.need <= line.amount:
        return SOON_S
    return max(1, math.ceil((line.resets_at - at).total_seconds()))


def _message(line: Line, counter: Counter, left: Decimal) -> str:
    rule = line.rule
    if line.metric == LimitMetric.CONCURRENCY:
        return f"The limit “{rule.name}” allows {_said(line, line.amount)} for {_whose(line)}, and they are under way."
    kind = "budget" if line.metric == BUDGET else "limit"
    per = period_words(rule) if isinstance(rule, BudgetView) else f"a {rule.window}"
    aside = f" ({_said(line, counter.reserved)} set aside for calls under way)"
    text = (
        f"The hard {kind} “{rule.name}” of {_said(line, line.amount)} {per} for {_whose(line)} has"
        f" {_said(line, left)} left{aside if counter.reserved else ''}; this call may need up to"
        f" {_said(line, line.need)}."
    )
    if line.resets_at is not None:
        text += f" It resets at {line.resets_at:%Y-%m-%d %H:%M:%S} UTC."
    if line.metric != LimitMetric.REQUESTS and left > 0:
        text += " Ask for fewer output tokens (max_tokens) to need less."
    return text


def _whose(line: Line) -> str:
    """`the user u_1`; keys and projects are not named by their ids."""
    rule = line.rule
    words = _EACH.get(rule.scope, rule.scope)
    if rule.scope in (LimitScope.USER, LimitScope.TAG, LimitScope.MODEL):
        subject = rule.value or line.at.key.partition(":")[2]
        return f"{words} {subject}"
    return f"{words} {rule.value}" if rule.scope in ("team", "agent") else words


def _said(line: Line, amount: Decimal) -> str:
    if line.is_money:
        return f"${usd_text(amount)}"
    return f"{plain(amount)} {_UNITS[LimitMetric(line.metric)]}"


def usd_text(amount: Decimal) -> str:
    """At least cents; what is below them as far as it goes, to a millionth."""
    rounded = amount.quantize(Decimal("0.000001"))
    text = plain(rounded)
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


def plain(value: Decimal) -> str:
    """Without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(value: Decimal) -> str:
    return str(int(value))


def _ascii(text: str) -> str:
    """As a header may carry it."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)
