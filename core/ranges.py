"""Time ranges of pages and APIs: `?range=24h`, `mtd`, `2026-11-01T00:00Z..2026-11-20T14:30Z` (pure; UTC throughout,
but for the words of a span, which are in the reader's zone).

A range is half open: `start <= t < end`. Hourly sums cannot be cut inside an hour, so pages built on them ask for
`whole_hours()`: the same range on hour borders, the current hour included.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

from core import person_formats
from core.errors import DomainError

Bin = Literal["hour", "day", "week", "month"]

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
MAX_RANGE = dt.timedelta(days=400)
MONTH_TO_DATE = "mtd"
RELATIVE: dict[str, tuple[dt.timedelta, str]] = {
    "15m": (dt.timedelta(minutes=15), "Last 15 minutes"),
    "1h": (HOUR, "Last hour"),
    "24h": (DAY, "Last 24 hours"),
    "7d": (7 * DAY, "Last 7 days"),
    "30d": (30 * DAY, "Last 30 days"),
    "90d": (90 * DAY, "Last 90 days"),
}
PRESETS: dict[str, str] = {key: label for key, (_, label) in RELATIVE.items()} | {
    MONTH_TO_DATE: "Month to date"
}
# Months differ in length; next_bin knows them.
BIN_STEP: dict[Bin, dt.timedelta] = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
MONTH_DAYS = 31


class InvalidRangeError(DomainError):
    """The text is no time range; the detail says which part and what is expected."""

    code = "invalid_range"


@dataclass(frozen=True)
class TimeRange:
    """`key` is what stands in the URL: a preset, or the two instants for a custom range."""

    start: dt.datetime
    end: dt.datetime
    key: str

    @property
    def is_preset(self) -> bool:
        return self.key in PRESETS

    @property
    def duration(self) -> dt.timedelta:
        return self.end - self.start

    @property
    def label(self) -> str:
        """The preset's name, or the span in words."""
        return PRESETS.get(self.key) or self.span_label

    @property
    def span_label(self) -> str:
        """The two ends in words: `Nov 1 – 20, 2026`, or with hours when an end is not midnight of a long range."""
        return span_label(self.start, self.end, person_formats.zone())

    @property
    def explicit(self) -> str:
        """The range as two instants, for links that must show exactly these calls whenever they are opened."""
        return f"{instant(self.start)}..{instant(self.end)}"

    @property
    def bin(self) -> Bin:
        """Hours up to two days, days up to a quarter, then weeks."""
        if self.duration <= 2 * DAY:
            return "hour"
        return "day" if self.duration <= 93 * DAY else "week"

    def previous(self) -> "TimeRange":
        """What to compare with: the same days of the month before for month to date, else the same length before."""
        if self.key == MONTH_TO_DATE:
            start = (self.start - DAY).replace(day=1)
            end = min(start + self.duration, self.start)
        else:
            start, end = self.start - self.duration, self.start
        before = TimeRange(start, end, "")
        return replace(before, key=before.explicit)

    def month_before(self) -> "TimeRange":
        """The same days of the month before, cut where the range itself begins; the period before for ranges longer
        than a month."""
        if self.duration > MONTH_DAYS * DAY:
            return self.previous()
        before = self.start.replace(day=1) - DAY  # some time on the last day of the month before
        start = before.replace(day=min(self.start.day, before.day))
        end = min(start + self.duration, self.start)
        found = TimeRange(start, end, "")
        return replace(found, key=found.explicit)

    def whole_hours(self) -> "TimeRange":
        """The range on hour borders, the hour of its end included.

        Presets of days begin at midnight and hold today as their last day, `24h` holds 24 whole hours; any other
        range is widened to the hours it touches.
        """
        end = ceil_hour(self.end)
        if self.key == "24h":
            return replace(self, start=end - DAY, end=end)
        if self.key in ("7d", "30d", "90d"):
            today = floor(self.end - dt.timedelta(microseconds=1), "day")
            return replace(self, start=today - RELATIVE[self.key][0] + DAY, end=end)
        return replace(self, start=floor(self.start, "hour"), end=end)

    def bins(self, size: Bin | None = None) -> list[dt.datetime]:
        """The starts of every bin the range touches; the first may begin before the range (weeks, cut days)."""
        size = size or self.bin
        found, at = [], floor(self.start, size)
        while at < self.end:
            found.append(at)
            at = next_bin(at, size)
        return found

    def edges(self, size: Bin | None = None) -> list[dt.datetime]:
        """The borders between the bins, both outer ones included."""
        bins = self.bins(size)
        return [*bins, next_bin(bins[-1], size or self.bin)]

    def bin_range(self, start: dt.datetime, size: Bin | None = None) -> "TimeRange":
        """The part of the range inside the bin that begins at `start`."""
        part = TimeRange(
            max(start, self.start), min(next_bin(start, size or self.bin), self.end), ""
        )
        return replace(part, key=part.explicit)


def parse_range(text: str, *, now: dt.datetime, default: str = MONTH_TO_DATE) -> TimeRange:
    """Read a range parameter; empty text means `default`. Raises InvalidRangeError naming the value and the rule."""
    text = text.strip() or default
    if text in RELATIVE:
        return TimeRange(now - RELATIVE[text][0], now, text)
    if text == MONTH_TO_DATE:
        return TimeRange(floor(now, "day").replace(day=1), now, text)
    first, dots, last = text.partition("..")
    if not dots:
        raise InvalidRangeError(
            f"range is {text[:80]!r}; it must be one of {', '.join(PRESETS)} or two instants"
            " like 2026-11-01T00:00Z..2026-11-20T14:30Z",
            fields=["range"],
        )
    return make_range(parse_instant(first, "range"), parse_instant(last, "range", is_end=True))


def make_range(
    start: dt.datetime, end: dt.datetime, *, fields: tuple[str, str] = ("range", "range")
) -> TimeRange:
    """A custom range. Raises InvalidRangeError when it is empty, backwards or longer than 400 days."""
    if end <= start:
        raise InvalidRangeError(
            f"{fields[1]} is {instant(end)}; it must be after the start, {instant(start)}",
            fields=[fields[1]],
        )
    if end - start > MAX_RANGE:
        raise InvalidRangeError(
            f"{fields[1]} is {instant(end)}; a range may span at most {MAX_RANGE.days} days"
            f" from its start, {instant(start)}",
            fields=[fields[1]],
        )
    made = TimeRange(start, end, "")
    return replace(made, key=made.explicit)


def parse_instant(text: str, field: str, *, is_end: bool = False) -> dt.datetime:
    """An ISO 8601 date or date-time in UTC; naive is UTC, and a bare date as an end means that whole day."""
    text = text.strip()
    try:
        # A "+" of an offset that was not percent-encoded arrives as a space.
        found = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        found = found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
        if is_end and len(text) <= len("2026-11-01"):
            found += DAY
        # Arithmetic around the value (previous period, bins) must stay inside what datetime can hold.
        if not 1970 <= found.year <= 9000:
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidRangeError(
            f"{field} is {text[:80]!r}; it must be a date or date-time in ISO 8601 after 1970,"
            " like 2026-11-01 or 2026-11-01T14:30Z",
            fields=[field],
        ) from None
    return found


def utc_text(text: str, zone: dt.tzinfo) -> str:
    """A form's local date-time as an address has it; what is none stays as it is, for `parse_range` to name."""
    try:
        at = dt.datetime.fromisoformat(text.strip()[:40])
        return instant(at if at.tzinfo else at.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return text


def next_bin(at: dt.datetime, size: Bin) -> dt.datetime:
    """Where the bin that begins at `at` ends."""
    if size == "month":
        return (at.replace(day=1) + MONTH_DAYS * DAY).replace(day=1)
    return at + BIN_STEP[size]


def floor(at: dt.datetime, size: Bin) -> dt.datetime:
    """The start of the UTC hour, day, week (Monday) or month `at` lies in."""
    at = at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    if size == "hour":
        return at
    at = at.replace(hour=0)
    if size == "month":
        return at.replace(day=1)
    return at if size == "day" else at - at.weekday() * DAY


def ceil_hour(at: dt.datetime) -> dt.datetime:
    """The first hour border at or after `at`."""
    down = floor(at, "hour")
    return down if down == at else down + HOUR


def span_label(start: dt.datetime, end: dt.datetime, zone: dt.tzinfo = dt.UTC) -> str:
    """`Nov 1 – 20, 2026`; with times for ranges up to two days that do not begin and end at midnight.

    Days of UTC, as the charts have them, stay such days whatever the zone.
    """
    is_whole_days = start == floor(start, "day") and end == floor(end, "day")
    if not is_whole_days:
        start, end = start.astimezone(zone), end.astimezone(zone)
        is_whole_days = all(at.time() == dt.time() for at in (start, end))
    last = end - dt.timedelta(microseconds=1)
    if end - start <= 2 * DAY and not is_whole_days:
        if start.date() == last.date():
            return f"{start:%b} {start.day}, {start:%H:%M} – {end:%H:%M} {end:%Z}"
        return f"{start:%b} {start.day}, {start:%H:%M} – {end:%b} {end.day}, {end:%H:%M} {end:%Z}"
    if start.date() == last.date():
        return f"{start:%b} {start.day}, {start.year}"
    if start.year != last.year:
        return f"{start:%b} {start.day}, {start.year} – {last:%b} {last.day}, {last.year}"
    if start.month != last.month:
        return f"{start:%b} {start.day} – {last:%b} {last.day}, {last.year}"
    return f"{start:%b} {start.day} – {last.day}, {last.year}"


def bin_label(at: dt.datetime, size: Bin) -> str:
    """A bin in a tooltip or table: `Fri, Nov 20`, `Nov 20, 14:00`, `Week of Nov 16`, `November 2026`."""
    if size == "hour":
        return f"{at:%b} {at.day}, {at:%H:%M}"
    if size == "month":
        return f"{at:%B %Y}"
    return f"{at:%a, %b} {at.day}" if size == "day" else f"Week of {at:%b} {at.day}"


def instant(at: dt.datetime) -> str:
    """An instant as it stands in addresses: `2026-11-20T14:30Z`."""
    at = at.astimezone(dt.UTC)
    return (
        f"{at:%Y-%m-%dT%H:%M}Z"
        if not (at.second or at.microsecond)
        else f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
    )
