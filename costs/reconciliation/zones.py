"""Which day a call is billed on: the provider's days may begin at another hour than ours (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

from costs.reconciliation.facts import Tokens, Window

# Zones a provider's day is looked for in, when its own does not fit.
LIKELY = (
    "UTC", "America/Los_Angeles", "America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin",
    "Asia/Tokyo", "Asia/Shanghai", "Asia/Singapore", "Australia/Sydney",
)  # fmt: skip
# A zone is taken over the stated one when it leaves at most this share of the stated one's misfit.
CLEARLY = Fraction(1, 5)
FEWEST_DAYS = 3


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=100_000)
def billing_day(hour: dt.datetime, zone: str) -> dt.date:
    """The day of `zone` an hour lies in."""
    return hour.date() if zone == "UTC" else hour.astimezone(_zone(zone)).date()


def day_end(day: dt.date, zone: str) -> dt.datetime:
    """The first moment after a billing day."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), _zone(zone))


def fitting_zone(window: Window) -> str:
    """The zone whose days the bill's quantities follow: the stated one, unless another leaves a fraction of its
    misfit."""
    billed: dict[tuple[dt.date, str, str], Fraction] = defaultdict(Fraction)
    for use in window.uses:
        billed[use.day, use.model, use.token_class] += Fraction(use.quantity)
    if not billed:
        for charge in window.charges:
            if charge.quantity is not None and charge.model:
                place = (charge.day, charge.model, charge.token_class)
                billed[place] += Fraction(charge.quantity)
    days = sorted({day for day, _, _ in billed})
    if len(days) < FEWEST_DAYS:
        return window.zone
    stated = _misfit(billed, window.tokens, window.zone, days)
    if not stated:
        return window.zone
    best = min(LIKELY, key=lambda zone: _misfit(billed, window.tokens, zone, days))
    return best if _misfit(billed, window.tokens, best, days) <= stated * CLEARLY else window.zone


def _misfit(
    billed: dict[tuple[dt.date, str, str], Fraction],
    tokens: Sequence[Tokens],
    zone: str,
    days: Sequence[dt.date],
) -> Fraction:
    """How far both sides' days are from one another once each side's sum over all days is made the same: what is
    outside, lost or not billed weighs on every zone alike."""
    recorded: dict[tuple[dt.date, str, str], Fraction] = defaultdict(Fraction)
    wanted = set(days)
    for one in tokens:
        day = billing_day(one.hour, zone)
        if day in wanted:
            recorded[day, one.model, one.token_class] += one.quantity
    return sum(
        (
            abs(billed.get(place, Fraction(0)) - recorded.get(place, Fraction(0)))
            for place in {*billed, *recorded}
        ),
        Fraction(0),
    )
