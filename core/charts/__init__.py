"""Server-rendered SVG charts: markup, not canvas, so they survive swaps and Back, follow the theme and print.

* x positions are percent, y positions pixels: nothing distorts on resize;
* colours are classes (c1 … c6, co) resolved by CSS; no `style=`, so the content security policy holds;
* every chart carries its numbers as a real table and every figure its link;
* the tooltip's texts are written here (exact Decimals) and read by `<chart-tip>`.
"""

from core.charts.bands import Band
from core.charts.bars import as_table, legend, nice_ticks, stacked_bars, volume_strip
from core.charts.base import SLOTS, UNITS, Series, Slice, Step
from core.charts.lines import line_chart
from core.charts.marks import donut, key_list, meter, sparkline, step_strip

__all__ = [
    "SLOTS",
    "UNITS",
    "Band",
    "Series",
    "Slice",
    "Step",
    "as_table",
    "donut",
    "key_list",
    "legend",
    "line_chart",
    "meter",
    "nice_ticks",
    "sparkline",
    "stacked_bars",
    "step_strip",
    "volume_strip",
]
