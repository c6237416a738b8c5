"""What each dashboard panel shows: cached selectors turned into figures, series, rows and links.

Each function states its queries when nothing is cached; with a warm cache it is none.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from core import formats
from core.charts import Series, Slice
from core.ranges import bin_label, instant
from costs import caching
from costs.dashboard import DashboardState
from costs.labels import label_of, slots_for
from costs.selectors import spend
from costs.selectors.pages import top_groups
from costs.selectors.spend import Cell, Group
from costs.selectors.sums import ZERO, Sums, add_up
from costs.selectors.usage import UsageMark

TOP = 5
TOP_MODELS = 8
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

    def groups(self, *group_by: str, latency: bool = False, trend: bool = False) -> list[Group]:
        """Cached `spend_groups` with the period before. One query."""
        period = self.state.period
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("groups", group_by, latency, trend),
            lambda: spend.spend_groups(
                self.project_id,
                period,
                self.state.filters,
                group_by,
                previous=self.state.previous,
                trend=period.bin if trend else None,
                with_latency=latency,
            ),
        )

    def top(self, by: str, *, limit: int) -> list[Group]:
        """Cached `top_groups`. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("top", by, limit),
            lambda: top_groups(
                self.project_id,
                state.period,
                state.filters,
                by,
                previous=state.previous,
                limit=limit,
            ),
        )

    def total(self) -> Group:
        """Cached `spend_total`. One query."""
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("total"),
            lambda: spend.spend_total(
                self.project_id,
                self.state.period,
                self.state.filters,
                previous=self.state.previous,
                trend=self.state.period.bin,
            ),
        )

    def series(self, group_by: str) -> list[Cell]:
        """Cached `spend_series` in the range's own bins. One query."""
        state = self.state
        return caching.cached(
            self.project_id,
            self.mark,
            self.key("series", group_by),
            lambda: spend.spend_series(
                self.project_id, state.period, state.filters, (group_by,), state.period.bin
            ),
        )


def figures(question: Question) -> dict[str, Any]:
    """The key figures with their change and small trends. One query."""
    total = question.total()
    trend = [total.trend.get(at, Sums()) for at in question.state.period.bins()]
    return {"state": question.state, "total": total, "cards": _cards(question, total, trend)}


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
    return _card(
        f"Spend, {state.period.label.lower()}" if state.period.is_preset else "Spend",
        "wallet",
        "Unpriced" if now.is_unpriced else formats.money(now.cost_usd),
        state.traces_url(),
        f"vs {formats.money(before.cost_usd)}" if state.previous else state.period.span_label,
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
            spark=[sums.cost_per_call or ZERO for sums in trend],
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


def chart(question: Question) -> dict[str, Any]:
    """Stacked spend per bin: the dearest five and Other. One query."""
    state = question.state
    group, period = state.choices["group"], state.period
    cells = question.series(group)
    by_value: dict[str, Sums] = {}
    for cell in cells:
        by_value[cell.value] = by_value.get(cell.value, Sums()) + cell.sums
    ranked = sorted(
        by_value, key=lambda value: (-by_value[value].cost_usd, -by_value[value].calls, value)
    )
    top, rest = ranked[:TOP], ranked[TOP:]
    if len(rest) == 1:  # one more colour says more than "Other (1)"
        top, rest = ranked, []
    bins = period.bins()
    amounts = {(cell.value, cell.at): cell.sums.cost_usd for cell in cells}
    slots = slots_for(group, top)
    spans = [period.bin_range(at) for at in bins]
    series = [
        Series(
            label_of(group, value),
            [amounts.get((value, at), ZERO) for at in bins],
            slots[value],
            href=state.traces_url(**{group: value}),
            hrefs=[state.traces_url(span, **{group: value}) for span in spans],
        )
        for value in top
    ]
    if rest:
        other = [sum((amounts.get((value, at), ZERO) for value in rest), ZERO) for at in bins]
        series.append(Series(f"Other ({len(rest)})", other, "co"))
    total = add_up(list(by_value.values()))
    noun = {"hour": "Hourly", "day": "Daily", "week": "Weekly"}[period.bin]
    return {
        "state": state,
        "noun": noun,
        "series": series,
        "total": total,
        "labels": [axis_label(at, period.bin, first=index == 0) for index, at in enumerate(bins)],
        "titles": [bin_label(at, period.bin) for at in bins],
        "edges": " ".join(instant(at) for at in period.edges()),
        "hrefs": [state.traces_url(span) for span in spans],
        "summary": f"{noun} spend by {group}, {period.span_label}: {formats.money(total.cost_usd)} in"
        f" {formats.count(total.calls)} calls, {formats.count(total.unpriced_calls)} of them unpriced.",
        "unpriced_url": state.traces_url(unpriced="1"),
    }


def axis_label(at: dt.datetime, size: str, *, first: bool) -> str:
    """Short: the month only where it begins."""
    if size == "hour":
        return f"{at:%b} {at.day}" if at.hour == 0 else f"{at:%H}:00"
    return f"{at:%b} {at.day}" if first or at.day == 1 or size == "week" else str(at.day)


def mix(question: Question) -> dict[str, Any]:
    """Shares of spend by provider or model. One query."""
    state = question.state
    by = state.choices["mix"]
    groups = question.groups(by)
    priced = [group for group in groups if group.current.cost_usd > 0]
    top, rest = (priced, []) if len(priced) == TOP + 1 else (priced[:TOP], priced[TOP:])
    slots = slots_for(by, [group.value for group in top])
    parts = [
        Slice(
            label_of(by, group.value),
            group.current.cost_usd,
            slots[group.value],
            href=state.traces_url(**{by: group.value}),
        )
        for group in top
    ]
    if rest:
        parts.append(
            Slice(f"Other ({len(rest)})", sum((g.current.cost_usd for g in rest), ZERO), "co")
        )
    total = add_up([group.current for group in groups])
    return {"state": state, "parts": parts, "total": total, "caption": state.period.span_label}


def share_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """A fraction, None of nothing."""
    return part / whole if whole > 0 else None
