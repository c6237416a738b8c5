"""Changing the rates of currencies, and converting what was billed before by the new ones."""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection, transaction

from core import jobs
from core.errors import DomainError
from core.models import Job
from costs import signals
from costs.billing.rates import USD, hold_rates
from costs.models import BilledCost, BillingAccount, CurrencyRate

KIND = "costs.reconvert"
# Days per step: a quarter of a large bill is well under a step's ten seconds.
STEP_DAYS = 31
MAX_ROWS = 20_000
COLUMNS = ("currency", "valid_from", "usd_per_unit", "note")
_CODE = re.compile(r"[A-Z]{3}")
# Rounded as costs.billing.rates.Rates.convert rounds.
_RECONVERT = """
UPDATE costs_billedcost AS line SET amount_usd = fresh.amount_usd
FROM (
    SELECT billed.id, round(billed.amount * (
        SELECT rate.usd_per_unit FROM costs_currencyrate AS rate
        WHERE rate.currency = billed.currency AND rate.valid_from <= billed.day
        ORDER BY rate.valid_from DESC LIMIT 1
    ), 18) AS amount_usd
    FROM costs_billedcost AS billed
    WHERE billed.account_id = %(account)s AND billed.day >= %(start)s AND billed.day < %(end)s
      AND billed.currency = ANY(%(currencies)s)
) AS fresh
WHERE line.id = fresh.id AND line.amount_usd IS DISTINCT FROM fresh.amount_usd
"""


def clean_rate(
    *, currency: str, valid_from: Any, usd_per_unit: Any, note: str = ""
) -> dict[str, Any]:
    """One rate's values as they are stored. Raises DomainError naming the field."""
    code = str(currency).strip().upper()
    if not _CODE.fullmatch(code):
        raise DomainError(
            f"currency is {str(currency)[:20]!r}; it must be three letters such as EUR (ISO 4217).",
            fields=["currency"],
        )
    if code == USD:
        raise DomainError(
            "currency is 'USD'; the US dollar is always 1 and needs no rate.", fields=["currency"]
        )
    try:
        day = (
            valid_from
            if isinstance(valid_from, dt.date)
            else dt.date.fromisoformat(str(valid_from).strip())
        )
    except ValueError:
        raise DomainError(
            f"valid_from is {str(valid_from)[:40]!r}; it must be a day such as 2026-11-01.",
            fields=["valid_from"],
        ) from None
    if "\x00" in note or len(note) > 200:
        raise DomainError("note has at most 200 characters and no NUL.", fields=["note"])
    return {
        "currency": code,
        "valid_from": day,
        "usd_per_unit": _clean_amount(usd_per_unit),
        "note": note.strip(),
    }


def _clean_amount(value: Any) -> Decimal:
    try:
        rate = Decimal(str(value).strip())
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or not Decimal("1e-10") <= rate < Decimal("1e10"):
        raise DomainError(
            f"usd_per_unit is {str(value)[:40]!r}; it must be US dollars per unit, a number above 0 and below"
            " 10,000,000,000 such as 1.0842.",
            fields=["usd_per_unit"],
        )
    if rate != round(rate, 10):
        raise DomainError(
            f"usd_per_unit is {str(value)[:40]!r}; it has at most ten decimals.",
            fields=["usd_per_unit"],
        )
    return rate


def read_csv(text: str) -> list[dict[str, Any]]:
    """The rates of a CSV with the columns currency, valid_from, usd_per_unit and perhaps note. Raises DomainError
    naming the line; nothing of a wrong file is taken."""
    if "\x00" in text:
        raise DomainError("The file has a NUL character; it must be plain CSV text.")
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        header = tuple(name.strip().lower() for name in next(rows, []))
        if header not in (COLUMNS, COLUMNS[:3]):
            raise DomainError(
                "The first line must be currency,valid_from,usd_per_unit,note (note may be left out)."
            )
        found: dict[tuple[str, dt.date], dict[str, Any]] = {}
        for number, row in enumerate(rows, 2):
            if not any(cell.strip() for cell in row):
                continue
            one = _clean_line(number, row, header)
            key = (one["currency"], one["valid_from"])
            if key in found:
                raise DomainError(
                    f"Line {number}: {key[0]} on {key[1]} is in the file twice.", fields=["file"]
                )
            if len(found) >= MAX_ROWS:
                raise DomainError(f"The file has more than {MAX_ROWS:,} rates; split it.")
            found[key] = one
    except csv.Error as error:
        raise DomainError(f"The file is no CSV: {error}.") from None
    if not found:
        raise DomainError("The file has no rate; each line after the first is one.")
    return list(found.values())


def _clean_line(number: int, row: list[str], header: tuple[str, ...]) -> dict[str, Any]:
    if len(row) != len(header):
        raise DomainError(f"Line {number} has {len(row)} values; it needs {len(header)}.")
    try:
        return clean_rate(**dict(zip(header, row, strict=True)))
    except DomainError as error:
        raise DomainError(f"Line {number}: {error.detail}", fields=error.fields) from None


@transaction.atomic
def set_rates(*, rates: Iterable[dict[str, Any]], now: dt.datetime) -> list[Job]:
    """Store cleaned rates, each in place of one of its currency and day, and convert again what they are about."""
    rows = [CurrencyRate(**one) for one in rates]
    CurrencyRate.objects.bulk_create(
        sorted(rows, key=lambda row: (row.currency, row.valid_from)),
        update_conflicts=True,
        unique_fields=["currency", "valid_from"],
        update_fields=["usd_per_unit", "note", "updated_at"],
    )
    return reconvert(now=now, currencies={row.currency for row in rows})


@transaction.atomic
def reconvert(*, now: dt.datetime, currencies: Iterable[str] | None = None) -> list[Job]:
    """A job per organisation whose bills have such currencies (all but the US dollar by default), which sets
    `amount_usd` by the rates as they are when it runs."""
    billed = BilledCost.objects.exclude(currency=USD)
    if currencies is not None:
        billed = billed.filter(currency__in=set(currencies))
    found: dict[Any, set[str]] = {}
    for organization_id, currency in billed.values_list("organization_id", "currency").distinct():
        found.setdefault(organization_id, set()).add(currency)
    return [
        jobs.start(
            kind=KIND,
            title=f"Convert bills in {', '.join(sorted(codes))} again",
            organization_id=organization_id,
            params={"currencies": sorted(codes)},
            now=now,
        )
        for organization_id, codes in sorted(found.items())
    ]


def reconvert_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next month of days of one account, in one statement."""
    accounts = list(
        BillingAccount.objects.filter(organization_id=job.organization_id)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    after, day = job.cursor.get("account", ""), job.cursor.get("day")
    for account in accounts:
        if str(account) < after:
            continue
        since = dt.date.fromisoformat(day) if day and str(account) == after else None
        start, last = _days(account, job.params["currencies"], since)
        if start is None or last is None:
            continue
        end = min(last + dt.timedelta(days=1), start + dt.timedelta(days=STEP_DAYS))
        changed = _convert_days(account, job.params["currencies"], start, end)
        if changed:
            _tell(job, account, start, end, now)
        cursor = {"account": str(account), "day": end.isoformat()}
        return jobs.Step(changed, cursor, f"{job.done + changed:,} lines have a new amount.")
    return jobs.Step(0, None, f"{job.done:,} lines have a new amount in US dollars.")


def _days(
    account: Any, currencies: list[str], since: dt.date | None
) -> tuple[dt.date | None, dt.date | None]:
    lines = BilledCost.objects.filter(account_id=account, currency__in=currencies)
    if since is not None:
        lines = lines.filter(day__gte=since)
    days = lines.order_by("day").values_list("day", flat=True)
    first = days.first()
    return first, days.last() if first else None


def _convert_days(account: Any, currencies: list[str], start: dt.date, end: dt.date) -> int:
    hold_rates(alone=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _RECONVERT,
            {"account": account, "start": start, "end": end, "currencies": currencies},
        )
        changed: int = cursor.rowcount
        return changed


def _tell(job: Job, account: Any, start: dt.date, end: dt.date, now: dt.datetime) -> None:
    """What is made of these days' amounts must be made again, as after a sync."""
    signals.sync_finished.send(
        sender=BillingAccount,
        organization_id=job.organization_id,
        account_id=account,
        first_day=start,
        end_day=end,
        now=now,
    )


def register() -> None:
    """Say how the job advances (from the app's `ready`)."""
    jobs.register(KIND, reconvert_step)
