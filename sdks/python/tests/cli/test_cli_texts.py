"""Times, amounts and texts as the command line reads and writes them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from llmlab.cli import output
from llmlab.cli.errors import CliError
from llmlab.cli.imports import units
from llmlab.cli.spans_of_time import read_expiry, read_since

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", "2026-10-22T12:00:00+00:00"),
        ("90m", "2026-11-21T10:30:00+00:00"),
        ("2w", "2026-11-07T12:00:00+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T09:00Z", "2026-11-01T09:00:00+00:00"),
        ("2026-11-01T09:00+02:00", "2026-11-01T07:00:00+00:00"),
    ],
)
def test_since_is_a_length_or_a_time(text: str, expected: str) -> None:
    assert read_since(text, now=NOW).isoformat() == expected


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "500d", "yesterday", "-1h", "1y"])
def test_a_since_that_is_none_is_named(text: str) -> None:
    with pytest.raises(CliError) as caught:
        read_since(text, now=NOW)
    assert repr(text) in caught.value.message


def test_an_expiry_lies_ahead() -> None:
    assert read_expiry("30d", now=NOW) == NOW + dt.timedelta(days=30)
    with pytest.raises(CliError, match="ahead"):
        read_expiry("2020-01-01", now=NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.000000000001", "$0.000000000001"),
        ("12345678901234567890.123456789", "$12345678901234567890.123456789"),
        ("1.50", "$1.5"),
        ("0", "$0"),
        ("100", "$100"),
        ("-2.10", "-$2.1"),
        (None, "–"),
        ("nonsense", "–"),
        (0.1, "–"),
    ],
)
def test_money_keeps_every_digit_and_was_never_a_float(value: Any, expected: str) -> None:
    assert output.money(value) == expected


def test_a_name_cannot_steer_the_terminal() -> None:
    assert output.clean("a\x1b]0;owned\x07b\nc\u202ed") == "a�]0;owned�b�c�d"


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "0 ms"),
        (840.2, "840 ms"),
        (1840, "1.84 s"),
        (185_000, "3 m 05 s"),
        (7_800_000, "2 h 10 m"),
        (None, "–"),
    ],
)
def test_lengths(ms: Any, expected: str) -> None:
    assert output.length(ms) == expected


def test_numbers_of_a_file_keep_their_digits() -> None:
    read = units.load('{"cost": 0.1234567890123456789, "n": NaN, "e": 4.5e-4}')
    assert units.decimal_text(read["cost"], "cost") == "0.1234567890123456789"
    assert units.decimal_text(read["e"], "e") == "0.00045"
    assert read["n"] == "NaN"
    with pytest.raises(units.RowError, match="cost is 'NaN'"):
        units.decimal_text(read["n"], "cost")


@pytest.mark.parametrize("value", ["-1", "1.5", "x", True, "1e400"])
def test_a_count_that_is_none_is_named(value: Any) -> None:
    if value == "1e400":
        assert units.whole(value, "n") == int(Decimal(value))
        return
    with pytest.raises(units.RowError, match="n is"):
        units.whole(value, "n")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T09:00:00Z",
        "2026-11-21 09:00:00",
        "2026-11-21T10:00:00+01:00",
        "2026-11-21 09:00:00.000 UTC",
        1795251600,
        "1795251600",
        1795251600000,
    ],
)
def test_times_of_every_spelling(value: Any) -> None:
    found = units.moment(value, "t")
    assert units.stamp(found) == "2026-11-21T09:00:00Z"


def test_fractions_of_a_second_are_read_on_every_python() -> None:
    assert (
        units.stamp(units.moment("2026-11-21T09:00:00.12Z", "t")) == "2026-11-21T09:00:00.120000Z"
    )
    assert (
        units.stamp(units.moment("2026-11-21T09:00:00.123456789Z", "t"))
        == "2026-11-21T09:00:00.123456Z"
    )
