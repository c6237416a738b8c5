"""What personal data and credentials look like: candidates by RE2, then a check where shape alone proves nothing.

Each candidate pattern is matched in linear time on UTF-8 bytes, after `core.masking_spelling` wrote blanks, dashes and
digits of all scripts as ASCII. Group 1 is what gets replaced. A check may shorten the candidate (an IBAN followed by a
word) and returns the end of what is really meant, or None. Groups divided by dots must all be: 4111.111111111111 is an
amount, 4111.1111.1111.1111 a card.
"""

import ipaddress
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Start and end of a candidate in the text → where it really ends, or None.
Check = Callable[[bytes, int, int], int | None]


class Builtin(NamedTuple):
    """A rule that ships with the product."""

    name: str
    label: str
    example: str
    replacement: str
    pattern: bytes
    check: Check | None = None


def _digits(text: bytes, start: int, end: int) -> list[int]:
    return [byte - 48 for byte in text[start:end] if 48 <= byte <= 57]


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    """Neither end cuts through a longer number or word."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() or after.isalnum() or before == b"_" or after == b"_")


def _ends(text: bytes, start: int, end: int) -> Iterator[int]:
    """Where a number may end inside its candidate: a word or another number may have been taken along."""
    for stop in range(end, start + 7, -1):
        if 48 <= text[stop - 1] <= 57 and _stands_alone(text, start, stop):
            yield stop


def _is_fraction(text: bytes, start: int, end: int) -> bool:
    """The digits behind a decimal point."""
    before = text[max(start - 2, 0) : start]
    return before[:1].isdigit() and before[1:] == b"." and text[start:end].isdigit()


def _card(text: bytes, start: int, end: int) -> int | None:
    """13 to 19 digits that pass Luhn."""
    return next((stop for stop in _ends(text, start, end) if _passes_luhn(text, start, stop)), None)


def _passes_luhn(text: bytes, start: int, end: int) -> bool:
    numbers = _digits(text, start, end)
    if not 13 <= len(numbers) <= 19 or len(set(numbers)) < 2 or _is_fraction(text, start, end):
        return False
    total = 0
    for place, digit in enumerate(reversed(numbers)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_IBAN_LENGTHS = {
    b"AD": 24, b"AE": 23, b"AL": 28, b"AT": 20, b"AZ": 28, b"BA": 20, b"BE": 16, b"BG": 22, b"BH": 22, b"BR": 29,
    b"BY": 28, b"CH": 21, b"CR": 22, b"CY": 28, b"CZ": 24, b"DE": 22, b"DK": 18, b"DO": 28, b"EE": 20, b"EG": 29,
    b"ES": 24, b"FI": 18, b"FO": 18, b"FR": 27, b"GB": 22, b"GE": 22, b"GI": 23, b"GL": 18, b"GR": 27, b"GT": 28,
    b"HR": 21, b"HU": 28, b"IE": 22, b"IL": 23, b"IQ": 23, b"IS": 26, b"IT": 27, b"JO": 30, b"KW": 30, b"KZ": 20,
    b"LB": 28, b"LC": 32, b"LI": 21, b"LT": 20, b"LU": 20, b"LV": 21, b"MC": 27, b"MD": 24, b"ME": 22, b"MK": 19,
    b"MR": 27, b"MT": 31, b"MU": 30, b"NL": 18, b"NO": 15, b"PK": 24, b"PL": 28, b"PS": 29, b"PT": 25, b"QA": 29,
    b"RO": 24, b"RS": 22, b"SA": 24, b"SC": 31, b"SE": 24, b"SI": 19, b"SK": 24, b"SM": 27, b"ST": 25, b"SV": 28,
    b"TL": 23, b"TN": 24, b"TR": 26, b"UA": 29, b"VA": 22, b"VG": 24, b"XK": 20,
}  # fmt: skip


def _iban(text: bytes, start: int, end: int) -> int | None:
    """As long as its country says, with a right check number (ISO 13616: 97 divides it with remainder 1)."""
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    before = text[start - 1 : start]
    if length is None or before.isalnum():
        return None
    compact, stop = bytearray(), start
    while stop < end and len(compact) < length:
        if text[stop] not in b" .-":
            compact.append(text[stop])
        stop += 1
    if len(compact) < length or text[stop : stop + 1].isalnum():
        return None
    moved = compact[4:] + compact[:4]
    try:
        number = int("".join(str(int(chr(byte), 36)) for byte in moved))
    except ValueError:
        return None
    return stop if number % 97 == 1 else None


def _address(text: bytes, start: int, end: int) -> int | None:
    """An IPv4 or IPv6 address, but not the machine's own."""
    while end > start and text[end - 1] in b".:" and text[end - 2 : end] != b"::":
        end -= 1  # the sentence's full stop
    shown = text[start:end]
    if not _stands_alone(text, start, end) or not any(48 <= byte <= 57 for byte in shown):
        return None
    try:
        address = ipaddress.ip_address(shown.decode("ascii"))
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else end


def _goes_on(text: bytes, start: int, end: int, divider: bytes) -> bool:
    """More numbers stand on either side, divided the same way: a version, an object id, a row of figures."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    return (before[:1].isdigit() and before[1:] == divider) or (
        after[:1] == divider and after[1:].isdigit()
    )


def _phone(text: bytes, start: int, end: int) -> int | None:
    """8 to 15 digits."""
    for stop in _ends(text, start, end):
        if 8 <= len(_digits(text, start, stop)) <= 15:
            is_dotted = text[start:stop].replace(b".", b"").isdigit() and b"." in text[start:stop]
            return None if is_dotted and _goes_on(text, start, stop, b".") else stop
    return None


def _ssn(text: bytes, start: int, end: int) -> int | None:
    """A number that the Social Security Administration could have issued, divided twice by the same sign."""
    area, group, serial = text[start : start + 3], text[start + 4 : start + 6], text[end - 4 : end]
    if area in (b"000", b"666") or area >= b"900" or group == b"00" or serial == b"0000":
        return None
    divider = text[start + 3 : start + 4]
    if text[start + 6 : start + 7] != divider:
        return None
    if divider != b"-" and _goes_on(text, start, end, divider):
        return None
    return end if _stands_alone(text, start, end) else None


_KEYS = (
    rb"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic and their imitators
    rb"llmlab_sk_[A-Za-z0-9_-]{8,}",
    rb"(?:AKIA|ASIA)[0-9A-Z]{16}",
    rb"gh[opsur]_[A-Za-z0-9]{20,}",
    rb"github_pat_[A-Za-z0-9_]{20,}",
    rb"glpat-[A-Za-z0-9_-]{16,}",
    rb"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    rb"xapp-[A-Za-z0-9-]{10,}",
    rb"AIza[A-Za-z0-9_-]{30,}",
    rb"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",
    rb"hf_[A-Za-z0-9]{20,}",
    rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON web tokens
    rb"(?i:bearer|basic)[ \t]+[A-Za-z0-9._~+/=-]{16,}",
    rb"(?i:aws_secret_access_key)[\"' \t:=]{1,8}[A-Za-z0-9/+]{40}",
    rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*-----END [A-Z ]{0,40}PRIVATE KEY-----",
)
# The accents of decomposed letters (U+0300 to U+036F) are no letters of their own: where length counts, they do not.
_MARKS = rb"(?:\xcc[\x80-\xbf]|\xcd[\x80-\xaf])*"
BUILTINS: tuple[Builtin, ...] = (
    Builtin(
        "email",
        "E-mail addresses",
        "jane@example.com",
        "[email]",
        # The sign also as an address (%40) or a page (&#64;) writes it.
        rb"((?:[A-Za-z0-9.!#$%&*+/=?^_{|}~\x80-\xff-]" + _MARKS + rb"){1,64}(?:@|%40|&#64;)"
        rb"(?:(?:[A-Za-z0-9\x80-\xff-]" + _MARKS + rb"){1,63}\.){1,8}"
        rb"(?:[A-Za-z\x80-\xff]" + _MARKS + rb"){2,63})",
    ),
    Builtin(
        "phone",
        "Phone numbers",
        "+49 30 901820",
        "[phone]",
        rb"(\+[1-9][0-9]{0,2}(?:[ .\-/]?\(?[0-9]{1,5}\)?){2,6}"
        rb"|\(?[2-9][0-9]{2}(?:[ .\-]|\)[ .\-]?)[2-9][0-9]{2}[ .\-][0-9]{4}"
        rb"|0[1-9](?:\.[0-9]{2}){4}"
        rb"|0[1-9][0-9]{1,4}[ ./\-][0-9]{3,8}(?:[ .\-][0-9]{2,5}){0,3})",
        _phone,
    ),
    Builtin(
        "credit_card",
        "Payment card numbers (Luhn)",
        "4111 1111 1111 1111",
        "[card]",
        rb"([3-6][0-9]{3}[ \-]?[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{1,4}(?:[ \-]?[0-9]{1,3})?"
        rb"|2[2-7][0-9]{2}[ \-]?[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{4}"
        rb"|(?:[3-6][0-9]|2[2-7])[0-9]{2}\.[0-9]{4}\.[0-9]{4}\.[0-9]{1,4}(?:\.[0-9]{1,3})?"
        rb"|3[0-9]{3}\.[0-9]{6}\.[0-9]{4,5}"
        rb"|3[0-9]{3}[ \-]?[0-9]{6}[ \-]?[0-9]{4,5})",
        _card,
    ),
    Builtin(
        "iban",
        "Bank accounts (IBAN, with its check number)",
        "DE89 3704 0044 0532 0130 00",
        "[iban]",
        # Dots and dashes only between groups of four: the second part of an id may look like the start of an IBAN.
        rb"((?i:[A-Z]{2})[0-9]{2}(?:(?: ?[A-Za-z0-9]{1,4}){3,8}"
        rb"|(?:-[A-Za-z0-9]{4}){2,7}(?:-[A-Za-z0-9]{1,4})?|(?:\.[A-Za-z0-9]{4}){2,7}(?:\.[A-Za-z0-9]{1,4})?))",
        _iban,
    ),
    Builtin(
        "ip_address",
        "IPv4 and IPv6 addresses",
        "203.0.113.7",
        "[ip]",
        rb"((?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)",
        _address,
    ),
    Builtin(
        "api_key",
        "API keys, bearer tokens, JSON web tokens, private keys",
        "sk-proj-…, AKIA…, ghp_…, xoxb-…",
        "[secret]",
        b"(" + b"|".join(_KEYS) + b")",
    ),
    Builtin(
        "ssn",
        "US social security numbers",
        "536-22-8726",
        "[ssn]",
        rb"([0-9]{3}[ .\-][0-9]{2}[ .\-][0-9]{4})",
        _ssn,
    ),
)
BY_NAME = {builtin.name: builtin for builtin in BUILTINS}
