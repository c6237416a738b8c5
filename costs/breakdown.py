"""A record's breakdown on disk: `input 1200 0.00000025 0.0003;output …`, a quarter of what the same list takes as JSON.

Records from before hold the list itself. Whoever reads through the model sees the list either way.
"""

from typing import Any

import msgspec
from django.db import models

Line = dict[str, str]
_FIELDS = ("class", "quantity", "unit_price_usd", "cost_usd")


def compact(lines: list[Line]) -> str:
    """The stored text; every value is a word of ours or a plain decimal."""
    return ";".join(
        f"{line['class']} {line['quantity']} {line['unit_price_usd']} {line['cost_usd']}"
        for line in lines
    )


def expanded(stored: Any) -> Any:
    """The list behind what is stored, in either form."""
    if not isinstance(stored, str):
        return stored
    return [dict(zip(_FIELDS, line.split(" "), strict=False)) for line in stored.split(";") if line]


def lines_of(text: str) -> list[Line]:
    """The list behind the column's JSON text."""
    found: list[Line] = expanded(msgspec.json.decode(text))
    return found


class BreakdownField(models.JSONField):
    """Reads as the list, whatever the form."""

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return expanded(super().from_db_value(value, expression, connection))
