"""What reconciliation reads and answers (pure): frozen rows of both ledgers, and cells with their causes."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

# The owner of a bill's key that carries nobody's calls here (BillingMapping.is_outside).
OUTSIDE = "outside"
# The price per unit of (model, tier, token class) that the organisation's rules and the catalogue give on a day.
PriceOf = Callable[[str, str, str, dt.date], Decimal | None]
Key = tuple[str, str, str]  # account, sub-account, API key


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Cost lines of one bucket that differ in nothing asked about here, summed; `lines` is how many."""

    account: str
    day: dt.date
    model: str = ""
    tier: str = ""  # empty: the provider does not say
    token_class: str = ""
    sub_account: str = ""
    key: str = ""
    quantity: Decimal | None = None
    requests: int | None = None
    amount: Decimal
    list_amount: Decimal | None = None
    currency: str = "USD"
    amount_usd: Decimal | None
    category: str = "usage"
    words: str = ""
    lines: int = 1
    # Divided by usage after it was read (BilledCost.is_allocated).
    is_allocated: bool = False

    @property
    def owner_key(self) -> Key:
        return (self.account, self.sub_account, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Usage lines of one bucket, summed. `hour` is None where the provider counts by day."""

    account: str
    day: dt.date
    hour: dt.datetime | None = None
    model: str = ""
    tier: str = ""
    token_class: str = ""
    sub_account: str = ""
    key: str = ""
    quantity: Decimal
    requests: int | None = None

    @property
    def owner_key(self) -> Key:
        return (self.account, self.sub_account, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What calls of one hour, project, model and tier used of one token class, and what we charged for it."""

    hour: dt.datetime
    project: str
    model: str
    tier: str
    token_class: str
    quantity: int
    cost_usd: Decimal | None  # None: unpriced
    # The tier has no price of its own here, so that the standard one was taken.
    is_tier_guessed: bool = False
    # The programs stated the cost themselves.
    is_stated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls behind them. `cost_usd` is what the ledger says, and what pages show as recorded."""

    hour: dt.datetime
    project: str
    model: str
    tier: str
    calls: int
    without_usage: int = 0
    # Of those without usage, the ones that failed: a provider may or may not count them.
    failed: int = 0
    estimated: int = 0
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Some days of one provider. Rows of recorded calls reach a day further on both sides."""

    provider: str
    days: tuple[dt.date, ...]
    charges: tuple[Charge, ...] = ()
    uses: tuple[Use, ...] = ()
    tokens: tuple[Tokens, ...] = ()
    calls: tuple[Calls, ...] = ()
    # The provider's billing days are days of this zone.
    zone: str = "UTC"
    # From here on more will come: None, all is there.
    complete_through: dt.datetime | None = None
    # Days that end later than this may still be corrected.
    settled_before: dt.datetime | None = None
    # Sub-accounts and keys → project id or OUTSIDE; an empty sub-account or key stands for any.
    owners: Mapping[Key, str] = field(default_factory=dict)
    price_of: PriceOf = lambda model, tier, token_class, day: None
    # US dollars per unit of the bill's currencies by our table, where it is not 1.
    rates: Mapping[tuple[str, dt.date], Decimal] = field(default_factory=dict)
    # Unit prices the same month's bill showed before.
    known_prices: Mapping[tuple[str, str, str], Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    kind: str
    amount_usd: Decimal
    evidence: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a cell's detail."""

    project: str = ""
    sub_account: str = ""
    key: str = ""
    tier: str = ""
    token_class: str = ""
    billed_quantity: Decimal | None = None
    billed_usd: Decimal | None = None
    recorded_quantity: Decimal | None = None
    recorded_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSeen:
    """What the bill says about one unit price. `ours` is what calls were charged with, `billed` what the bill shows
    with currency and contract discount taken out; `is_sharp`: known to a thousandth at least."""

    tier: str
    token_class: str
    quantity: Decimal
    amount_usd: Decimal
    ours: Decimal | None
    billed: Decimal
    is_same: bool
    is_sharp: bool


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One UTC day of one model. billed − recorded = Σ causes + unexplained, exactly."""

    day: dt.date
    model: str
    billed_usd: Decimal
    recorded_usd: Decimal
    matched_usd: Decimal
    unexplained_usd: Decimal
    causes: tuple[Cause, ...]
    lines: tuple[Line, ...]
    prices: tuple[PriceSeen, ...]
    unconverted: Mapping[str, Decimal]
    is_settled: bool
    calls: int
    requests: int | None
