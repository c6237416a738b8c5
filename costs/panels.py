"""What the dashboard's panels ask, cached, and its key figures and mix. `charts` and `tables` hold the other panels.

Each function states its queries when nothing is cached; with a warm cache it is none.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from core import formats
from core.charts import Slice
from costs import caching
from costs.dashboard import DIMENSIONS, DashboardState
from costs.forecasting.outlook import outlook_of
from costs.labels import label_of, slots_for
from costs.selectors import spend
from costs.selectors.names import key_names
from costs.selectors.spend import Cell, Group, Key, Latency, Percentiles, Top
from costs.selectors.sums import ZERO, Sums
from costs.selectors.usage import UsageMark

TOP = 5
TOP_MODELS = 8
MAX_MODELS = 200
TOP_WHO = 6


@dataclass(frozen=True)
class Question:
    """Whose figures, at which version of the ledger, in which state of the page."""

    project_id: UUID
    mark: UsageMark
    state: DashboardState

    def key(self, name: str, *parts: object) -> tuple[object, ...]:
        """Names an answer in the cache: everything it depends on besides the project's data."""
        state = self.state
        previous = state.previous.explicit if state.previous else ""
        return (name, state.period.explicit, previous, state.filters.cache_key, *parts)

    def top(
        self,
        *by: str,
        limit: int,
        order: str = "spend",
        having: str = "calls",
        latency: bool = False,
    ) -> Top:
        """Cached `top_groups` with the period before. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("top", by, limit, order, having, latency),
            lambda: spend.top_groups(
                self.project_id,
                state.period,
                state.filters,
                by,
                previous=state.previous,
                limit=limit,
                order=order,
                having=having,
                with_latency=latency,
            ),
        )

    def total(self) -> Group:
        """Cached `spend_total` with both trends. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("total", state.bin),
            lambda: spend.spend_total(
                self.project_id,
                state.period,
                state.filters,
                previous=state.previous,
                trend=state.bin,
            ),
        )

    def ranked(self, by: str, *, limit: int, order: str) -> tuple[tuple[str, ...], int]:
        """Cached `ranked_values`. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("ranked", by, limit, order),
            lambda: spend.ranked_values(
                self.project_id, state.period, state.filters, by, limit=limit, order=order
            ),
        )

    def series(self, by: str, values: tuple[str, ...], fields: tuple[str, ...]) -> list[Cell]:
        """Cached `spend_series` of some values and of all others together, both periods. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("series", state.bin, by, values, fields),
            lambda: spend.spend_series(
                self.project_id,
                state.period,
                state.filters,
                (by,),
                state.bin,
                single_out=values,
                previous=state.previous,
                fields=fields,
            ),
        )

    def trends(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[dt.datetime, Decimal]]:
        """Cached `trends` of some models. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("trends", state.bin, tuple(keys)),
            lambda: spend.trends(self.project_id, state.period, state.filters, keys, state.bin),
        )

    def percentiles(self, histogram: str) -> tuple[list[Percentiles], Latency] | None:
        """Cached `percentile_series`. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("percentiles", state.bin, histogram),
            lambda: spend.percentile_series(
                self.project_id, state.period, state.filters, state.bin, histogram=histogram
            ),
        )

    def names(self, by: str, values: Sequence[str]) -> dict[str, str]:
        """What a person reads for values of a dimension. One query for API keys, else none."""
        if by != "api_key":
            return {value: label_of(by, value) for value in values}
        return key_names(self.project_id, values)


def conflict(question: Question, by: str) -> str:
    """Why a panel cannot be drawn: sums know one dimension besides the four of every row; else empty."""
    extra = question.state.filters.extra
    if question.state.can_group(by):
        return ""
    return (
        f"Calls are not counted by {DIMENSIONS[by].lower()} and {DIMENSIONS[extra].lower()} together."
        f" Remove the filter on {DIMENSIONS[extra].lower()}, or group by something else."
    )


def figures(question: Question) -> dict[str, Any]:
    """The key figures with their change and small trends. One query, and one for this month's forecast."""
    total = question.total()
    state = question.state
    trend = [total.trend.get(at, Sums()) for at in state.period.bins(state.bin)]
    return {"state": state, "total": total, "cards": _cards(question, total, trend)}


def _cards(question: Question, total: Group, trend: list[Sums]) -> list[dict[str, Any]]:
    return [
        _spend_card(question, total),
        *_call_cards(question, total, trend),
        _tokens_card(question, total.current),
        *_quality_cards(question, total),
    ]


def _card(label: str, icon: str, figure: str, href: str, sub: str, **more: Any) -> dict[str, Any]:
    return {"label": label, "icon_name": icon, "figure": figure, "href": href, "sub": sub, **more}


def _change(
    question: Question, before: Sums, current: Any, past: Any, rise: Any = "bad"
) -> formats.Delta | None:
    """None without a period before, or without a figure in one of the two."""
    if question.state.previous is None or current is None or past is None:
        return None
    return formats.delta(current, past, rise=rise, base_calls=before.calls)


def _spend_card(question: Question, total: Group) -> dict[str, Any]:
    state, now, before = question.state, total.current, total.previous
    sub = f"vs {formats.money(before.cost_usd)}" if state.previous else state.period.span_label
    if outlook := outlook_of(question.project_id, state):
        sub = f"{formats.money(outlook.expected_usd)} by month's end"
    return _card(
        f"Spend, {state.period.label.lower()}" if state.period.is_preset else "Spend",
        "wallet",
        "Unpriced" if now.is_unpriced else formats.money(now.cost_usd),
        state.traces_url(),
        sub,
        title=formats.money_exact(now.cost_usd),
        change=_change(question, before, now.cost_usd, before.cost_usd),
    )


def _call_cards(question: Question, total: Group, trend: list[Sums]) -> list[dict[str, Any]]:
    """How many calls, and what one costs, with their trends."""
    state, now, before = question.state, total.current, total.previous
    return [
        _card(
            "Calls",
            "activity",
            formats.tokens(now.calls),
            state.traces_url(),
            f"vs {formats.tokens(before.calls)}" if state.previous else "",
            title=formats.count(now.calls),
            change=_change(question, before, now.calls, before.calls, "neutral"),
            spark=[sums.calls for sums in trend],
        ),
        _card(
            "Cost per call",
            "receipt-text",
            formats.money(now.cost_per_call),
            state.traces_url(),
            f"vs {formats.money(before.cost_per_call)}" if state.previous else "",
            change=_change(question, before, now.cost_per_call, before.cost_per_call),
            # Where nothing has a price there is no cost per call; it is not 0.
            spark=[one for sums in trend if (one := sums.cost_per_call) is not None],
            slot="c3",
        ),
    ]


def _tokens_card(question: Question, now: Sums) -> dict[str, Any]:
    return _card(
        "Tokens",
        "braces",
        formats.tokens(now.total_tokens),
        question.state.traces_url(),
        f"{formats.tokens(now.input_tokens)} in · {formats.tokens(now.output_tokens)} out",
        title=formats.count(now.total_tokens),
    )


def _quality_cards(question: Question, total: Group) -> list[dict[str, Any]]:
    """What went wrong: failed calls, and calls without a price."""
    state, now, before = question.state, total.current, total.previous
    return [
        _card(
            "Error rate",
            "circle-alert",
            formats.percent(now.error_share),
            state.traces_url(status="error"),
            f"{formats.count(now.errors)} failed",
            change=_change(question, before, now.error_share, before.error_share),
        ),
        _card(
            "Unpriced calls",
            "circle-help",
            formats.percent(now.unpriced_share),
            state.traces_url(unpriced="1"),
            f"{formats.count(now.unpriced_calls)} not in the spend"
            if now.unpriced_calls
            else "every call is priced",
        ),
    ]


def mix(question: Question) -> dict[str, Any]:
    """Shares of spend by one dimension: the dearest five and what is left. Two queries, three for API keys."""
    state = question.state
    by = state.choices["mix"]
    found: dict[str, Any] = {"state": state, "by": by, "caption": state.period.span_label}
    if reason := conflict(question, by):
        return found | {"parts": [], "total": Sums(), "conflict": reason}
    top = question.top(by, limit=TOP + 1)
    total = question.total().current
    priced = [group for group in top.groups if group.current.cost_usd > 0]
    if len(priced) > TOP and top.count > TOP + 1:
        priced = priced[:TOP]
    values = [group.value for group in priced]
    names, slots = question.names(by, values), slots_for(by, values)
    parts = [
        Slice(
            names[group.value],
            group.current.cost_usd,
            slots[group.value],
            href=state.behind(by, group.value),
        )
        for group in priced
    ]
    # Of a dimension that not every call carries (a user, a feature), the rest holds the calls without one.
    rest = total.cost_usd - sum((group.current.cost_usd for group in priced), ZERO)
    if rest > 0 and parts:
        parts.append(Slice("Other", rest, "co"))
    return found | {"parts": parts, "total": total}


def share_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """A fraction, None of nothing."""
    return part / whole if whole > 0 else None
