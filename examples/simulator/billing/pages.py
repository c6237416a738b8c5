"""Days, parameters and pages as the billing APIs share them."""

import datetime as dt
from collections.abc import Sequence
from typing import TypeVar

from examples.simulator.billing import faults, world
from examples.simulator.billing.world import Charge
from examples.simulator.http import HttpError, Request

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
WIDTHS = {"1d": DAY, "1h": HOUR}
Item = TypeVar("Item")


def buckets(
    start: dt.datetime, end: dt.datetime, width: dt.timedelta
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The bounds of every bucket that begins in [start, end), snapped down to whole ones of UTC."""
    step = int(width.total_seconds())
    at = dt.datetime.fromtimestamp(int(start.timestamp()) // step * step, dt.UTC)
    found = []
    while at < end:
        found.append((at, at + width))
        at += width
    return found


def filled(
    provider: str, chosen: Sequence[tuple[dt.datetime, dt.datetime]]
) -> list[tuple[dt.datetime, dt.datetime, list[Charge]]]:
    """Buckets that follow each other, with the charges visible in them."""
    if not chosen:
        return []
    first, width = chosen[0][0], chosen[0][1] - chosen[0][0]
    charges = world.visible(provider, faults.clock(), first, chosen[-1][1])
    by_number = world.grouped(charges, lambda charge: (charge.at - first) // width)
    return [(start, end, by_number.get((start - first) // width, [])) for start, end in chosen]


def groups_of(request: Request, allowed: Sequence[str]) -> list[str]:
    """`group_by` with and without brackets. Raises HttpError 400 for one that is not allowed."""
    groups = request.values("group_by[]") + request.values("group_by")
    if wrong := [one for one in groups if one not in allowed]:
        raise HttpError(
            400,
            "invalid_request_error",
            f"Invalid group_by: {', '.join(wrong)}. Supported values are: {', '.join(allowed)}.",
        )
    return groups


def limit_of(request: Request, default: int, most: int) -> int:
    """`limit`. Raises HttpError 400 out of bounds."""
    text = (request.values("limit") or [str(default)])[-1]
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise HttpError(400, "invalid_request_error", f"limit must be between 1 and {most}.")
    return faults.page_size(int(text))


def page_of(
    provider: str, request: Request, items: Sequence[Item], size: int
) -> tuple[list[Item], str | None]:
    """The items of the page that `page` names, and the name of the next one. Raises HttpError 400."""
    name = (request.values("page") or ["page_0"])[-1]
    number = name.removeprefix("page_")
    if not number.isdecimal():
        raise HttpError(400, "invalid_request_error", f"Invalid page: {name}.")
    start = int(number)
    if faults.loops(provider, request):
        return list(items[:size]), f"page_{size}"
    rest = start + size < len(items)
    return list(items[start : start + size]), f"page_{start + size}" if rest else None
