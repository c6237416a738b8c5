"""Fields of a draft, from a form or a JSON body: the value, or a refusal that names field, value and rule (pure)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import DomainError


@dataclass(frozen=True)
class Reader:
    """Refuses with `error`."""

    error: type[DomainError]

    def invalid(self, field: str, value: object, rule: str) -> DomainError:
        """The refusal of a field's value."""
        shown = str(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        return self.error(f"{field} is {shown!r}; it must be {rule}.", fields=[field])

    def text(self, data: Mapping[str, Any], name: str, limit: int) -> str:
        """Text without what PostgreSQL cannot keep; empty when left out."""
        value = data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or "\x00" in value or len(value.strip()) > limit:
            raise self.invalid(name, value, f"text of at most {limit} characters without NUL")
        if any(0xD800 <= ord(char) < 0xE000 for char in value):
            raise self.invalid(name, "…", "text without lone surrogates")
        return value.strip()

    def choice(self, data: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
        """One of some words; must be there."""
        value = data.get(name)
        if not isinstance(value, str) or value not in allowed:
            raise self.invalid(name, "" if value is None else value, f"one of {', '.join(allowed)}")
        return value
