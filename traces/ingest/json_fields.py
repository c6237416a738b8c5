"""Read one JSON object field by field: aliases, exact numbers, and refusals that name field,
value and rule.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from traces.ingest.json_body import BadNumber
from traces.ingest.limits import (
    ID_LENGTH,
    MAX_COST_USD,
    MAX_DURATION_MS,
    MAX_TOKENS,
    NAME_LENGTH,
    Limits,
    Window,
)
from traces.ingest.sanitize import Cleaner, clean_text, is_identifier, short_text

_ISO = re.compile(r"[0-9TtZzW:+., -]{8,40}")
_DIGITS = re.compile(r"[0-9]{9,20}(\.[0-9]{1,9})?")
_COST_STEP = Decimal("1E-12")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A count of seconds, milliseconds, microseconds or nanoseconds since 1970 is told apart by its
# size.
_SCALES = ((100_000_000_000, 1_000_000), (100_000_000_000_000, 1_000), (100_000_000_000_000_000, 1))


class FieldError(Exception):
    """A field breaks a rule; `detail` names it, shows the value and says the rule."""

    def __init__(self, field: str, value: Any, rule: str) -> None:
        self.field = field
        self.detail = f"{field} is {shown(value)}: {rule}."
        super().__init__(self.detail)


def shown(value: Any) -> str:
    """The start of a value, fit for an error message."""
    if isinstance(value, BadNumber):
        return value.text
    if isinstance(value, str):
        text = clean_text(value[:60])
        return f'"{text}"' if len(value) <= 60 else f'"{text}…" ({len(value)} characters)'
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (int, Decimal)):
        return (
            str(value)[:60]
            if not isinstance(value, int) or value.bit_length() < 1400
            else "a very long number"
        )
    return "an object" if isinstance(value, dict) else "a list"


class Reader:
    """One object. Each method takes the first of its names that is present; null counts as
    absent.
    """

    __slots__ = ("cleaner", "data", "limits", "path", "used", "window")

    def __init__(self, data: Any, path: str, limits: Limits, window: Window) -> None:
        if type(data) is not dict:
            raise FieldError(path.rstrip(".") or "the item", data, "it must be an object")
        self.data = data
        self.path = path
        self.limits = limits
        self.window = window
        self.cleaner = Cleaner(limits)
        self.used: set[str] = set()

    def take(self, *names: str) -> tuple[str, Any]:
        """The full name and the value of the first field present, or ("", None)."""
        for name in names:
            value = self.data.get(name)
            if value is not None:
                self.used.add(name)
                return f"{self.path}{name}", value
        return "", None

    def rest(self) -> dict[str, Any]:
        """What no method asked for, cleaned."""
        left = {
            key: value
            for key, value in self.data.items()
            if key not in self.used and value is not None
        }
        return self.object_of(self.cleaner.value(left)) if left else {}

    @staticmethod
    def object_of(value: Any) -> dict[str, Any]:
        return value if type(value) is dict else {}

    def identifier(self, *names: str, is_required: bool = False) -> str:
        """An id that fits a URL; numbers are read as text."""
        field, value = self.take(*names)
        if not field:
            if is_required:
                raise FieldError(
                    f"{self.path}{names[0]}", None, f"it is required, 1 to {ID_LENGTH} characters"
                )
            return ""
        if type(value) is int and 0 <= value < 2**63:
            value = str(value)
        if type(value) is not str or not is_identifier(value):
            raise FieldError(
                field,
                value,
                f"an id is 1 to {ID_LENGTH} characters: letters, digits and . _ : @ + = ~ | -",
            )
        return value

    def text(self, *names: str, limit: int = NAME_LENGTH) -> str:
        """One line; longer text is shortened and marked. Objects and lists are refused."""
        field, value = self.take(*names)
        if not field:
            return ""
        if isinstance(value, (dict, list, BadNumber)):
            raise FieldError(field, value, "it must be text")
        result = short_text(value, limit)
        if type(value) is str and len(value.strip()) > len(result):
            self.cleaner.truncated = True
        return result

    def choice(self, allowed: dict[str, str], *names: str) -> str:
        """One of `allowed`, in any letter case; empty when absent."""
        field, value = self.take(*names)
        if not field:
            return ""
        chosen = allowed.get(value.strip().lower()) if type(value) is str else None
        if chosen is None:
            raise FieldError(
                field, value, "it must be one of " + ", ".join(dict.fromkeys(allowed.values()))
            )
        return chosen

    def count(self, *names: str) -> int | None:
        """A whole number from 0 to MAX_TOKENS."""
        field, value = self.take(*names)
        if not field:
            return None
        if (
            type(value) is Decimal
            and value.is_finite()
            and abs(value) <= MAX_TOKENS
            and value == int(value)
        ):
            value = int(value)
        if type(value) is not int or not 0 <= value <= MAX_TOKENS:
            raise FieldError(field, value, f"it must be a whole number from 0 to {MAX_TOKENS}")
        return value

    def milliseconds(self, *names: str) -> float | None:
        """A duration in milliseconds, fractions allowed."""
        field, value = self.take(*names)
        if not field:
            return None
        if type(value) not in (int, Decimal) or not 0 <= value <= MAX_DURATION_MS:
            raise FieldError(field, value, "it must be a number of milliseconds from 0 to 400 days")
        return float(value)

    def cost(self, *names: str) -> Decimal | None:
        """US dollars, exact, as number or text; more than 12 decimals are rounded."""
        field, value = self.take(*names)
        if not field:
            return None
        rule = (
            f'it must be US dollars from 0 to {MAX_COST_USD}, as a number or as text like "0.0125"'
        )
        if type(value) is str:
            if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,40})?", value.strip(), re.ASCII):
                raise FieldError(field, value, rule)
            value = Decimal(value.strip())
        if type(value) not in (int, Decimal) or not 0 <= value <= MAX_COST_USD:
            raise FieldError(field, value, rule)
        return Decimal(value).quantize(_COST_STEP)

    def moment(self, *names: str, is_windowed: bool = True) -> datetime | None:
        """A time: ISO 8601 (without offset it is UTC), or seconds, ms, µs or ns since 1970."""
        field, value = self.take(*names)
        if not field:
            return None
        result = _moment(field, value)
        complaint = self.window.complaint(result) if is_windowed else ""
        if complaint:
            raise FieldError(field, value, complaint)
        return result

    def tags(self, *names: str) -> tuple[str, ...]:
        """Distinct tags from a list of text, one text, or an object (as key:value)."""
        field, value = self.take(*names)
        if not field:
            return ()
        if type(value) is dict:
            value = [f"{key}:{short_text(item)}" for key, item in value.items()]
        elif type(value) is str:
            value = [value]
        if type(value) is not list or any(
            isinstance(item, (dict, list, BadNumber)) for item in value
        ):
            raise FieldError(field, value, "it must be a list of texts")
        if len(value) > self.limits.max_tags:
            raise FieldError(
                field,
                value,
                f"it holds {len(value)} tags, at most {self.limits.max_tags} are allowed",
            )
        return tuple(dict.fromkeys(tag for tag in map(short_text, value) if tag))

    def mapping(self, *names: str) -> dict[str, Any]:
        """An object, cleaned."""
        field, value = self.take(*names)
        if not field:
            return {}
        if type(value) is not dict:
            raise FieldError(field, value, "it must be an object")
        if len(value) > self.limits.max_keys:
            raise FieldError(
                field,
                value,
                f"it has {len(value)} keys, at most {self.limits.max_keys} are allowed",
            )
        return self.object_of(self.cleaner.value(value))

    def flag(self, *names: str) -> bool:
        """true or false."""
        field, value = self.take(*names)
        if not field:
            return False
        if type(value) is not bool:
            raise FieldError(field, value, "it must be true or false")
        return value

    def content(self, *names: str) -> Any:
        """Anything a payload may hold, cleaned."""
        _, value = self.take(*names)
        return self.cleaner.value(value)


def _moment(field: str, value: Any) -> datetime:
    rule = "a time is ISO 8601 like 2026-11-20T12:00:00Z, or seconds or milliseconds since 1970"
    if type(value) is str:
        text = value.strip()
        if _DIGITS.fullmatch(text):
            value = Decimal(text)
        elif not _ISO.fullmatch(text):
            raise FieldError(field, value, rule)
    try:
        if type(value) is str:
            # A leap second is the second before it to every clock that stores it.
            result = datetime.fromisoformat(value.strip().upper().replace(":60", ":59"))
            return result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)
        if type(value) not in (int, Decimal) or not 0 <= value < 10**20:
            raise FieldError(field, value, rule)
        for bound, factor in _SCALES:
            if value < bound:
                return _EPOCH + timedelta(microseconds=int(value * factor))
        return _EPOCH + timedelta(microseconds=int(value) // 1000)
    except (ValueError, OverflowError) as error:
        raise FieldError(field, value, rule) from error
