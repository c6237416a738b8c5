"""Reads a FOCUS file and says what does not conform to its version (pure but for opening the file).

Checked: columns, types, allowed values, null rules, the products of unit prices and quantities, units, keys and values
of Tags and details, and periods. Messages name row, column and rule.
"""

import csv
import datetime as dt
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from costs.focus.columns import BY_NAME, FocusColumn, columns_of
from costs.focus.rows import EXACT, UNIT

ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {
        "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
        "Other (AI and Machine Learning)",
    },
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?([Ee]-?\d+)?\Z")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
# As DuckDB writes a time in UTC.
_STORED_TIME = re.compile(r"\A(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\+00\Z")
CURRENCY = re.compile(r"[A-Z]{3}\Z")
PAIRS = (
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
)
PRODUCTS = (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost"))
# Not null where something is sold and nothing is corrected.
OF_A_SALE = (
    "PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory",
    "SkuId", "SkuPriceId",
)  # fmt: skip
OF_USAGE = ("ConsumedQuantity", "ConsumedUnit")
NOT_OF_TAX = ("SkuId", "PricingQuantity", "PricingCategory", "ListUnitPrice")

Values = dict[str, str | None]


def check_rows(names: Iterable[str], rows: Iterable[Values], version: str) -> Iterator[str]:
    """What does not conform, in words; nothing when all does."""
    wanted = columns_of(version)
    given = list(names)
    yield from _columns(given, wanted)
    for number, row in enumerate(rows, start=1):
        for words in _row(row, wanted):
            yield f"row {number}: {words}"


def _columns(given: list[str], wanted: tuple[FocusColumn, ...]) -> Iterator[str]:
    for column in wanted:
        if column.name not in given and not column.name.startswith("x_"):
            yield f"column {column.name} is missing"
    known = {column.name for column in wanted}
    is_own = False
    for name in given:
        if name.startswith("x_"):
            is_own = True
        elif name not in known:
            since = BY_NAME[name].since if name in BY_NAME else None
            yield f"column {name} is not in this version" + (
                f"; it came with {since}" if since else ""
            )
        elif is_own:
            yield f"column {name} stands after a custom column"


def _row(row: Values, wanted: tuple[FocusColumn, ...]) -> Iterator[str]:
    numbers: dict[str, Decimal] = {}
    for column in wanted:
        value = row.get(column.name)
        if value is None:
            if not column.may_be_null:
                yield f"{column.name} is null"
            continue
        words = _value(column, value)
        if words:
            yield f"{column.name} is {value[:60]!r}; {words}"
        elif column.type == "amount":
            numbers[column.name] = Decimal(value)
    yield from _nulls(row)
    yield from _products(numbers)
    yield from _periods(row)


def _value(column: FocusColumn, value: str) -> str:
    """What is wrong with a value; empty when nothing is."""
    if column.type == "text":
        return _text(column.name, value)
    if column.type == "json":
        return _object(column.name, value)
    if column.type == "time":
        return "" if TIME.match(value) else "it must be like 2026-11-01T00:00:00Z"
    if not NUMBER.match(value):
        return "it must be a plain decimal number"
    try:
        number = Decimal(value)
    except InvalidOperation:
        return "it must be a plain decimal number"
    if column.name.endswith("UnitPrice") and number < 0:
        return "a unit price is never negative"
    return ""


def _text(name: str, value: str) -> str:
    if not value.strip():
        return "text is null or says something, never blank"
    if name in ALLOWED and value not in ALLOWED[name]:
        return f"allowed are {', '.join(sorted(ALLOWED[name]))}"
    if name.endswith("Unit") and not UNIT.match(value):
        return "a unit is like Tokens, 1000000 Tokens or GB-Hours"
    if name == "BillingCurrency" and not CURRENCY.match(value):
        return "a currency is three capital letters (ISO 4217)"
    return ""


def _object(name: str, value: str) -> str:
    try:
        found = json.loads(value)
    except ValueError:
        return "it must be a JSON object"
    if not isinstance(found, dict):
        return "it must be a JSON object"
    if any(isinstance(one, dict | list) for one in found.values()):
        return "values are text, numbers, true, false or null, never nested"
    return ""


def _nulls(row: Values) -> Iterator[str]:
    category = row.get("ChargeCategory")
    is_correction = row.get("ChargeClass") == "Correction"
    if category in ("Usage", "Purchase") and not is_correction:
        for name in (*OF_A_SALE, *(OF_USAGE if category == "Usage" else ())):
            if row.get(name) is None:
                yield f"{name} is null, but ChargeCategory is {category}"
    if category != "Usage" and row.get("ConsumedQuantity") is not None:
        yield f"ConsumedQuantity is given, but ChargeCategory is {category}"
    if category == "Tax":
        for name in NOT_OF_TAX:
            if row.get(name) is not None:
                yield f"{name} is given, but ChargeCategory is Tax"
    if category == "Purchase" and row.get("ChargeFrequency") == "Usage-Based":
        yield "ChargeFrequency is Usage-Based, but ChargeCategory is Purchase"
    for quantity, unit in PAIRS:
        if (row.get(quantity) is None) != (row.get(unit) is None):
            yield f"{quantity} and {unit} must both be given or both be null"
    for whole, part in (("ResourceId", "ResourceType"), ("SubAccountId", "SubAccountType")):
        if row.get(whole) is not None and part in row and row.get(part) is None:
            yield f"{part} is null, but {whole} is given"
    if row.get("SkuPriceId") is None and row.get("SkuPriceDetails") is not None:
        yield "SkuPriceDetails is given, but SkuPriceId is null"


def _products(numbers: dict[str, Decimal]) -> Iterator[str]:
    quantity = numbers.get("PricingQuantity")
    for price, cost in PRODUCTS:
        if quantity is None or price not in numbers or cost not in numbers:
            continue
        product = EXACT.multiply(numbers[price], quantity)
        if product != numbers[cost]:
            yield f"{price} × PricingQuantity is {product:f}, but {cost} is {numbers[cost]:f}"


def _periods(row: Values) -> Iterator[str]:
    times: dict[str, dt.datetime] = {}
    for name in ("BillingPeriod", "ChargePeriod"):
        for end in ("Start", "End"):
            value = row.get(name + end)
            if value and TIME.match(value):
                times[name + end] = dt.datetime.fromisoformat(value)
        if (
            name + "Start" in times
            and name + "End" in times
            and times[name + "Start"] >= times[name + "End"]
        ):
            yield f"{name}Start is not before {name}End"
    if len(times) == 4 and not (
        times["BillingPeriodStart"] <= times["ChargePeriodStart"] < times["BillingPeriodEnd"]
    ):
        yield "ChargePeriodStart is not within the billing period"


def check_file(path: Path, version: str) -> Iterator[str]:
    """A file of CSV, JSON Lines (also compressed by gzip) or Parquet. Raises ValueError for another."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        names, rows = _parquet(path, version)
        yield from check_rows(names, rows, version)
    elif name.endswith((".csv", ".jsonl")):
        opened: Any = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8", newline="") as text:
            read = _csv if name.endswith(".csv") else _jsonl
            names, rows = read(text)
            yield from check_rows(names, rows, version)
    else:
        raise ValueError(f"{path.name} is no .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet file.")


def _csv(text: Any) -> tuple[list[str], Iterator[Values]]:
    reader = csv.reader(text)
    names = next(reader, [])
    return names, ({n: v or None for n, v in zip(names, line, strict=False)} for line in reader)


def _jsonl(text: Any) -> tuple[list[str], Iterator[Values]]:
    rows = (json.loads(line) for line in text)
    first: dict[str, Any] = next(rows, {})

    def values() -> Iterator[Values]:
        for row in ([first] if first else []), rows:
            for one in row:
                yield {n: None if v is None else str(v) for n, v in one.items()}

    return list(first), values()


def _parquet(path: Path, version: str) -> tuple[list[str], Iterator[Values]]:
    import duckdb

    database = duckdb.connect(":memory:")
    database.execute("SET TimeZone = 'UTC'")
    # Times as text: the driver would need another package for those with a zone.
    found = database.execute(
        "SELECT COLUMNS(lambda c: true)::VARCHAR FROM read_parquet(?)", [str(path)]
    )
    names = [one[0] for one in found.description or ()]

    def values() -> Iterator[Values]:
        while some := found.fetchmany(1000):
            for row in some:
                yield {
                    name: value and _STORED_TIME.sub(r"\1T\2Z", value)
                    for name, value in zip(names, row, strict=True)
                }

    return names, values()
