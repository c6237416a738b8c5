"""What the simulated providers charge: one list of hourly charges, and when each of them becomes visible.

The billing APIs render it, every one in its provider's shapes; `GET /simulator/billing/totals` adds it up exactly, so
that a test can hold what was synced against what was billed.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, TypeVar

from examples.simulator.http import HttpError

HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What one key used of one thing in one hour (UTC), and what that costs. Corrections are further charges (also
    negative ones) with a later `visible_from`; a charge that is taken back has a `visible_until`."""

    at: dt.datetime
    provider: str
    sub_account: str = ""
    sub_account_name: str = ""
    key: str = ""
    key_name: str = ""
    model: str = ""
    tier: str = ""
    # costs.models.billing.TokenClass
    token_class: str = ""
    context_window: str = ""
    region: str = ""
    quantity: Decimal = Decimal(0)
    unit: str = "tokens"
    # How many requests this charge counts; only one charge of a request should.
    requests: int = 0
    amount: Decimal = Decimal(0)
    list_amount: Decimal | None = None
    currency: str = "USD"
    category: str = "usage"
    description: str = ""
    # Credits that came off the amount (Google renders them in their own list).
    credits: Decimal = Decimal(0)
    visible_from: dt.datetime | None = None
    visible_until: dt.datetime | None = None

    def is_visible(self, now: dt.datetime) -> bool:
        return (self.visible_from is None or self.visible_from <= now) and (
            self.visible_until is None or now < self.visible_until
        )


_TIMES = {"at", "visible_from", "visible_until"}
_NUMBERS = {"quantity", "amount", "list_amount", "credits"}
_NAMES = {one.name for one in fields(Charge)}
_charges: list[Charge] = []


def read_charge(document: Any) -> Charge:
    """A charge from JSON: times in ISO 8601, numbers as strings. Raises HttpError 400 naming what is wrong."""
    if not isinstance(document, dict) or set(document) - _NAMES:
        raise HttpError(400, "invalid_request_error", f"A charge has the fields {sorted(_NAMES)}.")
    values = dict(document)
    try:
        for name in _TIMES & set(values):
            if values[name] is not None:
                values[name] = instant(values[name])
        for name in _NUMBERS & set(values):
            if values[name] is not None:
                values[name] = Decimal(str(values[name]))
        return Charge(**values)
    except (ValueError, TypeError, InvalidOperation) as error:
        raise HttpError(400, "invalid_request_error", f"Bad charge {document}: {error}") from None


def instant(text: str) -> dt.datetime:
    """An ISO 8601 time; without a zone it is UTC."""
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def replace(charges: Iterable[Charge]) -> None:
    """From now on there is nothing but `charges`."""
    _charges[:] = charges


def extend(charges: Iterable[Charge]) -> None:
    """More charges, or corrections of those there are."""
    _charges.extend(charges)


def every() -> tuple[Charge, ...]:
    """All of them, visible or not."""
    return tuple(_charges)


def count() -> int:
    return len(_charges)


def visible(
    provider: str,
    now: dt.datetime,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
) -> list[Charge]:
    """What the provider's APIs know at `now` about the hours from `start` (inclusive) to `end`, oldest first."""
    found = [
        charge
        for charge in _charges
        if charge.provider == provider
        and charge.is_visible(now)
        and (start is None or charge.at >= start)
        and (end is None or charge.at < end)
    ]
    return sorted(found, key=lambda charge: charge.at)


Key = TypeVar("Key", bound=Hashable)


def grouped(charges: Iterable[Charge], key: Callable[[Charge], Key]) -> dict[Key, list[Charge]]:
    """Charges by key, in the order the keys first appear."""
    found: dict[Key, list[Charge]] = defaultdict(list)
    for charge in charges:
        found[key(charge)].append(charge)
    return dict(found)


def total(values: Iterable[Decimal]) -> Decimal:
    """The exact sum, however many digits it has."""
    with localcontext(prec=200):
        return sum(values, Decimal(0))


def totals(provider: str, now: dt.datetime, *, without_tiers: Iterable[str] = ()) -> dict[str, Any]:
    """Exact sums of what is visible: money by currency and by UTC day, quantities by token class."""
    left_out = set(without_tiers)
    charges = [one for one in visible(provider, now) if one.tier not in left_out]
    money = grouped(charges, lambda charge: charge.currency)
    days = grouped(charges, lambda charge: charge.at.date().isoformat())
    classes = grouped(charges, lambda charge: charge.token_class)
    return {
        "charges": len(charges),
        "requests": sum(charge.requests for charge in charges),
        "amounts": {
            name: _plain(one.amount for one in found) for name, found in sorted(money.items())
        },
        "days": {name: _plain(one.amount for one in found) for name, found in sorted(days.items())},
        "quantities": {
            name: _plain(one.quantity for one in found) for name, found in sorted(classes.items())
        },
    }


def _plain(values: Iterable[Decimal]) -> str:
    return format(total(values), "f")
