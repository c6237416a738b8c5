"""What the address of a list says, read strictly (no database): a text to search for, one of some choices."""

from collections.abc import Collection, Mapping
from typing import Any

from core.errors import DomainError

LONGEST = 200


def read_text(query: Mapping[str, Any], name: str, longest: int = LONGEST) -> str:
    """A text to search for, without the blanks around it. Raises DomainError."""
    text = str(query.get(name, "")).strip()
    if len(text) > longest or "\x00" in text:
        raise DomainError(f"{name} has at most {longest} characters and no NUL.", fields=[name])
    return text


def read_choice(query: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
    """One of `allowed`, or empty. Raises DomainError naming field, value and rule."""
    value = str(query.get(name, ""))
    if value and value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value
