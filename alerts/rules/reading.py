"""Reading one field of a rule from a form or a JSON body: the value, or a refusal that names field, value and rule."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from core.drafts import Reader
from core.errors import DomainError


class InvalidRuleError(DomainError):
    """A rule that cannot be; the detail says what to change."""

    code = "invalid_alert"


_reader = Reader(InvalidRuleError)
invalid, text, choice = _reader.invalid, _reader.text, _reader.choice


def whole(value: object, field: str, low: int, high: int) -> int:
    """A whole number, as number or text."""
    given = str(value).strip() if isinstance(value, (str, int)) else ""
    is_whole = not isinstance(value, bool) and given.isascii() and given.isdigit()
    if not is_whole or len(given) > 9 or not low <= int(given) <= high:
        raise invalid(field, "" if value is None else value, f"a whole number from {low} to {high}")
    return int(given)


def whole_or_none(data: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    """A whole number, or nothing."""
    value = data.get(name)
    return None if value in (None, "") else whole(value, name, low, high)


def number(value: object, field: str, rule: str) -> Decimal:
    """Strings and whole numbers: a float has already lost digits. At most 12 decimals."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise invalid(field, "" if value is None else value, rule)
    given = str(value).strip().removeprefix("$").removesuffix("%").strip().replace("−", "-")
    # 18,000 and 18,000.50: a comma stands for thousands only where it stands like one.
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", given):
        given = given.replace(",", "")
    if not re.fullmatch(r"-?(\d{1,15}(\.\d{0,12})?|\.\d{1,12})", given, re.ASCII):
        raise invalid(field, value, rule)
    try:
        return Decimal(given)
    except InvalidOperation:
        raise invalid(field, value, rule) from None


def fraction(value: object, field: str, low: Decimal, high: Decimal) -> Decimal:
    """A share such as `0.05`, to four decimals."""
    rule = f"a share from {low} to {high} with at most 4 decimals, as text"
    found = number(value, field, rule)
    if not low <= found <= high or found != found.quantize(Decimal("0.0001")):
        raise invalid(field, value, rule)
    return found
