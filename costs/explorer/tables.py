"""The explorer's answer as a table: groups with their change, a pivot, or the bins of a range."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats
from core.ranges import TimeRange
from costs.explorer.ask import Answer, Row
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.drawing import drawn_values
from costs.explorer.drill import Drill
from costs.explorer.measures import MEASURES, Value
from costs.explorer.naming import Names, is_rise_bad, share_of, written
from costs.explorer.page_state import STACKED, PageState, shown_values
from costs.explorer.pivot import Pivot
from costs.frames import Frame
from costs.labels import slots_for

Figures = Mapping[str, Value]


@dataclass(frozen=True)
class Head:
    """A column: where a click sorts by it, and how it is sorted now."""

    label: str
    url: str = ""
    aria: str = ""
    icon: str = ""
    href: str = ""


@dataclass(frozen=True)
class Line:
    """A row as it is shown. `kind` is empty, `other` or `total`."""

    label: str
    cells: list[SafeString]
    kind: str = ""
    slot: str = ""
    href: str = ""
    change: formats.Delta | None = None
    share: Any = None
    share_width: str = ""


@dataclass(frozen=True)
class Table:
    """`has_share` and `has_change` say which columns stand behind the first figure."""

    first: str
    heads: list[Head]
    lines: list[Line]
    total: Line
    has_share: bool = False
    has_change: bool = False
    is_pivot: bool = False
    shown: int = 0
    count: int = 0
    columns: tuple[int, int] = (0, 0)
    second: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)


def figure(values: Figures, measure: str, href: str = "", unpriced_href: str = "") -> SafeString:
    """One figure: linked, exact in its title; what has no price says so and is never 0."""
    value = values[measure]
    is_money = MEASURES[measure].unit == "money"
    is_unpriced = measure == "cost_usd" or values.get("unpriced_calls") == values.get("calls")
    if value is None and is_money and is_unpriced:
        badge = format_html('<span class="badge warn">{}</span>', "Unpriced")
        link = unpriced_href or href
        return format_html('<a class="fig" href="{}">{}</a>', link, badge) if link else badge
    text = written(measure, value)
    if value is None:
        return format_html('<span class="muted" title="{}">{}</span>', "Not known", text)
    title = formats.money_exact(value) if is_money else formats.count(value)
    if href:
        return format_html('<a class="fig num" href="{}" title="{}">{}</a>', href, title, text)
    return format_html('<span class="num" title="{}">{}</span>', title, text)


def _width(share: Any) -> str:
    return f"{float(share or 0) * 100:.1f}%"


def change_of(measure: str, now: Figures, before: Figures | None) -> formats.Delta | None:
    """None where either figure is unknown: neither a rise nor a fall."""
    if now[measure] is None or (before is not None and before[measure] is None):
        return None
    old = before[measure] if before is not None else 0
    base = before.get("calls") if before is not None else now.get("calls")
    rise: Literal["bad", "neutral"] = "bad" if is_rise_bad(measure) else "neutral"
    return formats.delta(now[measure], old, rise=rise, base_calls=int(base or 0))


@dataclass(frozen=True)
class Tables:
    """Everything a table is made with."""

    state: PageState
    names: Names
    drill: Drill | None = None

    def _link(
        self, values: Mapping[str, str], period: TimeRange | None = None, *, unpriced: bool = False
    ) -> str:
        return self.drill.url(values, period, is_unpriced=unpriced) if self.drill else ""

    def _cells(
        self, values: Figures, at: Mapping[str, str] | None, period: TimeRange | None = None
    ) -> list[SafeString]:
        """The measures of a row; `at` None has no link."""
        href = self._link(at, period) if at is not None else ""
        unpriced = self._link(at, period, unpriced=True) if at is not None else ""
        return [figure(values, name, href, unpriced) for name in self.state.measures]

    def _one(self, values: Figures, at: Mapping[str, str] | None) -> SafeString:
        """The first measure alone."""
        href = self._link(at) if at is not None else ""
        unpriced = self._link(at, unpriced=True) if at is not None else ""
        return figure(values, self.state.measure, href, unpriced)

    def by_one(self, found: Answer, before: Answer | None) -> Table:
        """One dimension: every asked measure, the share and the change of the first."""
        dimension, measure = self.state.by[0], self.state.measure
        past = {row.key: row for row in before.groups} if before else {}
        has_share = measure in STACKED and not found.notes
        slots = slots_for(dimension, drawn_values(found, measure))
        lines = []
        for row in found.groups:
            value = row.key[0] if row.key else ""
            share = share_of(row[measure], found.total[measure]) if has_share else None
            lines.append(
                Line(
                    self.names.of(dimension, value),
                    self._cells(row.values, {dimension: value}),
                    slot=slots.get(value, "co"),
                    href=self._narrow({dimension: value}),
                    change=self._change(row, past.get(row.key), before),
                    share=share,
                    share_width=_width(share),
                )
            )
        if found.other:
            label = f"{formats.count(found.group_count - len(found.groups))} others"
            change = self._change(found.other, before.other if before else None, before)
            cells = self._cells(found.other.values, None)
            share = share_of(found.other[measure], found.total[measure]) if has_share else None
            lines.append(
                Line(
                    label,
                    cells,
                    "other",
                    "co",
                    change=change,
                    share=share,
                    share_width=_width(share),
                )
            )
        return Table(
            DIMENSIONS[dimension],
            self._heads(),
            lines,
            self._total(found, before),
            has_share,
            before is not None,
            shown=len(found.groups),
            count=found.group_count,
            notes=found.notes,
        )

    def by_time(self, found: Answer, before: Answer | None, frame: Frame) -> Table:
        """No dimension: the bins."""
        rows = {row.at: row for row in found.totals}
        past: dict[dt.datetime, Row] = {}
        if before and self.state.asked.previous:
            own = {row.at: row for row in before.totals}
            bins = self.state.asked.previous.bins(self.state.size)
            past = {at: own[old] for at, old in zip(frame.bins, bins, strict=False) if old in own}
        lines = [
            Line(
                title,
                self._cells(rows[at].values, {}, span),
                href=self._narrow({}, span),
                change=self._change(rows[at], past.get(at), before),
            )
            for at, title, span in zip(frame.bins, frame.titles, frame.spans, strict=True)
            if at in rows
        ]
        heads = [Head(MEASURES[name].label) for name in self.state.measures]
        total = self._total(found, before)
        label = self.state.size.capitalize()
        has_change, many = before is not None, len(lines)
        return Table(label, heads, lines, total, has_change=has_change, shown=many, count=many)

    def pivot(self, found: Pivot, before: Answer | None) -> Table:
        """Two dimensions: the first measure where they meet, the rest of each, totals that hold each call once."""
        down, across = self.state.by
        measure = self.state.measure
        columns = [row.key[0] if row.key else "" for row in found.columns.groups]
        past = {row.key: row for row in before.groups} if before else {}
        lines = []
        for place, row in enumerate([*found.rows.groups, *filter(None, [found.rows.other])]):
            value = row.key[0] if row.key else None
            cells = [
                self._meeting(found, (place, at), down, value, across, column)
                for at, column in enumerate([*columns, *([None] if found.columns.other else [])])
            ]
            cells.append(self._one(row.values, None if value is None else {down: value}))
            count = formats.count(found.rows.group_count - len(found.rows.groups))
            label = f"{count} others" if value is None else self.names.of(down, value)
            kind, href = ("other", "") if value is None else ("", self._narrow({down: value}))
            old = past.get(row.key) if value is not None else before.other if before else None
            change = self._change(row, old, before)
            lines.append(Line(label, cells, kind, href=href, change=change))
        foot = [
            figure(row.values, measure, self._link({across: row.key[0]}) if row.key else "")
            for row in [*found.columns.groups, *filter(None, [found.columns.other])]
        ]
        total = self._total(found.rows, before)
        return Table(
            DIMENSIONS[down],
            self._pivot_heads(found, across, columns),
            lines,
            Line("Total", [*foot, total.cells[0]], "total", change=total.change),
            has_change=before is not None,
            is_pivot=True,
            shown=len(found.rows.groups),
            count=found.rows.group_count,
            columns=(len(columns), found.columns.group_count),
            second=DIMENSIONS[across],
            notes=found.notes,
        )

    def _meeting(
        self,
        found: Pivot,
        place: tuple[int, int],
        down: str,
        value: str | None,
        across: str,
        column: str | None,
    ) -> SafeString:
        values = found.cells.get(place)
        if values is None:
            return format_html('<span class="muted">{}</span>', formats.DASH)
        if value is None or column is None:
            return figure(values, self.state.measure)
        return self._one(values, {down: value, across: column})

    def _pivot_heads(self, found: Pivot, across: str, columns: list[str]) -> list[Head]:
        heads = [
            Head(self.names.of(across, value), href=self._narrow({across: value}))
            for value in columns
        ]
        if found.columns.other:
            heads.append(Head(f"{formats.count(found.columns.group_count - len(columns))} others"))
        return [*heads, Head("Total")]

    def _total(self, found: Answer, before: Answer | None) -> Line:
        change = self._change(found.total, before.total if before else None, before)
        share = 1 if found.total[self.state.measure] else None
        return Line("Total", self._cells(found.total.values, {}), "total", change=change, share=share)  # fmt: skip

    def _change(self, row: Row, old: Row | None, before: Answer | None) -> formats.Delta | None:
        if before is None:
            return None
        return change_of(self.state.measure, row.values, old.values if old else None)

    def _narrow(self, values: Mapping[str, str], period: TimeRange | None = None) -> str:
        """The explorer of one group alone."""
        if self.drill is None:
            return ""
        left = tuple(name for name in self.state.by if name not in values)
        changes: dict[str, Any] = {name: shown_values([value]) for name, value in values.items()}
        changes |= {"by": left, "limit": None}
        if period:
            changes |= {"range": period.key, "bin": None}
        return self.state.url(**changes)

    def _heads(self) -> list[Head]:
        """A click sorts largest first, the next one turns round."""
        question = self.state.asked.question
        heads = []
        for name in self.state.measures:
            is_own = question.ranked_by == name
            aria = ("ascending" if question.ascending else "descending") if is_own else ""
            following = name if aria == "descending" else f"-{name}"
            icon = {"descending": "arrow-down", "ascending": "arrow-up"}.get(aria, "")
            heads.append(Head(MEASURES[name].label, self.state.url(sort=following), aria, icon))
        return heads
