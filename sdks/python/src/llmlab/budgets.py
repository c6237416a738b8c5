"""A spending limit in the program: `with llm.budget(usd=1): …`.

The SDK knows no prices. The server answers what the calls of each upload cost; before the next call
those still on their way are sent first, so that the sum is exact whenever the server answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmlab.config import logger
from llmlab.context import current_budget

if TYPE_CHECKING:
    import contextvars
    from decimal import Decimal

    from llmlab.client import LLMLab


class BudgetExceeded(Exception):
    """The budget's calls cost as much as they may; the next one was not sent."""

    def __init__(
        self, message: str, *, limit_usd: Decimal, spent_usd: Decimal, name: str = ""
    ) -> None:
        super().__init__(message)
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        # Of a budget set in LLMLab; empty for one of the program.
        self.name = name


class Budget:
    """A limit and what the calls under it cost so far. May be nested: every one around must hold."""

    def __init__(
        self, client: LLMLab, usd: Any, *, on_unknown: str = "allow", timeout: float = 2.0
    ) -> None:
        self.limit_usd = _dollars(usd)
        if on_unknown not in ("allow", "block"):
            raise ValueError(f'on_unknown is {on_unknown!r}; it must be "allow" or "block".')
        self.on_unknown = on_unknown
        self.timeout = timeout
        self.spent_usd = _dollars(0)
        # Calls whose cost never became known: no price, refused, or lost on the way.
        self.unknown_calls = 0
        # Ended calls the server has not acknowledged; each is removed by exactly one `settle`.
        self.pending: set[str] = set()
        self.outer: Budget | None = None
        self._client = client
        self._token: contextvars.Token[Budget | None] | None = None

    def __enter__(self) -> Budget:
        self.outer = current_budget.get()
        self._token = current_budget.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            try:
                current_budget.reset(self._token)
            except (ValueError, RuntimeError):
                pass  # closed by another task: that context's own value is right
            self._token = None

    async def __aenter__(self) -> Budget:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    @property
    def remaining_usd(self) -> Decimal:
        """What may still be spent, never below zero."""
        return max(self.limit_usd - self.spent_usd, self.limit_usd * 0)

    def add(self, step_id: str) -> None:
        """A call under this budget ended; its cost is asked for."""
        self.pending.add(step_id)
        if self.outer is not None:
            self.outer.add(step_id)

    def settle(self, step_ids: list[str], cost: str | None, unknown: int | None = None) -> None:
        """The server's answer for these calls: what the priced ones cost together, and how many have
        no known cost (None: all of them, unless there is a cost).
        """
        known = [one for one in step_ids if one in self.pending]
        self.pending.difference_update(known)
        if known:
            amount = _amount(cost)
            if amount is not None:
                self.spent_usd += amount
            if unknown is None:
                unknown = len(known) if amount is None else 0
            self.unknown_calls += min(unknown, len(known))
        if self.outer is not None:
            self.outer.settle(step_ids, cost, unknown)

    def give_up(self) -> None:
        """Nobody will tell us the cost of what is pending."""
        self.unknown_calls += len(self.pending)
        self.pending.clear()
        if self.outer is not None:
            self.outer.give_up()

    def needs_flush(self) -> bool:
        """Whether something is on its way that could decide this or an outer budget."""
        return bool(self.pending) or (self.outer is not None and self.outer.needs_flush())

    def flush(self) -> None:
        self._client.flush(self.timeout)

    def refuse_if_over(self) -> None:
        """Raises BudgetExceeded when this or an outer budget is spent for certain."""
        if self.spent_usd >= self.limit_usd:
            raise self._exceeded("is spent")
        if self.outer is not None:
            self.outer.refuse_if_over()

    def refuse_if_spent(self) -> None:
        """Raises BudgetExceeded when this or an outer budget is spent, or may be and must not."""
        if self.spent_usd >= self.limit_usd:
            raise self._exceeded("is spent")
        unknown = self.unknown_calls + len(self.pending)
        if unknown and self.on_unknown == "block":
            calls = "one call" if unknown == 1 else f"{unknown} calls"
            raise self._exceeded(f"may be spent: the cost of {calls} is not known")
        if self.outer is not None:
            self.outer.refuse_if_spent()

    def _exceeded(self, why: str) -> BudgetExceeded:
        return BudgetExceeded(
            f"The budget of ${self.limit_usd} {why} (${self.spent_usd} so far). The call was not sent.",
            limit_usd=self.limit_usd,
            spent_usd=self.spent_usd,
        )


def _dollars(usd: Any) -> Decimal:
    # Here, not above: decimal would be a third of the package's import time.
    from decimal import Decimal, InvalidOperation

    try:
        amount = Decimal(str(usd))
    except (InvalidOperation, ValueError):
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"usd is {usd!r}; it must be an amount of dollars, 0 or more.")
    return amount


def _amount(cost: str | None) -> Decimal | None:
    if cost is None:
        return None
    from decimal import Decimal, InvalidOperation

    try:
        amount = Decimal(str(cost))
    except (InvalidOperation, ValueError):
        logger.debug("LLMLab: the server's cost %r is no number", cost)
        return None
    return amount if amount.is_finite() else None


def check() -> None:
    """Raises BudgetExceeded when the current budget is spent; asks the server when in doubt."""
    budget = current_budget.get()
    if budget is None:
        return
    budget.refuse_if_over()
    if budget.needs_flush():
        budget.flush()
    budget.refuse_if_spent()


async def check_async() -> None:
    """`check` that waits for the server without holding up the event loop."""
    budget = current_budget.get()
    if budget is None:
        return
    budget.refuse_if_over()
    if budget.needs_flush():
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, budget.flush)
    budget.refuse_if_spent()
