"""What is expected, over the bars that are known: a hatched bar per column and its interval as a whisker.

It differs by hatch, not by colour, so that it is told apart in print and by every eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.charts.base import EMPTY, Value, Write, at_or_none, join, num, percent_of


@dataclass(frozen=True)
class Band:
    """Values that are not known yet, by column; None where they are. Each lies within `low` … `high`."""

    label: str
    values: Sequence[Value]
    low: Sequence[Value]
    high: Sequence[Value]
    slot: str = "fc"
    href: str = ""

    def text(self, place: int, write: Write) -> str:
        """`$12 ($10 – $15)`; empty where there is none."""
        value = at_or_none(self.values, place)
        if value is None:
            return ""
        low, high = at_or_none(self.low, place), at_or_none(self.high, place)
        return f"{write(value)} ({write(low)} – {write(high)})"

    @property
    def top(self) -> float:
        return max((float(value) for value in self.high if value is not None), default=0.0)


def draw_band(band: Band | None, columns: int, top: float, height: int) -> SafeString:
    """The bars and whiskers."""
    if band is None:
        return EMPTY
    slot = 100 / columns
    width, parts = slot * 0.66, []
    for place in range(columns):
        value = at_or_none(band.values, place)
        if value is None:
            continue
        low, high = (at_or_none(ends, place) for ends in (band.low, band.high))
        tall = float(value) / top * height
        middle = percent_of(slot * place + slot / 2)
        parts.append(
            format_html(
                '<rect class="fc" fill="url(#hatch-s)" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
                '<line class="whisk" x1="{}" x2="{}" y1="{}" y2="{}"/>',
                percent_of(slot * place + (slot - width) / 2), num(height - tall), percent_of(width),
                num(max(tall, 0.6)), middle, middle, num(height - float(high or 0) / top * height),
                num(height - float(low or 0) / top * height),
            )
        )  # fmt: skip
    return format_html('<g class="band" pointer-events="none">{}</g>', join(parts))
