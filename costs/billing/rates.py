"""What a billed amount is worth in US dollars, by the dated rates that operators keep. Unknown stays unknown.

A rate holds from its day until the next one of its currency. The US dollar is 1 and has no row.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal, localcontext

from django.db import connection

from costs.models import CurrencyRate

USD = "USD"
ONE = Decimal(1)
# As BilledCost.amount_usd keeps it.
PLACES = Decimal(1).scaleb(-18)
# Held shared by whoever converts and writes, alone by whoever converts again: a line is never left at a rate that was
# replaced between its conversion and its commit.
_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtext('costs.currency_rates'))"
_LOCK_ALONE = "SELECT pg_advisory_xact_lock(hashtext('costs.currency_rates'))"


class Rates:
    """The rates of some currencies, read once. Use it in the transaction that writes what it converted."""

    def __init__(self, rows: Iterable[tuple[str, dt.date, Decimal]]) -> None:
        self._days: dict[str, list[dt.date]] = {}
        self._rates: dict[str, list[Decimal]] = {}
        for currency, day, rate in sorted(rows):
            self._days.setdefault(currency, []).append(day)
            self._rates.setdefault(currency, []).append(rate)

    def rate_for(self, currency: str, day: dt.date) -> Decimal | None:
        """US dollars per unit on `day`; None when nobody has set one for that day."""
        if currency == USD:
            return ONE
        place = bisect_right(self._days.get(currency, ()), day)
        return self._rates[currency][place - 1] if place else None

    def convert(self, amount: Decimal, currency: str, day: dt.date) -> Decimal | None:
        """The amount in US dollars to eighteen decimals, halves away from zero as PostgreSQL rounds; None without a
        rate."""
        rate = self.rate_for(currency, day)
        if rate is None:
            return None
        if currency == USD:
            return amount
        with localcontext(prec=80):
            return (amount * rate).quantize(PLACES, rounding=ROUND_HALF_UP)


def current_rates(currencies: Iterable[str] | None = None) -> Rates:
    """The rates as they are now, of all currencies or these. Two queries; none when only US dollars are asked for."""
    rows = CurrencyRate.objects.all()
    if currencies is not None:
        wanted = set(currencies) - {USD}
        if not wanted:
            return Rates([])
        rows = rows.filter(currency__in=wanted)
    hold_rates()
    return Rates(rows.values_list("currency", "valid_from", "usd_per_unit"))


def hold_rates(*, alone: bool = False) -> None:
    """Until the end of the transaction: converting again waits for whoever converts, and the other way round."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ALONE if alone else _LOCK)


def rate_for(currency: str, day: dt.date) -> Decimal | None:
    """US dollars per unit of `currency` on `day`. Two queries; none for the US dollar."""
    return current_rates([currency]).rate_for(currency, day)


def convert(amount: Decimal, currency: str, day: dt.date) -> Decimal | None:
    """One amount in US dollars, None without a rate. Two queries; for many lines take `current_rates` once."""
    return current_rates([currency]).convert(amount, currency, day)


def missing_words(currency: str, day: dt.date) -> str:
    """What a page says instead of an amount it cannot convert."""
    return f"No rate for {currency} on {day}; an operator can set one in admin."
