"""Rows as lines of CSV or JSON (pure)."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.csv_cells import inert
from projects.exports.registry import Column, Row

_json = msgspec.json.Encoder(decimal_format="string")


def csv_header(columns: Sequence[Column]) -> bytes:
    return csv_lines(columns, [[column.name for column in columns]])


def csv_lines(columns: Sequence[Column], rows: Iterable[Row], *, is_machine: bool = False) -> bytes:
    """Text a spreadsheet would run as a formula gets an apostrophe in front (not for programs); an unknown value is an
    empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow(
            [
                _cell(value, column.type, is_machine)
                for value, column in zip(row, columns, strict=True)
            ]
        )
    return out.getvalue().encode()


def _cell(value: Any, kind: str, is_machine: bool) -> Any:
    plain = _plain(value)
    if plain is None:
        return ""
    if kind in ("list", "json") and not isinstance(plain, str):
        plain = _json.encode(plain).decode()
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return inert(plain) if not is_machine and kind in ("text", "list", "json") else plain


def json_lines(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """One object a line; unknown values are null, amounts strings with every digit."""
    names = [column.name for column in columns]
    return b"".join(
        _json.encode(dict(zip(names, map(_plain, row), strict=True))) + b"\n" for row in rows
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value
