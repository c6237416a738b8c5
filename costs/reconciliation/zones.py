"""Which day a call is billed on: the provider's days may begin at another hour than ours (pure)."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

from costs.reconciliation.facts import OUTSIDE, Tokens, Window

# Zones a provider's day is looked for in, when its own does not fit.
LIKELY = (
    "UTC", "America/Los_Angeles", "America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin",
    "Asia/Tokyo", "Asia/Shanghai", "Asia/Singapore", "Australia/Sydney",
)  # fmt: skip
# A zone is taken over the stated one when so many times as much agrees in it.
CLEARLY = 2
FEWEST_AGREEING = 6
FEWEST_DAYS = 3

Quantities = dict[tuple[dt.date, str, str], Fraction]


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
    """The zone whose days the bill's quantities follow: the stated one, unless in another far more days of a model and
    class agree to the token. What is outside, lost or not billed spoils its own days, whatever the zone."""
    billed = _billed(window)
    days = {day for day, _, _ in billed}
    if len(days) < FEWEST_DAYS:
        return window.zone
    stated = _agreeing(billed, window.tokens, window.zone, days)
    if stated == len(billed):
        return window.zone
    counts = {zone: _agreeing(billed, window.tokens, zone, days) for zone in LIKELY}
    best = max(LIKELY, key=lambda zone: counts[zone])
    return best if counts[best] >= max(FEWEST_AGREEING, stated * CLEARLY) else window.zone


def _billed(window: Window) -> Quantities:
    """By usage lines, else by cost lines; keys marked outside left out."""
    outside = {key for key, owner in window.owners.items() if owner == OUTSIDE}
    found: Quantities = defaultdict(Fraction)
    for use in window.uses:
        account, sub_account, key = use.owner_key
        if outside.isdisjoint({use.owner_key, (account, "", key), (account, sub_account, "")}):
            found[use.day, use.model, use.token_class] += Fraction(use.quantity)
    if not found:
        for charge in window.charges:
            if charge.quantity is not None and charge.model:
                place = (charge.day, charge.model, charge.token_class)
                found[place] += Fraction(charge.quantity)
    return {place: quantity for place, quantity in found.items() if quantity}


def _agreeing(
    billed: Quantities, tokens: Sequence[Tokens], zone: str, days: Collection[dt.date]
) -> int:
    """How many days of a model and class agree to the token."""
    recorded: Quantities = defaultdict(Fraction)
    for one in tokens:
        day = billing_day(one.hour, zone)
        if day in days:
            recorded[day, one.model, one.token_class] += one.quantity
    return sum(recorded.get(place) == quantity for place, quantity in billed.items())
