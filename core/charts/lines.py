"""Lines over time: percentiles and shares, which must not be stacked."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import formats
from core.charts.bars import (
    as_table,
    cell,
    figure,
    line_path,
    link_text,
    plot,
    ticks_around,
)
from core.charts.base import EMPTY, UNITS, Series, at, join, linked, percent_of


def line_chart(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    summary: str,
    unit: str = "duration",
    titles: Sequence[str] = (),
    hrefs: Sequence[str] = (),
    height: int = 200,
    tick_every: int = 0,
    steps: int = 4,
    first_column: str = "Time",
) -> SafeString:
    """One line per series; a gap where a value is None. Values below 0 lie under the base line. Tooltip, arrow keys and
    table as with bars."""
    columns = len(labels)
    values = [float(value) for one in series for value in one.values if value is not None]
    if not columns or not values:
        return EMPTY
    ticks = ticks_around(min(values), max(values), steps, unit=unit)
    lines = [line_path(one, columns, ticks[-1], height, low=ticks[0]) for one in series]
    drawn = plot(
        [*lines, _hits(columns, height, hrefs)],
        labels,
        ticks,
        unit=unit,
        height=height,
        every=tick_every,
    )
    long = titles or labels
    table = as_table(
        first_column, [one.label for one in series], _table_rows(series, long, hrefs, unit)
    )
    return figure(drawn, _tip_data(series, long, hrefs, unit), summary, table)


def _tip_data(
    series: Sequence[Series], titles: Sequence[str], hrefs: Sequence[str], unit: str
) -> dict[str, object]:
    """What the tooltip and the arrow keys say."""
    write, head = UNITS[unit], series[0]
    return {
        "titles": list(titles),
        # The first line is what is said aloud; it also stands in the list.
        "totals": [
            f"{head.label} {write(value)}" if value is not None else formats.DASH
            for value in head.values
        ],
        "series": [
            [one.slot, one.label, [write(v) if v is not None else "" for v in one.values]]
            for one in series
        ],
        "hrefs": [str(href) for href in hrefs],
    }


def _table_rows(
    series: Sequence[Series], titles: Sequence[str], hrefs: Sequence[str], unit: str
) -> SafeString:
    write = UNITS[unit]
    return join(
        [
            format_html(
                '<tr><th scope="row">{}</th>{}</tr>',
                link_text(title, at(hrefs, place)),
                join([cell(write(one.values[place]), "") for one in series]),
            )
            for place, title in enumerate(titles)
        ]
    )


def _hits(columns: int, height: int, hrefs: Sequence[str]) -> SafeString:
    """An invisible column per bin: what the pointer meets and the arrow keys light."""
    slot = 100 / columns
    return join(
        [
            format_html(
                '<g class="col" data-i="{}">{}</g>',
                place,
                linked(
                    at(hrefs, place),
                    format_html(
                        '<rect class="hit" x="{}" y="0" width="{}" height="{}"/>',
                        percent_of(slot * place),
                        percent_of(slot),
                        height,
                    ),
                ),
            )
            for place in range(columns)
        ]
    )
