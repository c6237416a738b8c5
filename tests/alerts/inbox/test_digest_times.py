"""Digests are due by the reader's wall clock, also across changes of the clocks."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.inbox.digest_times import before, next_slot, words_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


def test_daily_keeps_its_hour_when_the_clocks_change():
    slots = [at("2026-10-23T07:00")]
    for _ in range(3):
        slots.append(next_slot("daily", hour=8, weekday=0, zone=BERLIN, after=slots[-1]))
    assert [f"{one:%d %H}" for one in slots] == ["23 07", "24 06", "25 07", "26 07"]
    assert before("daily", slots[2], BERLIN) == slots[1]


def test_an_hour_that_is_skipped_or_repeated_is_one_slot():
    skipped = next_slot("daily", hour=2, weekday=0, zone=BERLIN, after=at("2026-03-28T12:00"))
    assert skipped == at("2026-03-29T01:00")
    repeated = next_slot("daily", hour=2, weekday=0, zone=BERLIN, after=at("2026-10-24T12:00"))
    assert repeated == at("2026-10-25T00:00")
    following = next_slot("daily", hour=2, weekday=0, zone=BERLIN, after=repeated)
    assert following == at("2026-10-26T01:00")


def test_weekly_is_on_its_day_and_none_is_never():
    found = next_slot("weekly", hour=8, weekday=0, zone=BERLIN, after=at("2026-11-21T20:00"))
    assert found == at("2026-11-23T07:00")
    assert before("weekly", found, BERLIN) == at("2026-11-16T07:00")
    assert next_slot("none", hour=8, weekday=0, zone=BERLIN, after=found) is None
    assert (
        words_of("weekly", hour=8, weekday=0, zone=BERLIN)
        == "every Monday at 08:00 (Europe/Berlin)"
    )
    assert words_of("none", hour=8, weekday=0, zone=BERLIN) == "never"
    assert zone_of("Mars/Olympus") is dt.UTC


@settings(max_examples=60)
@given(
    digest=st.sampled_from(["daily", "weekly"]),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 2 * 365 * 24 * 60),
)
def test_slots_follow_one_another_without_gap_or_overlap(digest, hour, weekday, zone, minutes):
    place, after = ZoneInfo(zone), at("2026-01-01T00:00") + dt.timedelta(minutes=minutes)
    first = next_slot(digest, hour=hour, weekday=weekday, zone=place, after=after)
    second = next_slot(digest, hour=hour, weekday=weekday, zone=place, after=first)
    days = 7 if digest == "weekly" else 1
    assert after < first < second
    assert abs(second - first - dt.timedelta(days=days)) <= dt.timedelta(hours=1)
    local = second.astimezone(place)
    assert local.hour == hour or local.utcoffset() != (local - dt.timedelta(hours=3)).utcoffset()


def test_unknown_digest_is_no_slot():
    with pytest.raises(ValueError, match="hour"):
        next_slot("daily", hour=24, weekday=0, zone=dt.UTC, after=at("2026-01-01T00:00"))
