"""What a billing plugin is: the lines it gives, the errors it raises, the calls it answers. Pure.

A plugin knows one provider's billing API and nothing of the database: it is handed a guarded client, opened
credentials and plain settings, and gives back every line of some billing days. Amounts and quantities are `Decimal`
from the reply's own digits.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Protocol, TypeVar

from core.access_fields import Field
from core.http import OutboundClient

# More than any bill; a larger figure is no amount but a mistake.
LARGEST = Decimal(10) ** 18


@dataclass(frozen=True, kw_only=True)
class Line:
    """What cost lines and usage lines say alike; the names are costs.models.billing.BilledModel's."""

    # The billing day in the provider's zone, and the bucket's bounds.
    day: dt.date
    starts_at: dt.datetime
    ends_at: dt.datetime
    source: str
    provider: str
    sub_account_id: str = ""
    sub_account_name: str = ""
    provider_key_id: str = ""
    provider_key_name: str = ""
    model: str = ""
    service_tier: str = ""
    token_class: str = ""
    context_window: str = ""
    region: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    requests: int | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it this line and no other, whatever it is about to cost."""
        return (
            self.starts_at.isoformat(),
            self.ends_at.isoformat(),
            self.provider,
            self.sub_account_id,
            self.provider_key_id,
            self.model,
            self.service_tier,
            self.token_class,
            self.context_window,
            self.region,
            self.unit,
        )

    @property
    def natural_key(self) -> str:
        """The identity as 40 hex digits: a later reading of the same line has the same."""
        text = json.dumps(self.identity, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True, kw_only=True)
class CostLine(Line):
    """One line of a bill: money."""

    amount: Decimal
    currency: str
    list_amount: Decimal | None = None
    # costs.models.billing.ChargeCategory
    category: str = "usage"
    # The provider's own words: line item, meter, SKU.
    description: str = ""
    sku_id: str = ""
    is_allocated: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        return (
            *super().identity,
            "cost",
            self.category,
            self.description,
            self.sku_id,
            self.currency,
        )


@dataclass(frozen=True, kw_only=True)
class UsageLine(Line):
    """One line of a usage report: a quantity without money."""


LineT = TypeVar("LineT", bound=Line)


def merged(lines: Iterable[LineT]) -> list[LineT]:
    """One line per identity: what a provider gives in parts (or we cannot tell apart) is added up. A part whose
    quantity is unknown makes the sum's unknown; amounts are always known."""
    found: dict[str, LineT] = {}
    for line in lines:
        key = line.natural_key
        found[key] = _sum(found[key], line) if key in found else line
    return list(found.values())


def _sum(one: LineT, other: LineT) -> LineT:
    changes: dict[str, Any] = {
        "quantity": _added(one.quantity, other.quantity),
        "requests": _added(one.requests, other.requests),
    }
    if isinstance(one, CostLine) and isinstance(other, CostLine):
        changes["amount"] = _added(one.amount, other.amount)
        changes["list_amount"] = _added(one.list_amount, other.list_amount)
        changes["is_allocated"] = one.is_allocated or other.is_allocated
    return replace(one, **changes)


def _added(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return None
    with localcontext(prec=100):
        return one + other


def decimal_of(value: Any, what: str) -> Decimal:
    """A number of a reply, written as a number or as text, digit for digit. Raises Permanent naming it."""
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or abs(number) >= LARGEST:
        raise Permanent(f"The provider's reply holds {str(value)[:60]!r} as {what}.", "unreadable")
    return number


def optional_decimal(value: Any, what: str) -> Decimal | None:
    """The same; None stays unknown."""
    return None if value is None else decimal_of(value, what)


@dataclass(frozen=True)
class Checked:
    """What a live check of a connection found."""

    account_name: str = ""
    # Whose bill it is, by whatever credentials it is read; what lies within it follows a slash. Empty: nobody says.
    account_id: str = ""
    # The slices of it that are read, spelt alike whoever asks. Empty: all of it.
    account_slices: tuple[str, ...] = ()
    # What the credentials see, in words.
    scope: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Every line of the days asked for."""

    costs: list[CostLine]
    usage: list[UsageLine]
    # How many HTTP requests it took.
    requests: int = 0
    # From here on the provider says more will come; None: it does not say.
    data_through: dt.datetime | None = None


class ProviderError(Exception):
    """The provider did not give what was asked; the words are for people and hold no secret once redacted."""

    def __init__(self, message: str, *, requests: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.requests = requests


class Retryable(ProviderError):
    """Worth another try, at the earliest after `retry_after_s` if the provider said so."""

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, requests: int = 0
    ) -> None:
        super().__init__(message, requests=requests)
        self.retry_after_s = retry_after_s


class Permanent(ProviderError):
    """Another try gives the same: somebody has to change something. `code`: unauthorized, forbidden, not_found,
    refused, unreadable."""

    def __init__(self, message: str, code: str = "refused", *, requests: int = 0) -> None:
        super().__init__(message, requests=requests)
        self.code = code


Credentials = dict[str, str]
Settings = dict[str, Any]


class BillingPlugin(Protocol):
    """One provider's billing API. Stateless; raises Retryable and Permanent, nothing else on purpose."""

    # As ProviderConnection.provider names it, and for people.
    provider: str
    label: str
    # What to ask for, secrets and settings in the order of the form.
    fields: tuple[Field, ...]
    # How many finished days may still change: each scheduled sync reads them again.
    overlap_days: int
    # How many days one `read` may ask for; keep it well under 20 s of answers.
    days_per_read: int

    def time_zone(self, settings: Settings) -> str:
        """The zone of the provider's billing days, as zoneinfo names it."""
        ...

    def check(
        self, client: OutboundClient, credentials: Credentials, settings: Settings
    ) -> Checked:
        """Ask for as little as shows that the credentials may read the bill."""
        ...

    def read(
        self,
        client: OutboundClient,
        credentials: Credentials,
        settings: Settings,
        first_day: dt.date,
        end_day: dt.date,
    ) -> Reading:
        """Every line of the billing days [first_day, end_day): all pages, bounded."""
        ...
