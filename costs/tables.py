"""Rows of the dashboard's tables: models, agents and users, and what needs attention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.urls import reverse

from core import formats
from costs.dashboard import DIMENSIONS, TRACE_FIELDS
from costs.forecasting.outlook import strange_days
from costs.forecasting.words import moved_by, title_of
from costs.labels import label_of, provider_slot
from costs.panels import MAX_MODELS, TOP_MODELS, TOP_WHO, Question, conflict, share_of
from costs.selectors.spend import Group
from costs.selectors.sums import ZERO, Sums

# A share of failed calls worth a line; below it, failures are in the figures above.
ERROR_SHARE = Decimal("0.01")
MAX_ATTENTION = 8
MAX_FOUND = 50


@dataclass(frozen=True)
class SpendRow:
    """One line of a spend table."""

    label: str
    note: str
    shows_note: bool
    slot: str
    href: str
    sums: Sums
    share: Decimal | None
    share_width: str
    change: formats.Delta | None
    trend: list[Decimal]
    p95_ms: float | None
    unpriced_href: str


@dataclass(frozen=True)
class AttentionRow:
    """One thing to look at: what, why, how much, and where it leads."""

    icon: str
    kind: str
    name: str
    why: str
    amount: str
    href: str


def _known(sums: Sums) -> Decimal | None:
    return None if sums.is_unpriced else sums.cost_usd


_SORTS: dict[str, Callable[[Group], Any]] = {
    "spend": lambda group: _known(group.current),
    "share": lambda group: _known(group.current),
    "change": lambda group: group.current.cost_usd - group.previous.cost_usd,
    "calls": lambda group: group.current.calls,
    "per_call": lambda group: group.current.cost_per_call,
    "p95": lambda group: group.latency.p95_ms,
    "model": lambda group: (group.key[1], group.key[0]),
}


def models(question: Question) -> dict[str, Any]:
    """The models table, sorted as the address says, among the 200 dearest. Three queries."""
    state = question.state
    top = question.top("provider", "model", limit=MAX_MODELS, latency=True)
    total = question.total().current
    sort = state.choices["sort"]
    ordered = _sorted(top.groups, sort)
    shown = ordered if state.choices["models"] == "all" else ordered[:TOP_MODELS]
    bins, trends = state.period.bins(state.bin), question.trends([group.key for group in shown])
    names = [group.key[1] for group in top.groups]
    rows = [
        _row(
            question,
            group,
            total,
            label=label_of("model", group.key[1]),
            note=label_of("provider", group.key[0]),
            slot=provider_slot(group.key[0]),
            href=state.traces_url(provider=group.key[0], model=group.key[1]),
            unpriced_href=state.traces_url(provider=group.key[0], model=group.key[1], unpriced="1"),
            trend=[trends[group.key].get(at, ZERO) for at in bins],
            shows_note=names.count(group.key[1]) > 1,
        )
        for group in shown
    ]
    return {
        "state": state,
        "rows": rows,
        "count": top.count,
        "limit": MAX_MODELS,
        "sort": sort,
        "heads": _heads(question, sort),
    }


def _row(
    question: Question,
    group: Group,
    total: Sums,
    *,
    label: str,
    note: str,
    slot: str,
    href: str,
    unpriced_href: str,
    trend: list[Decimal],
    shows_note: bool = False,
) -> SpendRow:
    state = question.state
    share = share_of(group.current.cost_usd, total.cost_usd)
    change = None
    if state.previous is not None and not (
        group.current.is_unpriced and not group.previous.cost_usd
    ):
        change = formats.delta(
            group.current.cost_usd,
            group.previous.cost_usd,
            base_calls=group.previous.calls or group.current.calls,
        )
    return SpendRow(
        label=label,
        note=note,
        shows_note=shows_note,
        slot=slot,
        href=href,
        sums=group.current,
        share=share,
        share_width=f"{float(share or 0) * 100:.1f}%",
        change=change,
        trend=trend,
        p95_ms=group.latency.p95_ms,
        unpriced_href=unpriced_href,
    )


@dataclass(frozen=True)
class Head:
    """A sortable column: where a click leads, and how it is sorted now."""

    label: str
    choice: str
    url: str
    aria: str
    icon: str
    css: str


def _heads(question: Question, sort: str) -> list[Head]:
    columns = [
        ("model", "Model", ""),
        ("spend", "Spend", "r"),
        ("share", "Share", "r hide-sm"),
        ("", "Trend", "hide-sm"),
        ("change", "Change", "r"),
        ("calls", "Calls", "r hide-sm"),
        ("per_call", "$ / call", "r hide-sm"),
        ("p95", "p95", "r hide-sm"),
    ]
    heads = []
    for key, label, css in columns:
        state = {f"-{key}": "descending", key: "ascending"}.get(sort, "") if key else ""
        first = key if key == "model" else f"-{key}"
        choice = (key if sort == f"-{key}" else f"-{key}") if state else first
        url = question.state.choose(sort=choice).url() if key else ""
        icon = {"descending": "arrow-down", "ascending": "arrow-up"}.get(state, "")
        heads.append(Head(label, choice if key else "", url, state, icon, css))
    return heads


def _sorted(groups: Sequence[Group], sort: str) -> list[Group]:
    """What is unknown stands last, however the rest is sorted: it is neither cheap nor quick."""
    read = _SORTS[sort.removeprefix("-")]
    known = [group for group in groups if read(group) is not None]
    unknown = [group for group in groups if read(group) is None]
    return [*sorted(known, key=read, reverse=sort.startswith("-")), *unknown]


def who(question: Question) -> dict[str, Any]:
    """The dearest values of the dimension the address names. One query, two for API keys."""
    return dearest(question, question.state.choices["who"])


def users(question: Question) -> dict[str, Any]:
    """The dearest users. One query."""
    return dearest(question, "user")


def features(question: Question) -> dict[str, Any]:
    """The dearest features. One query."""
    return dearest(question, "feature")


def tags(question: Question) -> dict[str, Any]:
    """The dearest tags. One query."""
    return dearest(question, "tag")


def keys(question: Question) -> dict[str, Any]:
    """The dearest API keys. Two queries."""
    return dearest(question, "api_key")


def dearest(question: Question, by: str) -> dict[str, Any]:
    """The dearest values of one dimension, cut in the database. One query, two for API keys."""
    state = question.state
    noun = DIMENSIONS[by]
    found: dict[str, Any] = {"state": state, "by": by, "noun": noun, "rows": [], "count": 0}
    if reason := conflict(question, by):
        return found | {"conflict": reason}
    top = question.top(by, limit=TOP_WHO)
    names = question.names(by, [group.value for group in top.groups])
    rows = [
        _row(
            question,
            group,
            Sums(),
            label=names[group.value],
            note="",
            slot="c1",
            href=state.behind(by, group.value),
            unpriced_href=state.traces_url(
                **({TRACE_FIELDS[by]: group.value} if by in TRACE_FIELDS else {}), unpriced="1"
            ),
            trend=[],
        )
        for group in top.groups
    ]
    return found | {"rows": rows, "count": top.count}


def attention(question: Question) -> dict[str, Any]:
    """Strange days, models without a price, and models and agents whose calls fail; worst first. Three queries."""
    by_model = question.top(
        "provider", "model", limit=MAX_FOUND, order="attention", having="attention"
    )
    by_agent = question.top("agent", limit=MAX_FOUND, order="attention", having="attention")
    rows = _strange_rows(question)
    rows += _unpriced_rows(question, by_model.groups)
    rows += _error_rows(question, by_model.groups, by_agent.groups)
    return {
        "state": question.state,
        "rows": rows[:MAX_ATTENTION],
        "more": max(0, len(rows) - MAX_ATTENTION),
    }


def _strange_rows(question: Question) -> list[AttentionRow]:
    return [
        AttentionRow(
            icon="trending-up",
            kind="k-guard",
            name=f"{title_of(row)}, {row.day:%b} {row.day.day}",
            why=f"{formats.money(row.actual_usd)} spent, {formats.money(row.expected_usd)} expected{moved_by(row)}",
            amount=f"{'+' if row.excess_usd > 0 else ''}{formats.money(row.excess_usd)}",
            href=reverse("costs:anomaly_detail", args=[row.organization.slug, row.pk]),
        )
        for row in strange_days(question.project_id, question.state)
    ]


def _unpriced_rows(question: Question, groups: list[Group]) -> list[AttentionRow]:
    rows = []
    found = [(group.key, group.current) for group in groups if group.current.unpriced_calls]
    for (provider, model), now in sorted(
        found, key=lambda item: (-item[1].unpriced_calls, item[0])
    ):
        why = "No price is known" if now.is_unpriced else "Some calls have no price"
        rows.append(
            AttentionRow(
                icon="circle-help",
                kind="k-guard",
                name=label_of("model", model),
                why=f"{why} · {label_of('provider', provider)} · left out of the spend",
                amount=f"{formats.count(now.unpriced_calls)} unpriced",
                href=question.state.traces_url(provider=provider, model=model, unpriced="1"),
            )
        )
    return rows


def _error_rows(
    question: Question, by_model: list[Group], by_agent: list[Group]
) -> list[AttentionRow]:
    found: list[tuple[Sums, Sums, str, str, dict[str, str]]] = [
        (
            group.current,
            group.previous,
            label_of("model", group.key[1]),
            label_of("provider", group.key[0]),
            {"provider": group.key[0], "model": group.key[1]},
        )
        for group in by_model
    ]
    found += [
        (group.current, group.previous, group.value, "Agent", {"agent": group.value})
        for group in by_agent
        if group.value
    ]
    rows = []
    failing = [
        item for item in found if item[0].errors and (item[0].error_share or 0) >= ERROR_SHARE
    ]
    for now, before, name, kind, extra in sorted(
        failing, key=lambda item: (-item[0].errors, item[2])
    ):
        past = f", {formats.percent(before.error_share)} the period before" if before.calls else ""
        rows.append(
            AttentionRow(
                icon="circle-alert",
                kind="k-err",
                name=name,
                why=f"{kind} · {formats.count(now.errors)} of {formats.count(now.calls)} calls failed{past}",
                amount=formats.percent(now.error_share),
                href=question.state.traces_url(**extra, status="error"),
            )
        )
    return rows
