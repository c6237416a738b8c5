"""A trace's fingerprint on disk: `0.0 512.3 llm;…`, a third of what the same list takes as JSON.

Rows from before hold the list itself. Whoever reads through the model sees the list either way.
"""

from typing import Any

from django.db import models

Entry = list[Any]  # offset_ms, duration_ms, kind


def compact(entries: list[Entry]) -> str:
    """The stored text."""
    return ";".join(f"{offset} {duration} {kind}" for offset, duration, kind in entries)


def expanded(stored: Any) -> Any:
    """The list behind what is stored, in either form."""
    if not isinstance(stored, str):
        return stored
    entries = (entry.split(" ") for entry in stored.split(";") if entry)
    return [[float(offset), float(duration), kind] for offset, duration, kind in entries]


class StripField(models.JSONField):
    """Reads as the list, whatever the form."""

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return expanded(super().from_db_value(value, expression, connection))
