"""The built-in masks, and one function out of all that were asked for.

The same patterns and order in all three SDKs; `sdks/contract/masks.json` has the cases. They have
no look-around and no nested repetition, so every text is read in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from llmlab.config import Mask, logger

MASK_FAILED = "[mask failed]"
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_API_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|llmlab_sk_[A-Za-z0-9_-]{8,}|AKIA[0-9A-Z]{16}\b"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|xox[abp]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{20,}"
    r"|Bearer [A-Za-z0-9._~+/=-]{16,})",
    re.ASCII,
)
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
_PHONE = re.compile(r"\+?[0-9(][0-9 ().\-/]{5,22}[0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FOUR_GROUPS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_HAS_DIGIT = re.compile(r"[0-9]")


def _mask_email(text: str) -> str:
    return _EMAIL.sub("[email]", text) if "@" in text else text


def _mask_api_key(text: str) -> str:
    return _API_KEY.sub("[api_key]", text)


def _mask_credit_card(text: str) -> str:
    return _DIGITS.sub(_without_cards, text)


def _without_cards(match: re.Match[str]) -> str:
    """A run of digits with the cards in it replaced: whole groups, 13 to 19 digits, Luhn."""
    run = match.group()
    groups = [(one.start(), one.end()) for one in _GROUP.finditer(run)]
    kept, done, first = [], 0, 0
    while first < len(groups):
        last = _card_from(run, groups, first)
        if last < 0:
            first += 1
            continue
        kept += [run[done : groups[first][0]], "[credit_card]"]
        done = groups[last][1]
        first = last + 1
    return "".join([*kept, run[done:]])


def _card_from(run: str, groups: list[tuple[int, int]], first: int) -> int:
    """The last group of the longest card that starts with group `first`, or -1."""
    digits, found = "", -1
    for index in range(first, len(groups)):
        digits += run[slice(*groups[index])]
        if len(digits) > 19:
            break
        if len(digits) >= 13 and _passes_luhn(digits):
            found = index
    return found


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _mask_phone(text: str) -> str:
    if not _HAS_DIGIT.search(text):
        return text
    return _PHONE.sub(lambda match: "[phone]" if _is_phone(text, match) else match.group(), text)


def _is_phone(text: str, match: re.Match[str]) -> bool:
    before = text[match.start() - 1 : match.start()]
    after = text[match.end() : match.end() + 1]
    if before.isalnum() or after.isalnum() or "_" in (before, after):
        return False
    number = match.group()
    groups = _GROUP.findall(number)
    digits = sum(map(len, groups))
    if number.startswith("+"):
        return 8 <= digits <= 15
    if _DATE.match(number) or _FOUR_GROUPS.fullmatch(number):
        return False
    return digits in (10, 11) and len(groups) >= 2


# Applied in this order whatever order the names come in: a key may look like a number.
_BUILTINS: dict[str, Callable[[str], str]] = {
    "api_key": _mask_api_key,
    "email": _mask_email,
    "credit_card": _mask_credit_card,
    "phone": _mask_phone,
}


def masker(masks: Iterable[Mask]) -> Callable[[str], str] | None:
    """One function for all masks, or None without any: built-ins first, then the program's own.

    A callable that raises or answers no text never lets the text through: "[mask failed]".
    """
    names = {mask for mask in masks if isinstance(mask, str)}
    functions = [fn for name, fn in _BUILTINS.items() if name in names]
    functions += [_guarded(mask) for mask in masks if not isinstance(mask, str)]
    if not functions:
        return None

    def mask_all(text: str) -> str:
        for function in functions:
            text = function(text)
        return text

    return mask_all


def _guarded(function: Callable[[str], str]) -> Callable[[str], str]:
    told: list[bool] = []

    def safe(text: str) -> str:
        try:
            masked = function(text)
            if isinstance(masked, str):
                return masked
            fault = f"it answered {type(masked).__name__}, not text"
        except Exception as error:
            fault = f"it raised {type(error).__name__}"
        if not told:
            told.append(True)
            logger.warning(
                "LLMLab: a mask failed (%s); such texts are sent as %s.", fault, MASK_FAILED
            )
        return MASK_FAILED

    return safe
