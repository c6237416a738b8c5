"""A planned workload: what one task asks of which models, how many tasks, and what it costs besides (pure)."""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from costs.usage import Usage

HUNDRED = Decimal(100)
THOUSAND = Decimal(1000)
ONE = Decimal(1)
MAX_PARTS = 8
MAX_LINES = 6
MAX_COMPARED = 12
MAX_MONTHS = 36
MAX_TASKS = 10**12
MAX_TOKENS = 10**8
Per = Literal["month", "thousand"]


@dataclass(frozen=True)
class Part:
    """One kind of call a task makes. `calls` per task may be a fraction: 0.2 is one task in five, 20 % of a mix."""

    model: str  # "provider/model"
    calls: Decimal
    input_tokens: int
    output_tokens: int
    # Of the input, in percent: read from a cache, and written to one.
    cache_read_percent: Decimal = Decimal(0)
    cache_write_percent: Decimal = Decimal(0)

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0] if "/" in self.model else ""

    @property
    def model_name(self) -> str:
        return self.model.partition("/")[2] if "/" in self.model else self.model

    @property
    def usage(self) -> Usage:
        """The tokens of one call, whole ones."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_input_tokens=_share(self.input_tokens, self.cache_read_percent),
            cache_write_input_tokens=_share(self.input_tokens, self.cache_write_percent),
        )

    def on(self, model: str) -> "Part":
        """The same call on another model."""
        return replace(self, model=model)


@dataclass(frozen=True)
class CostLine:
    """Infrastructure, operations, people: what is paid besides the models, each month or per 1,000 tasks."""

    name: str
    amount_usd: Decimal
    per: Per = "month"

    def in_month(self, tasks: int) -> Decimal:
        """US dollars in a month with so many tasks."""
        return self.amount_usd if self.per == "month" else self.amount_usd * tasks / THOUSAND


@dataclass(frozen=True)
class Workload:
    """`tasks` in the first month; each later month has `growth_percent` more than the one before."""

    tasks: int
    parts: tuple[Part, ...]
    months: int = 12
    growth_percent: Decimal = Decimal(0)
    # How many of the calls go through the batch API, in percent.
    batch_percent: Decimal = Decimal(0)
    lines: tuple[CostLine, ...] = ()

    def tasks_in(self, month: int) -> int:
        """Whole tasks in a month, counted from 0."""
        factor = (ONE + self.growth_percent / HUNDRED) ** month
        return int((self.tasks * factor).to_integral_value(ROUND_HALF_UP))

    def on(self, model: str) -> "Workload":
        """Every call on one model."""
        return replace(self, parts=tuple(part.on(model) for part in self.parts))


def _share(tokens: int, percent: Decimal) -> int:
    return int((tokens * percent / HUNDRED).to_integral_value(ROUND_HALF_UP))
