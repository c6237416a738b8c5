"""Time ranges: presets, custom instants, the period before, whole hours, bins and refusals."""

import datetime as dt

import pytest

from core.ranges import (
    InvalidRangeError,
    TimeRange,
    bin_label,
    make_range,
    parse_instant,
    parse_range,
)

NOW = dt.datetime(2026, 11, 20, 14, 37, 12, tzinfo=dt.UTC)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("15m", "2026-11-20T14:22:12"),
        ("1h", "2026-11-20T13:37:12"),
        ("24h", "2026-11-19T14:37:12"),
        ("7d", "2026-11-13T14:37:12"),
        ("30d", "2026-10-21T14:37:12"),
        ("90d", "2026-08-22T14:37:12"),
        ("mtd", "2026-11-01T00:00:00"),
        ("", "2026-11-01T00:00:00"),
    ],
)
def test_preset_ends_now(text: str, start: str) -> None:
    found = parse_range(text, now=NOW)
    assert (found.start, found.end, found.is_preset) == (at(start), NOW, True)


def test_custom_range_reads_zones_and_keeps_its_key() -> None:
    found = parse_range("2026-11-01T02:00+02:00..2026-11-20T14:30Z", now=NOW)
    assert (found.start, found.end) == (at("2026-11-01T00:00:00"), at("2026-11-20T14:30:00"))
    assert found.key == "2026-11-01T00:00Z..2026-11-20T14:30Z"
    assert parse_range(found.key, now=NOW) == found


def test_offset_whose_plus_became_a_space_is_read() -> None:
    assert parse_instant("2026-11-01T02:00:00 02:00", "range") == at("2026-11-01T00:00:00")


def test_bare_end_date_means_the_whole_day() -> None:
    found = parse_range("2026-11-01..2026-11-03", now=NOW)
    assert (found.start, found.end) == (at("2026-11-01T00:00:00"), at("2026-11-04T00:00:00"))


def test_seconds_survive_the_url() -> None:
    found = make_range(at("2026-11-01T00:00:01"), at("2026-11-01T00:00:02.500000"))
    assert parse_range(found.explicit, now=NOW) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yesterday", "range is 'yesterday'; it must be one of 15m, 1h"),
        ("2026-11-20..2026-11-01", "must be after the start"),
        ("2026-11-01T10:00Z..2026-11-01T10:00Z", "must be after the start"),
        ("2025-01-01..2026-11-01", "at most 400 days"),
        ("2026-13-01..2026-11-01", "range is '2026-13-01'; it must be a date"),
        ("..", "range is ''; it must be a date"),
        ("0001-01-01..0001-01-02", "after 1970"),
        ("9999-12-31..9999-12-31", "after 1970"),
        ("0001-01-01T00:00+23:00..2026-01-01", "after 1970"),
        ("x" * 5000, "range is 'xxx"),
    ],
)
def test_what_is_no_range_is_refused_with_the_rule(text: str, words: str) -> None:
    with pytest.raises(InvalidRangeError) as caught:
        parse_range(text, now=NOW)
    assert words in caught.value.detail
    assert caught.value.fields == ("range",)
    assert len(caught.value.detail) < 300


def test_month_to_date_compares_with_the_same_days_of_the_month_before() -> None:
    before = parse_range("mtd", now=NOW).previous()
    assert (before.start, before.end) == (at("2026-10-01T00:00:00"), at("2026-10-20T14:37:12"))
    march = parse_range("mtd", now=at("2027-03-31T12:00:00")).previous()
    assert (march.start, march.end) == (at("2027-02-01T00:00:00"), at("2027-03-01T00:00:00"))
    january = parse_range("mtd", now=at("2027-01-02T00:00:00")).previous()
    assert (january.start, january.end) == (at("2026-12-01T00:00:00"), at("2026-12-02T00:00:00"))


def test_other_ranges_compare_with_the_same_length_before() -> None:
    before = parse_range("2026-11-01..2026-11-03", now=NOW).previous()
    assert (before.start, before.end) == (at("2026-10-29T00:00:00"), at("2026-11-01T00:00:00"))


@pytest.mark.parametrize(
    ("text", "start", "end", "bins"),
    [
        ("15m", "2026-11-20T14:00:00", "2026-11-20T15:00:00", 1),
        ("1h", "2026-11-20T13:00:00", "2026-11-20T15:00:00", 2),
        ("24h", "2026-11-19T15:00:00", "2026-11-20T15:00:00", 24),
        ("7d", "2026-11-14T00:00:00", "2026-11-20T15:00:00", 7),
        ("30d", "2026-10-22T00:00:00", "2026-11-20T15:00:00", 30),
        ("mtd", "2026-11-01T00:00:00", "2026-11-20T15:00:00", 20),
        ("2026-11-01T10:20Z..2026-11-01T12:00Z", "2026-11-01T10:00:00", "2026-11-01T12:00:00", 2),
    ],
)
def test_whole_hours_and_their_bins(text: str, start: str, end: str, bins: int) -> None:
    found = parse_range(text, now=NOW).whole_hours()
    assert (found.start, found.end, len(found.bins())) == (at(start), at(end), bins)


def test_bin_size_follows_the_length() -> None:
    sizes = [
        parse_range(text, now=NOW).bin
        for text in ("2026-11-01..2026-11-02", "2026-11-01..2026-11-03", "90d")
    ]
    assert sizes == ["hour", "day", "day"]
    assert parse_range("2026-01-01..2026-11-01", now=NOW).bin == "week"


def test_weeks_begin_on_monday_and_a_bin_is_cut_at_the_range() -> None:
    found = TimeRange(at("2026-01-01T00:00:00"), at("2026-11-20T15:00:00"), "")
    first = found.bins()[0]
    assert first == at("2025-12-29T00:00:00")
    assert found.bin_range(first).key == "2026-01-01T00:00Z..2026-01-05T00:00Z"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("2026-11-01..2026-11-20", "Nov 1 – 20, 2026"),
        ("2026-10-30..2026-11-02", "Oct 30 – Nov 2, 2026"),
        ("2025-12-30..2026-01-02", "Dec 30, 2025 – Jan 2, 2026"),
        ("2026-11-01..2026-11-01", "Nov 1, 2026"),
        ("2026-11-01T10:00Z..2026-11-01T12:30Z", "Nov 1, 10:00 – 12:30 UTC"),
        ("2026-11-01T22:00Z..2026-11-02T02:00Z", "Nov 1, 22:00 – Nov 2, 02:00 UTC"),
        ("mtd", "Month to date"),
    ],
)
def test_labels(text: str, label: str) -> None:
    assert parse_range(text, now=NOW).label == label


def test_bin_labels() -> None:
    monday = at("2026-11-16T00:00:00")
    assert [bin_label(monday, size) for size in ("hour", "day", "week")] == [
        "Nov 16, 00:00",
        "Mon, Nov 16",
        "Week of Nov 16",
    ]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("2026-11-01..2026-11-20", "2026-10-01T00:00Z..2026-10-21T00:00Z"),
        ("2026-03-01..2026-03-31", "2026-02-01T00:00Z..2026-03-01T00:00Z"),
        ("2026-03-30..2026-03-30", "2026-02-28T00:00Z..2026-03-01T00:00Z"),
        ("2026-01-10T06:00Z..2026-01-11T06:00Z", "2025-12-10T06:00Z..2025-12-11T06:00Z"),
        ("2026-06-01..2026-08-29", "2026-03-03T00:00Z..2026-06-01T00:00Z"),
    ],
)
def test_same_days_of_the_month_before(text: str, before: str) -> None:
    assert parse_range(text, now=NOW).month_before().explicit == before


def test_months_are_bins_of_their_own_length() -> None:
    found = parse_range("2026-01-15..2026-03-10", now=NOW)
    assert [f"{edge:%m-%d}" for edge in found.edges("month")] == [
        "01-01",
        "02-01",
        "03-01",
        "04-01",
    ]
    assert found.bin_range(found.bins("month")[0], "month").key == (
        "2026-01-15T00:00Z..2026-02-01T00:00Z"
    )
    assert bin_label(at("2026-02-01T00:00:00"), "month") == "February 2026"
