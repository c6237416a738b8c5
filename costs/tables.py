"""Rows of the dashboard's tables: models, agents and users, and what needs attention."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core import formats
from costs.labels import label_of, provider_slot
from costs.panels import TOP_MODELS, TOP_WHO, Question, share_of
from costs.selectors.spend import Group
from costs.selectors.sums import ZERO, Sums, add_up

# A share of failed calls worth a line; below it, failures are in the figures above.
ERROR_SHARE = Decimal("0.01")
MAX_ATTENTION = 8


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


_SORTS: dict[str, Callable[[Group], Any]] = {
    "spend": lambda group: group.current.cost_usd,
    "share": lambda group: group.current.cost_usd,
    "change": lambda group: group.current.cost_usd - group.previous.cost_usd,
    "calls": lambda group: group.current.calls,
    "per_call": lambda group: group.current.cost_per_call or ZERO,
    "p95": lambda group: group.latency.p95_ms or 0.0,
    "model": lambda group: (group.key[1], group.key[0]),
}


def models(question: Question) -> dict[str, Any]:
    """The models table, sorted as the address says. One query."""
    state = question.state
    groups = question.groups("provider", "model", latency=True, trend=True)
    total = add_up([group.current for group in groups])
    sort = state.choices["sort"]
    ordered = sorted(groups, key=_SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    shown = ordered if state.choices["models"] == "all" else ordered[:TOP_MODELS]
    bins = state.period.bins()
    names = [group.key[1] for group in groups]
    rows = [
        _row(
            question,
            group,
            total,
            label=label_of("model", group.key[1]),
            note=label_of("provider", group.key[0]),
            slot=provider_slot(group.key[0]),
            extra={"provider": group.key[0], "model": group.key[1]},
            trend=[group.trend.get(at, Sums()).cost_usd for at in bins],
            shows_note=names.count(group.key[1]) > 1,
        )
        for group in shown
    ]
    return {
        "state": state,
        "rows": rows,
        "count": len(groups),
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
    extra: dict[str, str],
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
        href=state.traces_url(**extra),
        sums=group.current,
        share=share,
        share_width=f"{float(share or 0) * 100:.1f}%",
        change=change,
        trend=trend,
        p95_ms=group.latency.p95_ms,
        unpriced_href=state.traces_url(**extra, unpriced="1"),
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


def who(question: Question) -> dict[str, Any]:
    """The dearest agents or users, cut in the database. One query."""
    state = question.state
    by = state.choices["who"]
    groups = question.top(by, limit=TOP_WHO + 1)
    rows = [
        _row(
            question,
            group,
            Sums(),
            label=label_of(by, group.value),
            note="",
            slot="c1",
            extra={by: group.value},
            trend=[],
        )
        for group in groups[:TOP_WHO]
    ]
    return {"state": state, "rows": rows, "by": by, "has_more": len(groups) > TOP_WHO}


def attention(question: Question) -> dict[str, Any]:
    """Models without a price, and models and agents whose calls fail; worst first. One query."""
    groups = question.groups("provider", "model", "agent")
    rows = _unpriced_rows(question, _fold(groups, 0, 1)) + _error_rows(question, groups)
    return {
        "state": question.state,
        "rows": rows[:MAX_ATTENTION],
        "more": max(0, len(rows) - MAX_ATTENTION),
    }


def _fold(groups: list[Group], *places: int) -> dict[tuple[str, ...], tuple[Sums, Sums]]:
    """Groups added up over some of their fields: (current, previous)."""
    found: dict[tuple[str, ...], tuple[Sums, Sums]] = {}
    for group in groups:
        key = tuple(group.key[place] for place in places)
        current, previous = found.get(key, (Sums(), Sums()))
        found[key] = (current + group.current, previous + group.previous)
    return found


def _unpriced_rows(
    question: Question, by_model: dict[tuple[str, ...], tuple[Sums, Sums]]
) -> list[AttentionRow]:
    rows = []
    found = [(key, now) for key, (now, _) in by_model.items() if now.unpriced_calls]
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


def _error_rows(question: Question, groups: list[Group]) -> list[AttentionRow]:
    found: list[tuple[Sums, Sums, str, str, dict[str, str]]] = []
    for (provider, model), (now, before) in _fold(groups, 0, 1).items():
        found.append(
            (
                now,
                before,
                label_of("model", model),
                label_of("provider", provider),
                {"provider": provider, "model": model},
            )
        )
    for (agent,), (now, before) in _fold(groups, 2).items():
        if agent:
            found.append((now, before, agent, "Agent", {"agent": agent}))
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
