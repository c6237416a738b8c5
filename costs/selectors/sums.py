"""What hourly sums add up to, and the database expressions that add them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from django.db.models import Sum

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Some calls together. `cost_usd` is what the priced ones cost; the unpriced are counted, never taken as zero."""

    calls: int = 0
    errors: int = 0
    unpriced_calls: int = 0
    estimated_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    cost_usd: Decimal = ZERO

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in FIELDS})

    @property
    def priced_calls(self) -> int:
        return self.calls - self.unpriced_calls

    @property
    def is_unpriced(self) -> bool:
        """Some calls have no price and no other one cost anything: the spend is unknown, not $0."""
        return self.unpriced_calls > 0 and self.cost_usd == 0

    @property
    def known_cost_usd(self) -> Decimal | None:
        """What programs are told: None while the spend is unknown."""
        return None if self.is_unpriced else self.cost_usd

    @property
    def cost_per_call(self) -> Decimal | None:
        """Per priced call: dividing by unpriced ones too would make the unknown look cheap."""
        if self.is_unpriced or self.priced_calls == 0:
            return None
        return self.cost_usd / self.priced_calls

    @property
    def error_share(self) -> Decimal | None:
        return Decimal(self.errors) / self.calls if self.calls else None

    @property
    def unpriced_share(self) -> Decimal | None:
        return Decimal(self.unpriced_calls) / self.calls if self.calls else None

    @property
    def uncached_input_tokens(self) -> int:
        """Input that was neither read from nor written to a cache."""
        cached = self.cache_read_input_tokens + self.cache_write_input_tokens
        return max(0, self.input_tokens - cached)

    @property
    def visible_output_tokens(self) -> int:
        """Output without the reasoning before it."""
        return max(0, self.output_tokens - self.reasoning_output_tokens)

    @property
    def cache_share(self) -> Decimal | None:
        """How much of the input came out of a cache."""
        return (
            Decimal(self.cache_read_input_tokens) / self.input_tokens if self.input_tokens else None
        )

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


# What can be asked of sums by name: columns, and figures made of them. Unknown is None, never 0.
MEASURES: dict[str, Callable[[Sums], "Decimal | int | None"]] = {
    "cost_usd": lambda sums: sums.known_cost_usd,
    "calls": lambda sums: sums.calls,
    "errors": lambda sums: sums.errors,
    "unpriced_calls": lambda sums: sums.unpriced_calls,
    "tokens": lambda sums: sums.total_tokens,
    "input_tokens": lambda sums: sums.input_tokens,
    "uncached_input_tokens": lambda sums: sums.uncached_input_tokens,
    "cache_read_input_tokens": lambda sums: sums.cache_read_input_tokens,
    "cache_write_input_tokens": lambda sums: sums.cache_write_input_tokens,
    "output_tokens": lambda sums: sums.output_tokens,
    "visible_output_tokens": lambda sums: sums.visible_output_tokens,
    "reasoning_output_tokens": lambda sums: sums.reasoning_output_tokens,
    "cost_per_call": lambda sums: sums.cost_per_call,
    "cache_share": lambda sums: sums.cache_share,
    "error_share": lambda sums: sums.error_share,
}
FIELDS = tuple(field.name for field in fields(Sums))
# The prefix keeps annotations from clashing with the model's own columns.
SUM_EXPRESSIONS = {f"sum_{name}": Sum(name) for name in FIELDS}


def sums_from(row: Mapping[str, Any]) -> Sums:
    """Sums of a row annotated with SUM_EXPRESSIONS (all NULL when nothing matched)."""
    values: dict[str, Any] = {
        name: row[f"sum_{name}"] or (ZERO if name == "cost_usd" else 0) for name in FIELDS
    }
    return Sums(**values)


def sums_of(values: Sequence[Any], names: Sequence[str] = FIELDS) -> Sums:
    """Sums of a row whose columns are `names`, in their order (all NULL when nothing matched)."""
    named = dict(zip(names, values, strict=True))
    cost = named.pop("cost_usd", None)
    counts = {name: int(value or 0) for name, value in named.items()}
    return Sums(cost_usd=cost or ZERO, **counts)


def add_up(many: "list[Sums]") -> Sums:
    """The sum of sums."""
    total = Sums()
    for one in many:
        total += one
    return total
