"""Columns that keep their usual value as NULL, which takes no room in a row: they read as 0 or an empty list.

Rows from before hold the value itself. SQL that reads them itself needs coalesce.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models


class CountField(models.BigIntegerField):
    """A count that is mostly 0."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "null": True})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BigIntegerField", args, kwargs

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> int:
        return value or 0


class ListField(ArrayField):
    """A list that is mostly empty."""

    def __init__(self, base_field: "models.Field[Any, Any]", **kwargs: Any) -> None:
        super().__init__(base_field, **{**kwargs, "null": True})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.contrib.postgres.fields.ArrayField", args, kwargs

    def from_db_value(self, value: list[Any] | None, expression: Any, connection: Any) -> list[Any]:
        return value or []
