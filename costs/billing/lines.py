"""Lists of billed lines and of corrections: filters, order, pages by key, CSV."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from core.cursors import decode_place, encode_place
from core.errors import DomainError
from core.formats import instant
from costs.models import BilledCost, BilledRevision, ChargeCategory
from projects.access import parse_uuid

MAX_EXPORT = 1_000_000
CHUNK = 2_000
LINE_SORTS = {"": "Newest day first", "day": "Oldest day first", "amount": "Largest amount first"}
CHANGES = {"": "Every correction", "added": "Added", "changed": "Changed", "removed": "Removed"}
KINDS = {"": "Money and usage", "cost": "Money", "usage": "Usage"}
LINE_FILTERS = (
    "connection",
    "provider",
    "from",
    "to",
    "q",
    "category",
    "sub_account",
    "key",
    "model",
)
REVISION_FILTERS = ("connection", "from", "to", "q", "change", "kind")


@dataclass(frozen=True)
class Page:
    """Rows and where the next page begins; empty: it is the last one."""

    rows: list[Any]
    following: str


def day_of(values: Mapping[str, str], name: str) -> dt.date | None:
    """A day of the query. Raises DomainError."""
    text = values.get(name, "")
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise DomainError(
            f"{name} is {text[:40]!r}; it must be a day such as 2026-11-01.", fields=[name]
        ) from None


def choice_of(values: Mapping[str, str], name: str, allowed: Any) -> str:
    """One of some words of the query. Raises DomainError."""
    value = values.get(name, "")
    if value not in allowed:
        known = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {known}.", fields=[name])
    return value


def text_of(values: Mapping[str, str], name: str) -> str:
    """A word of the query. Raises DomainError."""
    value = values.get(name, "").strip()
    if len(value) > 300 or "\x00" in value:
        raise DomainError(f"{name} has at most 300 characters and no NUL.", fields=[name])
    return value


def _connection(rows: Any, values: Mapping[str, str]) -> Any:
    text = values.get("connection", "")
    if not text:
        return rows
    pk = parse_uuid(text)
    if pk is None:
        raise DomainError("connection must be a connection's id.", fields=["connection"])
    return rows.filter(account__connection_id=pk)


def _days(rows: Any, values: Mapping[str, str]) -> Any:
    first, last = day_of(values, "from"), day_of(values, "to")
    if first and last and first > last:
        raise DomainError("to must not be before from.", fields=["to"])
    if first:
        rows = rows.filter(day__gte=first)
    return rows.filter(day__lte=last) if last else rows


def lines_of(organization_id: UUID, values: Mapping[str, str]) -> QuerySet[BilledCost]:
    """The organisation's billed lines that match the query. Raises DomainError naming the filter."""
    rows: QuerySet[BilledCost] = BilledCost.objects.filter(organization_id=organization_id)
    rows = _days(_connection(rows, values), values)
    if category := choice_of(values, "category", ("", *ChargeCategory.values)):
        rows = rows.filter(category=category)
    for name, column in (
        ("provider", "provider"),
        ("sub_account", "sub_account_id"),
        ("key", "provider_key_id"),
        ("model", "model"),
    ):
        if name in values and (value := text_of(values, name)):
            # A dash stands for "the provider does not say".
            rows = rows.filter(**{column: "" if value == "-" else value})
    if q := text_of(values, "q"):
        rows = rows.filter(
            Q(model__icontains=q)
            | Q(description__icontains=q)
            | Q(sub_account_name__icontains=q)
            | Q(provider_key_name__icontains=q)
        )
    return rows.select_related("account__connection")


def lines_page(
    organization_id: UUID, values: Mapping[str, str], *, limit: int, after: str = ""
) -> Page:
    """A page of lines in the query's order. One query."""
    sort = choice_of(values, "sort", LINE_SORTS)
    rows: Any = lines_of(organization_id, values)
    column = "amount" if sort == "amount" else "day"
    if after:
        place, key = decode_place(
            after, sort=sort, kind=Decimal if sort == "amount" else str, field="after"
        )
        if not key.isdigit() or len(key) > 18:
            raise DomainError("after is not a page of this list.", fields=["after"])
        if sort != "amount":
            place = day_of({"after": place}, "after")
        step = "gt" if sort == "day" else "lt"
        rows = rows.filter(
            Q(**{f"{column}__{step}": place}) | Q(**{column: place, f"id__{step}": int(key)})
        )
    order = (F(column).asc(), "id") if sort == "day" else (F(column).desc(), "-id")
    found = list(rows.order_by(*order)[: limit + 1])
    following = ""
    if len(found) > limit:
        last = found[limit - 1]
        value = last.amount if sort == "amount" else last.day.isoformat()
        following = encode_place(sort, value, str(last.pk))
    return Page(found[:limit], following)


def revisions_of(organization_id: UUID, values: Mapping[str, str]) -> QuerySet[BilledRevision]:
    """The organisation's corrections that match the query. Raises DomainError naming the filter."""
    rows: QuerySet[BilledRevision] = BilledRevision.objects.filter(organization_id=organization_id)
    rows = _days(_connection(rows, values), values)
    change = choice_of(values, "change", CHANGES)
    if change == "added":
        rows = rows.filter(before=None)
    elif change == "removed":
        rows = rows.filter(after=None)
    elif change:
        rows = rows.exclude(before=None).exclude(after=None)
    if kind := choice_of(values, "kind", KINDS):
        rows = rows.filter(is_usage=kind == "usage")
    if q := text_of(values, "q"):
        rows = rows.filter(subject__icontains=q)
    return rows.select_related("account__connection")


def revisions_page(
    organization_id: UUID, values: Mapping[str, str], *, limit: int, before: str = ""
) -> Page:
    """A page of corrections, newest first. One query."""
    rows = revisions_of(organization_id, values)
    if before:
        if not (before.isascii() and before.isdigit() and len(before) <= 18):
            raise DomainError(
                f"before is {before[:40]!r}; it must be a correction's number.", fields=["before"]
            )
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.order_by("-pk")[: limit + 1])
    return Page(found[:limit], str(found[limit - 1].pk) if len(found) > limit else "")


LINE_COLUMNS = (
    "day", "connection", "provider", "sub_account_id", "sub_account_name", "key_id", "key_name", "model",
    "service_tier", "token_class", "region", "category", "description", "quantity", "unit", "amount", "list_amount",
    "currency", "amount_usd", "is_allocated", "revision", "fetched_at",
)  # fmt: skip
REVISION_COLUMNS = (
    "number", "seen_at", "day", "connection", "kind", "subject", "before", "after", "unit",
)  # fmt: skip


def line_cells(line: BilledCost) -> list[Any]:
    """A line as a row of the CSV."""
    return [
        line.day, line.account.connection.name, line.provider, line.sub_account_id, line.sub_account_name,
        line.provider_key_id, line.provider_key_name, line.model, line.service_tier, line.token_class, line.region,
        line.category, line.description, line.quantity, line.unit, line.amount,
        line.list_amount, line.currency, line.amount_usd, line.is_allocated, line.revision,
        instant(line.fetched_at),
    ]  # fmt: skip


def revision_cells(row: BilledRevision) -> list[Any]:
    """A correction as a row of the CSV."""
    return [
        row.pk, instant(row.seen_at), row.day, row.account.connection.name, "usage" if row.is_usage else "cost",
        row.subject, row.before, row.after, row.unit,
    ]  # fmt: skip


def all_rows(rows: Any, order: str) -> Iterator[Any]:
    """Every row in chunks, each its own query by key: no cursor stays open while a client takes its time."""
    step, after, sent = ("lt" if order.startswith("-") else "gt"), None, 0
    while sent < MAX_EXPORT:
        chunk = list(
            (rows.filter(**{f"pk__{step}": after}) if after else rows).order_by(order)[:CHUNK]
        )
        yield from chunk
        sent += len(chunk)
        if len(chunk) < CHUNK:
            return
        after = chunk[-1].pk
