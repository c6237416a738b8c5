"""Times of budgets, in the budget's own zone."""

import datetime as dt

from django import template

from costs.budgets.periods import zone_of

register = template.Library()


@register.filter
def in_zone(moment: dt.datetime, name: str) -> str:
    """`Tue, Nov 17, 14:00 CET`: days and hours of a budget are those of its zone, whoever reads."""
    at = moment.astimezone(zone_of(name))
    return f"{at:%a, %b} {at.day}, {at:%H:%M %Z}"
