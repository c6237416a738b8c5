"""The time axis the dashboard's charts share, and a chart's content before it is drawn."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from core.charts import Band, Series
from core.charts.base import Value
from core.ranges import DAY, Bin, TimeRange, bin_label, instant
from costs.panels import Question
from costs.selectors.sums import Sums

NO_CALLS = ("No calls in this range", "Choose a longer range or remove a filter.")
# Hours of more than two days are told apart by their dates.
MOST_HOUR_LABELS = 48


@dataclass(frozen=True)
class Frame:
    """The time axis all charts of a page share."""

    period: TimeRange
    bins: list[dt.datetime]
    labels: list[str]
    tick_every: int  # 0: as many as there is room for
    titles: list[str]
    spans: list[TimeRange]
    edges: str


@dataclass(frozen=True)
class Chart:
    """A panel with a time axis. `series` is empty when there is nothing to draw; `empty` then says why."""

    key: str
    title: str
    frame: Frame
    series: list[Series]
    summary: str = ""
    unit: str = "money"
    is_line: bool = False
    compare: Series | None = None
    hrefs: list[str] = field(default_factory=list)
    note: str = ""
    empty: tuple[str, str] = NO_CALLS
    # What is expected of the columns after the first `known` ones (0: all are known), and the words about it.
    band: Band | None = None
    known: int = 0
    outlook: str = ""
    outlook_url: str = ""

    @property
    def legend(self) -> list[Series | Band]:
        """The colours, what is compared with and expected included."""
        others = (self.compare, self.band)
        return [*self.series, *(one for one in others if one)]

    @property
    def height(self) -> int:
        """The main chart stands out."""
        return 264 if self.key == "spend" else 200


def frame_of(question: Question) -> Frame:
    """The axis of the page's range and bins. No query."""
    return frame_for(question.state.period, question.state.bin)


def frame_for(period: TimeRange, size: Bin) -> Frame:
    """The axis of a range in bins (pure)."""
    bins = period.bins(size)
    labels = [axis_label(at, size, first=index == 0) for index, at in enumerate(bins)]
    if is_long := size == "hour" and len(bins) > MOST_HOUR_LABELS:
        labels = [label if at.hour == 0 else "" for at, label in zip(bins, labels, strict=True)]
    return Frame(
        period,
        bins,
        labels,
        1 if is_long else 0,
        [bin_label(at, size) for at in bins],
        [period.bin_range(at, size) for at in bins],
        " ".join(instant(at) for at in period.edges(size)),
    )


def longer(frame: Frame, end: dt.datetime) -> Frame:
    """The same days and those up to `end`; for frames of days."""
    first = frame.bins[-1] + DAY
    more = [first + place * DAY for place in range(max((end - first).days, 0))]
    return replace(
        frame,
        bins=[*frame.bins, *more],
        labels=[*frame.labels, *(axis_label(at, "day", first=False) for at in more)],
        titles=[*frame.titles, *(bin_label(at, "day") for at in more)],
        spans=[*frame.spans, *(TimeRange(at, at + DAY, "") for at in more)],
        edges=" ".join(
            [frame.edges.rsplit(" ", 1)[0], *map(instant, [first, *(at + DAY for at in more)])]
        ),
    )


def axis_label(at: dt.datetime, size: str, *, first: bool) -> str:
    """Short: the month only where it begins."""
    if size == "hour":
        return f"{at:%b} {at.day}" if at.hour == 0 else f"{at:%H}:00"
    if size == "month":
        return f"{at:%b %Y}" if first or at.month == 1 else f"{at:%b}"
    return f"{at:%b} {at.day}" if first or at.day == 1 or size == "week" else str(at.day)


def past_by_bin(
    question: Question, cells: Iterable[tuple[dt.datetime, Decimal | int]]
) -> list[Value]:
    """The period before on this period's bins, by place: its first bin under our first. Empty without one."""
    state = question.state
    if state.previous is None:
        return []
    by_bin: dict[dt.datetime, Decimal | int] = {}
    for at, value in cells:
        by_bin[at] = by_bin.get(at, 0) + value
    if not by_bin:
        return []
    bins = state.previous.bins(state.bin)
    count = len(state.period.bins(state.bin))
    return [by_bin.get(at, 0) for at in bins[:count]]


def links(question: Question, frame: Frame, **extra: str) -> list[str]:
    """The traces behind each bin."""
    return [question.state.traces_url(span, **extra) for span in frame.spans]


def trend_of(question: Question, frame: Frame) -> list[Sums]:
    """The sums of every bin. One query."""
    trend = question.total().trend
    return [trend.get(at, Sums()) for at in frame.bins]


def rows_of(chart: Chart) -> Sequence[Sequence[Any]]:
    """The chart's numbers for a spreadsheet: a head, then one line per bin with every digit; unknown is empty."""
    shown = [*chart.series, *([chart.compare] if chart.compare else [])]
    head: list[Any] = ["start", "end", *(one.label for one in shown)]
    lines = [
        [
            span.start.isoformat(),
            span.end.isoformat(),
            *(one.values[i] if i < len(one.values) else None for one in shown),
        ]
        for i, span in enumerate(chart.frame.spans[: chart.known or None])
    ]
    return [head, *lines]
