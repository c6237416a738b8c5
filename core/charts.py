"""Server-rendered SVG charts: markup, not canvas, so they survive swaps and Back, follow the theme and print.

* x positions are percent, y positions pixels: nothing distorts on resize;
* colours are classes (c1 … c6, co) resolved by CSS; no `style=`, so the content security policy holds;
* every chart carries its numbers as a real table and every figure its link;
* the tooltip's texts are written here (exact Decimals) and read by `<chart-tip>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from math import ceil, floor, log10

from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString, mark_safe

from core import formats

SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6", "co")
UNITS = {
    "money": lambda v: formats.money(v),
    "count": lambda v: formats.count(v),
    "tokens": lambda v: formats.tokens(v),
    "duration": lambda v: formats.duration(v),
    "percent": lambda v: formats.percent(v),
}
AXIS = UNITS | {"money": lambda v: formats.money(v, compact=True), "count": lambda v: formats.tokens(v)}
EMPTY = mark_safe("")

Value = Decimal | int | float | None
_ids = count(1)


@dataclass(frozen=True)
class Series:
    """One colour of a chart. `slot` is c1 … c6 or co; `href` links its legend row, `hrefs[i]` its part of bar i."""

    label: str
    values: Sequence[Value]
    slot: str = "c1"
    href: str = ""
    hrefs: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Slice:
    """One part of a donut or a row of a ranked list."""

    label: str
    value: Value
    slot: str = "c1"
    href: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a trace for the step strip: its kind and how much of the strip it takes."""

    kind: str
    weight: Value = 1


def nice_ticks(top: float, steps: int = 4) -> list[float]:
    """Round axis values from 0 to at least `top`."""
    if top <= 0:
        return [0, 1]
    raw = top / steps
    magnitude = 10 ** floor(log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999999)
    return [round(step * i, 12) for i in range(ceil(round(top / step, 9)) + 1)]


def _num(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _pc(value: float) -> str:
    return f"{_num(value)}%"


def _at(items: Sequence[str], index: int) -> str:
    return items[index] if index < len(items) else ""


def _linked(href: str, inner: SafeString) -> SafeString:
    """SVG content as a link out of the tab order: the keyboard's way is the arrow keys or the table."""
    return format_html('<a href="{}" tabindex="-1">{}</a>', href, inner) if href else inner


def _join(parts: Sequence[SafeString]) -> SafeString:
    return mark_safe("".join(parts))  # noqa: S308 - parts come out of format_html


def _default_every(columns: int) -> int:
    return max(1, ceil(columns / 15))


def _grid(ticks: Sequence[float], height: int) -> SafeString:
    top = ticks[-1]
    return format_html_join(
        "",
        '<line class="grid{}" x1="0" x2="100%" y1="{}" y2="{}"/>',
        ((" base" if t == 0 else "", y, y) for t in ticks for y in [_num(height - t / top * height)]),
    )


def _axis(labels: Sequence[str], every: int) -> SafeString:
    slot = 100 / max(len(labels), 1)
    texts = format_html_join(
        "",
        '<text x="{}" y="12" text-anchor="middle">{}</text>',
        ((_pc(slot * i + slot / 2), label) for i, label in enumerate(labels) if label and i % every == 0),
    )
    return format_html(
        '<div class="x-axis" aria-hidden="true"><svg height="16" width="100%" focusable="false">{}</svg></div>', texts
    )


def _columns(series: Sequence[Series], columns: int, top: float, height: int, hrefs: Sequence[str]) -> SafeString:
    slot = 100 / columns
    width = slot * 0.66
    groups = []
    for i in range(columns):
        x, base, parts = slot * i + (slot - width) / 2, 0.0, []
        hit = format_html(
            '<rect class="hit" x="{}" y="0" width="{}" height="{}"/>', _pc(slot * i), _pc(slot), height
        )
        parts.append(_linked(_at(hrefs, i), hit))
        for one in series:
            value = float(one.values[i] or 0)
            if value <= 0:
                continue
            low, high = height - base / top * height, height - (base + value) / top * height
            tall = max(low - high - (1.25 if base else 0), 0.6)
            rect = format_html(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>',
                one.slot, _pc(x), _num(high), _pc(width), _num(tall), 2 if tall > 4 else 0.5,
            )  # fmt: skip
            parts.append(_linked(_at(one.hrefs, i) or _at(hrefs, i), rect))
            base += value
        groups.append(format_html('<g class="col" data-i="{}">{}</g>', i, _join(parts)))
    return _join(groups)


def stacked_bars(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    summary: str,
    unit: str = "money",
    titles: Sequence[str] = (),
    hrefs: Sequence[str] = (),
    height: int = 232,
    tick_every: int = 0,
    steps: int = 4,
    total_label: str = "Total",
    first_column: str = "Time",
) -> SafeString:
    """Bars over time, one colour per series, with tooltip data and a table.

    `labels` are short axis texts, `titles` the long ones for tooltip and table; `hrefs[i]` links a whole bar.
    """
    columns = len(labels)
    if not columns:
        return EMPTY
    totals = [sum((Decimal(str(s.values[i] or 0)) for s in series), Decimal(0)) for i in range(columns)]
    ticks = nice_ticks(float(max(totals)), steps)
    axis = format_html_join("", "<span>{}</span>", ((AXIS[unit](_tick(t)),) for t in reversed(ticks)))
    plot = format_html(
        '<div class="plot"><div class="y-axis" aria-hidden="true">{}</div>'
        '<svg class="plot-svg" height="{}" aria-hidden="true" focusable="false">{}{}</svg>{}</div>',
        axis,
        height,
        _grid(ticks, height),
        _columns(series, columns, ticks[-1], height, hrefs),
        _axis(labels, tick_every or _default_every(columns)),
    )
    long = titles or labels
    write = UNITS[unit]
    data = {
        "titles": list(long),
        "totals": [write(t) for t in totals],
        "series": [[s.slot, s.label, [write(v) if v else "" for v in s.values]] for s in series],
        "hrefs": [str(h) for h in hrefs],
    }
    table = _table(first_column, long, series, [write(t) for t in totals], total_label, write, hrefs)
    return _figure(plot, data, summary, table)


def _tick(value: float) -> Decimal:
    return Decimal(str(value))


def _figure(plot: SafeString, data: dict[str, object], summary: str, table: SafeString) -> SafeString:
    chart_id = f"chart-{next(_ids)}"
    return format_html(
        '<chart-tip><figure data-chart role="group" tabindex="0" aria-label="{} Use arrow keys to read each bar.">{}'
        "</figure>{}</chart-tip>{}",
        summary,
        plot,
        json_script(data, chart_id),
        table,
    )


def _table(
    first: str,
    rows: Sequence[str],
    series: Sequence[Series],
    totals: Sequence[str],
    total_label: str,
    write: object,
    hrefs: Sequence[str],
) -> SafeString:
    assert callable(write)
    head = [*(s.label for s in series), *([total_label] if len(series) > 1 else [])]
    body = []
    for i, title in enumerate(rows):
        cells = [_cell(write(s.values[i] or 0), _at(s.hrefs, i)) for s in series]
        if len(series) > 1:
            cells.append(_cell(totals[i], ""))
        body.append(
            format_html('<tr><th scope="row">{}</th>{}</tr>', _link_text(title, _at(hrefs, i)), _join(cells))
        )
    return as_table(first, head, _join(body))


def as_table(first: str, head: Sequence[str], body: SafeString) -> SafeString:
    """The chart's numbers behind "View as table"; a real table, there without JavaScript."""
    heads = format_html_join("", '<th scope="col" class="r">{}</th>', ((h,) for h in head))
    return format_html(
        '<details class="as-table"><summary>View as table</summary>'
        '<div class="scroll-x" tabindex="0" role="region" aria-label="Chart as table"><table class="tbl"><thead><tr>'
        '<th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table></div></details>',
        first,
        heads,
        body,
    )


def _cell(text: str, href: str) -> SafeString:
    return format_html('<td class="r num">{}</td>', _link_text(text, href))


def _link_text(text: str, href: str) -> SafeString | str:
    return format_html('<a class="link" href="{}">{}</a>', href, text) if href else text


def legend(series: Sequence[Series | Slice]) -> SafeString:
    """Colour and name of each series; a link when the series has one."""
    rows = []
    for one in series:
        inner = format_html('<span class="dot {}" aria-hidden="true"></span>{}', one.slot, one.label)
        rows.append(
            format_html('<a href="{}">{}</a>', one.href, inner) if one.href else format_html("<span>{}</span>", inner)
        )
    return format_html('<div class="legend">{}</div>', _join(rows))


def volume_strip(
    labels: Sequence[str],
    ok: Sequence[int],
    error: Sequence[int],
    *,
    summary: str,
    titles: Sequence[str] = (),
    hrefs: Sequence[str] = (),
    tick_every: int = 0,
    height: int = 52,
) -> SafeString:
    """How many traces per interval, errors in red on top; each bar links to its interval."""
    return stacked_bars(
        labels,
        [Series("OK", ok, "ok"), Series("Error", error, "err")],
        summary=summary,
        unit="count",
        titles=titles,
        hrefs=hrefs,
        height=height,
        steps=1,
        tick_every=tick_every or max(1, ceil(len(labels) / 8)),
    )


def _path(values: Sequence[float], low: float, high: float) -> str:
    spread = (high - low) or 1
    last = max(len(values) - 1, 1)
    return " ".join(
        f"{'L' if i else 'M'}{i / last * 100:.2f} {100 - (v - low) / spread * 100:.2f}" for i, v in enumerate(values)
    )


def sparkline(values: Sequence[Value], *, slot: str = "c1", width: int = 96, height: int = 26) -> SafeString:
    """A trend without axis, decorative beside its figure. Fewer than two values draw nothing."""
    points = [float(v or 0) for v in values]
    if len(points) < 2:
        return EMPTY
    pad = (max(points) - min(points)) * 0.12 or 1
    line = _path(points, min(points) - pad, max(points) + pad)
    return format_html(
        '<svg class="spark" width="{}" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none" '
        'aria-hidden="true" focusable="false"><path class="area {}" d="{} L100 100 L0 100 Z"/>'
        '<path class="ln {}" d="{}"/></svg>',
        width, height, slot, line, slot, line,
    )  # fmt: skip


def donut(
    parts: Sequence[Slice], *, unit: str = "money", caption: str = "", size: int = 156, width: int = 14
) -> SafeString:
    """A ring with the total in its middle and one linked row per part (the rows are its table)."""
    total = sum((Decimal(str(p.value or 0)) for p in parts), Decimal(0))
    centre = size / 2
    ring, before = [], 0.0
    for part in parts:
        share = float(Decimal(str(part.value or 0)) / total * 100) if total > 0 else 0.0
        if share <= 0:
            continue
        # a lone part closes the ring; otherwise a gap separates neighbours
        drawn = 100.0 if share > 99.999 else max(share - 0.7, 0.3)
        circle = format_html(
            '<circle class="{}" cx="{}" cy="{}" r="{}" pathLength="100" fill="none" stroke-width="{}" '
            'stroke-dasharray="{} {}" stroke-dashoffset="{}"/>',
            part.slot, centre, centre, centre - width / 2 - 2, width, f"{drawn:.2f}", f"{100 - drawn:.2f}",
            f"{-before:.2f}",
        )  # fmt: skip
        ring.append(_linked(part.href, circle))
        before += share
    middle = AXIS[unit](total)
    return format_html(
        '<div class="donut-wrap"><svg class="donut" width="{}" height="{}" viewBox="0 0 {} {}" aria-hidden="true" '
        'focusable="false"><g transform="rotate(-90 {} {})">{}</g></svg>'
        '<div class="mid"><b class="num" title="{}">{}</b><small>{}</small></div></div>{}',
        size, size, size, size, centre, centre, _join(ring), UNITS[unit](total), middle, caption,
        key_list(parts, unit=unit, total=total),
    )  # fmt: skip


def key_list(parts: Sequence[Slice], *, unit: str = "money", total: Decimal | None = None) -> SafeString:
    """Colour, name, figure and share of each part, one row each."""
    whole = total if total is not None else sum((Decimal(str(p.value or 0)) for p in parts), Decimal(0))
    rows = [
        format_html(
            '<li><span class="dot {}" aria-hidden="true"></span>{}<span class="num b">{}</span>'
            '<span class="num pc">{}</span></li>',
            part.slot,
            format_html('<a href="{}">{}</a>', part.href, part.label)
            if part.href
            else format_html('<span class="truncate">{}</span>', part.label),
            UNITS[unit](part.value),
            formats.percent(Decimal(str(part.value or 0)) / whole) if whole > 0 else formats.DASH,
        )
        for part in parts
    ]
    return format_html('<ul class="key-list mt-3">{}</ul>', _join(rows))


KIND_SLOTS = {"llm": "c1", "tool": "c2", "retrieval": "c3", "embedding": "c3", "guard": "c5", "guardrail": "c5"}


def step_strip(steps: Sequence[Step], *, width: int = 72) -> SafeString:
    """A trace's steps as one small bar coloured by kind: a readable fingerprint in a list row."""
    if not steps:
        return format_html('<span class="muted">{}</span>', formats.DASH)
    shown = steps[:40]
    weights = [max(float(s.weight or 0), 0.0) for s in shown]
    floor_weight = (sum(weights) or 1) * 0.03
    weights = [max(w, floor_weight) for w in weights]
    scale, x, rects = 100 / sum(weights), 0.0, []
    for step, weight in zip(shown, weights, strict=True):
        span = weight * scale
        slot = "err" if step.kind == "error" else KIND_SLOTS.get(step.kind, "co")
        rects.append(
            format_html(
                '<rect class="{}" x="{}" width="{}" height="8" rx="1.5"/>', slot, _pc(x), _pc(max(span - 1, 0.8))
            )
        )
        x += span
    noun = "step" if len(steps) == 1 else "steps"
    return format_html(
        '<svg class="plot" width="{}" height="8" role="img" aria-label="{} {}">{}</svg>',
        width, len(steps), noun, _join(rects),
    )  # fmt: skip


def meter(ratio: Value, *, tone: str = "", label: str = "") -> SafeString:
    """A thin bar filled to `ratio` (0 … 1)."""
    share = min(max(float(ratio or 0), 0.0), 1.0)
    return format_html(
        '<svg class="progress {}" height="8" role="img" aria-label="{}"><rect width="{}" height="8" rx="4"/></svg>',
        tone, label or formats.percent(ratio), _pc(share * 100),
    )  # fmt: skip
