"""Bars over time with axis, tooltip data and table, and the strip of a list page."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from math import ceil, floor, log10

from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString

from core import person_formats
from core.charts.bands import Band, draw_band
from core.charts.base import (
    AXIS,
    EMPTY,
    UNITS,
    Series,
    Slice,
    Value,
    Write,
    at,
    at_or_none,
    join,
    linked,
    num,
    percent_of,
)

_ids = count(1)
COUNTED = ("count", "tokens")


def nice_ticks(top: float, steps: int = 4, *, unit: str = "") -> list[float]:
    """Round axis values from 0 to at least `top`; whole ones where `unit` is counted, so that no label repeats."""
    if top <= 0:
        return [0, 1]
    raw = top / steps
    magnitude = 10 ** floor(log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999999)
    if unit in COUNTED and step < 10:
        step = max(1, ceil(step))
    return [round(step * i, 12) for i in range(ceil(round(top / step, 9)) + 1)]


def ticks_around(low: float, top: float, steps: int = 4, *, unit: str = "") -> list[float]:
    """As `nice_ticks`, for values some of which lie below 0: the same step downwards."""
    if low >= 0:
        return nice_ticks(top, steps, unit=unit)
    above = nice_ticks(max(top, -low), steps, unit=unit)
    step = above[1] - above[0]
    below = [round(-step * i, 12) for i in range(ceil(round(-low / step, 9)), 0, -1)]
    return below + (above[: ceil(round(top / step, 9)) + 1] if top > 0 else [0])


def default_every(columns: int) -> int:
    return max(1, ceil(columns / 15))


def grid(ticks: Sequence[float], height: int) -> SafeString:
    low, span = ticks[0], ticks[-1] - ticks[0]
    return format_html_join(
        "",
        '<line class="grid{}" x1="0" x2="100%" y1="{}" y2="{}"/>',
        (
            (" base" if t == 0 else "", y, y)
            for t in ticks
            for y in [num(height - (t - low) / span * height)]
        ),
    )


def x_axis(labels: Sequence[str], every: int) -> SafeString:
    slot = 100 / max(len(labels), 1)
    texts = format_html_join(
        "",
        '<text x="{}" y="12" text-anchor="middle">{}</text>',
        (
            (percent_of(slot * i + slot / 2), label)
            for i, label in enumerate(labels)
            if label and i % every == 0
        ),
    )
    return format_html(
        '<div class="x-axis" aria-hidden="true"><svg height="16" width="100%" focusable="false">{}</svg></div>',
        texts,
    )


def _columns(
    series: Sequence[Series], columns: int, top: float, height: int, hrefs: Sequence[str]
) -> SafeString:
    slot = 100 / columns
    width = slot * 0.66
    groups = []
    for i in range(columns):
        x, base, parts = slot * i + (slot - width) / 2, 0.0, []
        hit = format_html(
            '<rect class="hit" x="{}" y="0" width="{}" height="{}"/>',
            percent_of(slot * i),
            percent_of(slot),
            height,
        )
        parts.append(linked(at(hrefs, i), hit))
        for one in series:
            value = float(one.values[i] or 0)
            if value <= 0:
                continue
            low, high = height - base / top * height, height - (base + value) / top * height
            tall = max(low - high - (1.25 if base else 0), 0.6)
            rect = format_html(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>',
                one.slot, percent_of(x), num(high), percent_of(width), num(tall), 2 if tall > 4 else 0.5,
            )  # fmt: skip
            parts.append(linked(at(one.hrefs, i) or at(hrefs, i), rect))
            base += value
        groups.append(format_html('<g class="col" data-i="{}">{}</g>', i, join(parts)))
    return join(groups)


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
    compare: Series | None = None,
    band: Band | None = None,
) -> SafeString:
    """Bars over time, one colour per series, with tooltip data and a table.

    `labels` are short axis texts, `titles` the long ones for tooltip and table; `hrefs[i]` links a whole bar; `compare`
    is drawn as a dashed line over the bars and belongs to no total, nor does `band`, what is expected of columns to
    come.
    """
    columns = len(labels)
    if not columns:
        return EMPTY
    totals = [_total([s.values[i] for s in series]) for i in range(columns)]
    others = [Decimal(str(value or 0)) for value in compare.values] if compare else []
    highest = max(float(max(total or 0 for total in [*totals, *others])), band.top if band else 0.0)
    ticks = nice_ticks(highest, steps, unit=unit)
    over = line_path(compare, columns, ticks[-1], height) if compare else EMPTY
    bars = _columns(series, columns, ticks[-1], height, hrefs)
    drawn = [bars, draw_band(band, columns, ticks[-1], height), over]
    picture = plot(drawn, labels, ticks, unit=unit, height=height, every=tick_every)
    long = titles or labels
    write = UNITS[unit]
    coming = [band.text(place, write) if band else "" for place in range(columns)]
    written = [
        "" if later and not total else write(total)
        for total, later in zip(totals, coming, strict=True)
    ]
    data = {
        "titles": list(long),
        "totals": written,
        "series": [
            [s.slot, s.label, [write(v) if v else "" for v in s.values]]
            for s in [*series, *([compare] if compare else [])]
        ]
        + ([[band.slot, band.label, coming]] if band else []),
        "hrefs": [str(h) for h in hrefs],
    }
    more = (band.label, coming) if band else None
    table = _table(first_column, long, series, written, total_label, write, hrefs, compare, more)
    return figure(picture, data, summary, table)


def _total(values: Sequence[Value]) -> Decimal | None:
    """The sum of a bar; None when all of it is unknown."""
    known = [Decimal(str(value)) for value in values if value is not None]
    return sum(known, Decimal(0)) if known or not values else None


def plot(
    drawn: Sequence[SafeString],
    labels: Sequence[str],
    ticks: Sequence[float],
    *,
    unit: str,
    height: int,
    every: int = 0,
) -> SafeString:
    """What is drawn, over the grid and between the axes."""
    axis = format_html_join(
        "", "<span>{}</span>", ((AXIS[unit](tick(value)),) for value in reversed(ticks))
    )
    return format_html(
        '<div class="plot"><div class="y-axis" aria-hidden="true">{}</div>'
        '<svg class="plot-svg" height="{}" aria-hidden="true" focusable="false">{}{}</svg>{}</div>',
        axis,
        height,
        grid(ticks, height),
        join(drawn),
        x_axis(labels, every or default_every(len(labels))),
    )


def tick(value: float) -> Decimal:
    return Decimal(str(value))


def line_path(
    series: Series, columns: int, top: float, height: int, *, low: float = 0
) -> SafeString:
    """A series as a line through the middle of each column; a gap where there is no value, a dot where it stands alone.

    x is a share of the width, so the line has a picture of its own that may be stretched.
    """
    parts, dots, runs = [], [], _runs(series.values[:columns])
    for first, values in runs:
        points = [
            (100 / columns * (first + i + 0.5), height - (value - low) / (top - low) * height)
            for i, value in enumerate(values)
        ]
        if len(points) == 1 or series.is_dots:
            dots += [(series.slot, percent_of(x), num(y)) for x, y in points]
        if series.is_dots:
            continue
        parts.append(
            " ".join(f"{'L' if i else 'M'}{num(x)} {num(y)}" for i, (x, y) in enumerate(points))
        )
    path = format_html(
        '<svg class="over" viewBox="0 0 100 {}" width="100%" height="{}" preserveAspectRatio="none">'
        '<path class="ln {}" d="{}"/></svg>',
        height, height, series.slot, " ".join(parts),
    )  # fmt: skip
    return join([path, format_html_join("", '<circle class="{}" cx="{}" cy="{}" r="3"/>', dots)])


def _runs(values: Sequence[Value]) -> list[tuple[int, list[float]]]:
    """The stretches without a gap: where each begins, and its values."""
    found: list[tuple[int, list[float]]] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        if found and found[-1][0] + len(found[-1][1]) == place:
            found[-1][1].append(float(value))
        else:
            found.append((place, [float(value)]))
    return found


def figure(
    plot: SafeString, data: dict[str, object], summary: str, table: SafeString
) -> SafeString:
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
    write: Write,
    hrefs: Sequence[str],
    compare: Series | None = None,
    more: tuple[str, Sequence[str]] | None = None,
) -> SafeString:
    head = [*(s.label for s in series), *([total_label] if len(series) > 1 else [])]
    head += [compare.label] if compare else []
    head += [more[0]] if more else []
    body = []
    for i, title in enumerate(rows):
        cells = [cell(write(s.values[i]), at(s.hrefs, i)) for s in series]
        if len(series) > 1:
            cells.append(cell(totals[i], ""))
        if compare:
            cells.append(cell(write(at_or_none(compare.values, i)), ""))
        if more:
            cells.append(cell(more[1][i], ""))
        body.append(
            format_html(
                '<tr><th scope="row">{}</th>{}</tr>', link_text(title, at(hrefs, i)), join(cells)
            )
        )
    return as_table(first, head, join(body))


def as_table(first: str, head: Sequence[str], body: SafeString) -> SafeString:
    """The chart's numbers behind "View as table"; a real table, there without JavaScript."""
    heads = format_html_join("", '<th scope="col" class="r">{}</th>', ((h,) for h in head))
    # Bars are hours and days of UTC; rows beside them are in the zone of the reader or their browser.
    zone = "" if str(person_formats.current().zone) == "UTC" else " · times in UTC"
    return format_html(
        '<details class="as-table"><summary>View as table<span class="muted">{}</span></summary>'
        '<div class="scroll-x" tabindex="0" role="region" aria-label="Chart as table"><table class="tbl"><thead><tr>'
        '<th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody></table></div></details>',
        zone,
        first,
        heads,
        body,
    )


def cell(text: str, href: str) -> SafeString:
    return format_html('<td class="r num">{}</td>', link_text(text, href))


def link_text(text: str, href: str) -> SafeString | str:
    return format_html('<a class="link" href="{}">{}</a>', href, text) if href else text


def legend(series: Sequence[Series | Slice | Band]) -> SafeString:
    """Colour and name of each series; a link when the series has one."""
    rows = []
    for one in series:
        inner = format_html(
            '<span class="dot {}" aria-hidden="true"></span>{}', one.slot, one.label
        )
        rows.append(
            format_html('<a href="{}">{}</a>', one.href, inner)
            if one.href
            else format_html("<span>{}</span>", inner)
        )
    return format_html('<div class="legend">{}</div>', join(rows))


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
