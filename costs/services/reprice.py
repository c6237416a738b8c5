"""Pricing stored records again: one chunk per transaction, set-based, exact beside any writer.

What a chunk promises, whatever writers, other jobs and kills do meanwhile: when its transaction commits, each record
it looked at has the price it would have been given had it been recorded under the rules in force at that commit, and
sums, traces and steps say so too. Records are read and priced without locks; then the traces of those whose price
differs are locked (`signals.records_repricing`), as ingestion does, and a record is written only while its price is
the one that was read; one that has another by then is read and priced again.

Not decided again: which of two steps that report one provider response carries its cost (traces.ingest.twins prefers
the priced one at the time both are there).
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from costs import signals
from costs.catalogue import current_catalogue
from costs.models import PriceStatus
from costs.price_rules import RuleSet, fits
from costs.pricing import Priced, price_call
from costs.services import aggregates, reprice_rows
from costs.services import record_costs as ledger
from costs.services.facts import call_of
from costs.services.reprice_rows import News, StoredCall

Place = tuple[dt.datetime, str]  # occurred_at, record_id


class Pace(msgspec.Struct, frozen=True):
    """How much at once: records read per query, changes after which a chunk ends, seconds after which it does."""

    read: int = 2_500
    write: int = 8_000
    seconds: float = 3.0


class Scope(msgspec.Struct, frozen=True):
    """Which records: of a half-open range of time, of one model, without a price, or what rules may be about."""

    start: dt.datetime
    end: dt.datetime
    provider: str | None = None
    model: str | None = None
    only_unpriced: bool = False
    # (provider, pattern) of rules; a record is looked at when one of them fits. None: every record.
    patterns: tuple[tuple[str, str], ...] | None = None


class Change(msgspec.Struct, frozen=True):
    """One record's new price, for whoever keeps a copy of it."""

    record_id: str
    occurred_at: dt.datetime
    trace_id: str
    span_id: str
    price_status: str
    cost_before: Decimal | None
    cost_after: Decimal | None


class Tally(msgspec.Struct):
    """What pricing again changes. Amounts are of the calls whose price is known."""

    read: int = 0
    written: int = 0  # also those whose source alone is another one
    changed: int = 0
    priced: int = 0  # had no price before
    lost: int = 0  # have none any more
    before_usd: Decimal = Decimal(0)
    after_usd: Decimal = Decimal(0)

    def note(self, before: Decimal | None, after: Decimal | None) -> None:
        self.changed += 1
        self.priced += before is None and after is not None
        self.lost += before is not None and after is None
        self.before_usd += before or 0
        self.after_usd += after or 0

    def __iadd__(self, other: "Tally") -> "Tally":
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def read_rows(
    cursor: Any, *, project_id: UUID, scope: Scope, day: dt.date, after: Place | None, limit: int
) -> list[StoredCall]:
    """The next records of one UTC day (one partition) by time and id. One query, no lock."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    start = max(scope.start, midnight)
    # From the place on; at its very moment, only what comes after its id.
    place = after or (start, "")
    return reprice_rows.read_day(
        cursor,
        project_id=project_id,
        start=place[0],
        end=min(scope.end, midnight + dt.timedelta(days=1)),
        place=place,
        model=(scope.provider, scope.model or "") if scope.provider is not None else None,
        only_unpriced=scope.only_unpriced,
        limit=limit,
    )


class Repricer:
    """Prices rows under one set of rules and remembers which names the scope is about."""

    def __init__(self, scope: Scope, rules: RuleSet) -> None:
        self.scope, self.rules = scope, rules
        self._concerned: dict[tuple[str, str, str], bool] = {}

    def news(self, rows: Sequence[StoredCall]) -> Iterator[tuple[StoredCall, Priced]]:
        """The rows whose price is another one now, with it."""
        for row in rows:
            if not self._is_concerned(row) or not may_reprice(row):
                continue
            priced = price_call(call_of(row), self.rules)
            if (
                priced.status != row.price_status
                or priced.cost_usd != row.cost_usd
                or priced.price_source[:80] != row.price_source
                or priced.unpriced_reason[:40] != row.unpriced_reason
                or priced.matched_model[:200] != row.matched_model
                or list(priced.flags) != row.flags
            ):
                yield row, priced

    def _is_concerned(self, row: StoredCall) -> bool:
        if self.scope.patterns is None:
            return True
        key = (row.provider, row.model, row.request_model)
        found = self._concerned.get(key)
        if found is None:
            found = self._concerned[key] = concerns(self.scope.patterns, *key)
        return found


def concerns(
    patterns: Sequence[tuple[str, str]], provider: str, model: str, request_model: str
) -> bool:
    """Whether a rule with one of these (provider, pattern) can be about such a call."""
    providers, names = current_catalogue().identify(provider, model, request_model)
    return any(
        (not rule_provider or rule_provider in providers)
        and any(fits(pattern, name) for name in names)
        for rule_provider, pattern in patterns
    )


def may_reprice(row: StoredCall) -> bool:
    """Not what a bill confirmed, and not what was free because no provider charged it (cache hits, refusals)."""
    if row.price_status == PriceStatus.BILLED:
        return False
    return row.price_status != PriceStatus.FREE or bool(row.price_source)


def price_day(
    *,
    project_id: UUID,
    scope: Scope,
    rules: RuleSet,
    day: dt.date,
    after: Place | None,
    pace: Pace,
    keep: Callable[[StoredCall, Priced], None] | None = None,
) -> tuple[Tally, Place | None]:
    """Read and price a day's records from `after` until its end or the end of the pace; returns what was found and
    where to go on (None: the day is done). `keep` takes each record with its new price. One query per `pace.read`
    records."""
    tally, repricer, end = Tally(), Repricer(scope, rules), monotonic() + pace.seconds
    found = 0
    with connection.cursor() as cursor:
        while True:
            rows = read_rows(
                cursor,
                project_id=project_id,
                scope=scope,
                day=day,
                after=after,
                limit=pace.read,
            )
            tally.read += len(rows)
            for row, priced in repricer.news(rows):
                found += 1
                if keep is not None:
                    keep(row, priced)
                elif (priced.status, priced.cost_usd) != (row.price_status, row.cost_usd):
                    tally.note(row.cost_usd, priced.cost_usd)
            if len(rows) < pace.read:
                return tally, None
            after = (rows[-1].occurred_at, rows[-1].record_id)
            if found >= pace.write or monotonic() > end:
                return tally, after


def reprice_day(
    *,
    project_id: UUID,
    scope: Scope,
    rules: RuleSet,
    day: dt.date,
    after: Place | None,
    now: dt.datetime,
    pace: Pace,
) -> tuple[Tally, Place | None]:
    """The same, and write: inside the caller's transaction, which must end soon after. Raises StaleRulesError when the
    rules changed meanwhile: roll back, load them, do it again."""
    repricer = Repricer(scope, rules)
    news: News = []
    tally, place = price_day(
        project_id=project_id,
        scope=scope,
        rules=rules,
        day=day,
        after=after,
        pace=pace,
        keep=lambda row, priced: news.append((row, priced)),
    )
    if news:
        _write(project_id, news, tally, repricer, now)
    return tally, place


def _write(
    project_id: UUID, news: News, tally: Tally, repricer: Repricer, now: dt.datetime
) -> None:
    traces = sorted({row.trace_id for row, _ in news if row.trace_id})
    signals.records_repricing.send(sender=StoredCall, project_id=project_id, trace_ids=traces)
    changes: list[Change] = []
    with connection.cursor() as cursor:
        aggregates.begin_prices(cursor)
        while news:
            written, left = reprice_rows.write(cursor, project_id=project_id, news=news)
            tally.written += len(written)
            for row, priced in written:
                if (priced.cost_usd, priced.status) != (row.cost_usd, row.price_status):
                    tally.note(row.cost_usd, priced.cost_usd)
                    changes.append(_change(row, priced))
            # Priced by somebody else meanwhile: again. Gone (a wrapper whose call arrived): its cost is the call's now.
            rows = [row for row, _ in left]
            news = (
                list(
                    repricer.news(reprice_rows.read_again(cursor, project_id=project_id, rows=rows))
                )
                if rows
                else []
            )
        signals.records_repriced.send(
            sender=StoredCall, project_id=project_id, changes=changes, now=now
        )
        aggregates.apply_prices(cursor, project_id=project_id)
        ledger.finish(
            cursor, project_id=project_id, deltas={}, recorded=0, now=None, rules=repricer.rules
        )


def _change(row: StoredCall, priced: Priced) -> Change:
    return Change(
        record_id=row.record_id,
        occurred_at=row.occurred_at,
        trace_id=row.trace_id,
        span_id=row.span_id,
        price_status=priced.status,
        cost_before=row.cost_usd,
        cost_after=priced.cost_usd,
    )
