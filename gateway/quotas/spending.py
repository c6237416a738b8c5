"""What hard budgets' calls cost so far, from the ledger: read inside the transaction that has their counters locked.

The sums are read again only when the ledger of the organisation changed since.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from core.ranges import ceil_hour
from costs.budgets.applying import standings_mark
from costs.budgets.periods import period_now
from costs.budgets.selectors import amounts, part_of
from costs.budgets.sums import Part
from gateway.snapshot import BudgetView

MAX_KEPT = 1_000
_kept: OrderedDict[str, tuple[str, dict[Part, Decimal]]] = OrderedDict()


def spent_of(
    organization_id: str, budgets: Sequence[BudgetView], now: dt.datetime
) -> Mapping[str, Decimal]:
    """By budget. One query, one more when something was recorded since (as `costs.budgets.selectors.amounts`)."""
    mark = standings_mark(UUID(organization_id), now)
    kept = _kept.get(organization_id)
    known = kept[1] if kept and kept[0] == mark else {}
    end = ceil_hour(now + dt.timedelta(microseconds=1))
    parts = {}
    for one in budgets:
        period = period_now(one, now)
        parts[one.id] = part_of(one, period.counts_from, min(end, period.counts_until))
    missing = [part for part in dict.fromkeys(parts.values()) if part not in known]
    if missing:
        found = amounts(missing)
        known |= {part: one.cost_usd for part, one in zip(missing, found, strict=True)}
    _kept[organization_id] = (mark, known)
    _kept.move_to_end(organization_id)
    while len(_kept) > MAX_KEPT:
        _kept.popitem(last=False)
    return {budget: known[part] for budget, part in parts.items()}


def forget() -> None:
    """Know nothing (tests)."""
    _kept.clear()
