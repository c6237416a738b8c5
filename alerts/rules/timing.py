"""Until when a rule is muted: an hour, a day, or an instant that a person or program names."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from alerts.rules.reading import invalid
from core import person_formats
from core.ranges import parse_instant, utc_text

SPANS = {
    "1h": dt.timedelta(hours=1),
    "1d": dt.timedelta(days=1),
    "7d": dt.timedelta(days=7),
}
LONGEST = dt.timedelta(days=366)


def muted_until(data: Mapping[str, Any], now: dt.datetime) -> dt.datetime | None:
    """Of a form: `for` is 1h, 1d, 7d, until (with `until` in the reader's zone) or none. Raises DomainError."""
    span = str(data.get("for", ""))
    if span == "none":
        return None
    if span in SPANS:
        return now + SPANS[span]
    if span != "until":
        raise invalid("for", span, "1h, 1d, 7d, until or none")
    given = str(data.get("until", ""))[:40]
    if not given:
        raise invalid("until", "", "the day and time until which nobody is told")
    return within(parse_instant(utc_text(given, person_formats.zone()), "until"), now)


def within(until: dt.datetime, now: dt.datetime) -> dt.datetime:
    """An instant to come, within a year. Raises InvalidRuleError."""
    if not now < until <= now + LONGEST:
        raise invalid("until", until.isoformat(), "after now and at most a year ahead")
    return until
