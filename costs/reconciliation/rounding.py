"""How sharp a billed amount is, and the plainest price that explains it (pure, exact fractions)."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

# A provider's amount is often a float's digits: what is smaller than this share of it says nothing.
FLOAT_NOISE = Fraction(1, 10**11)
# Finer than anybody's last place.
FINEST = 18
PER_MILLION = 10**6


def places_of(amount: Decimal) -> int:
    """Decimals of an amount, trailing zeros left out."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def last_place(amounts: Iterable[Decimal]) -> Fraction:
    """One unit of the last decimal a bill states: of the line that states most."""
    return Fraction(1, 10 ** min(max((places_of(one) for one in amounts), default=0), FINEST))


@dataclass(frozen=True, slots=True)
class Span:
    """The true value lies between, or is an end."""

    low: Fraction
    high: Fraction

    def __contains__(self, value: Fraction) -> bool:
        return self.low <= value <= self.high

    def meet(self, other: "Span") -> "Span | None":
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Span(low, high) if low <= high else None

    def divided_by(self, value: Fraction) -> "Span":
        ends = (self.low / value, self.high / value)
        return Span(min(ends), max(ends))

    @property
    def middle(self) -> Fraction:
        return (self.low + self.high) / 2

    @property
    def width(self) -> Fraction:
        return self.high - self.low


def span_of(amount: Fraction, tolerance: Fraction, divisor: Fraction) -> Span:
    """What amount / divisor can be."""
    return Span(amount - tolerance, amount + tolerance).divided_by(divisor)


def plainest(span: Span, *, scale: int = PER_MILLION, most: int = 15) -> Fraction:
    """The value with the fewest decimals per `scale` units inside the span, else its middle."""
    low, high = span.low * scale, span.high * scale
    for places in range(most + 1):
        unit = 10**places
        rounded = round(span.middle * scale * unit)
        for candidate in (rounded, rounded - 1, rounded + 1):
            value = Fraction(candidate, unit)
            if low <= value <= high:
                return value / scale
    return span.middle
