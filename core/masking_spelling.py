"""Text as the built-in masking rules read it: other keyboards' digits, letters, blanks and dashes as ASCII (pure).

One character becomes one character, so a place found in the folded text is a place in the text as it was sent.
"""

import unicodedata

_FULL_WIDTH = range(0xFF01, 0xFF5F)
_FULL_WIDTH_TO_ASCII = 0xFEE0
# What the categories below do not say: the soft hyphen, the minus sign and dots that stand on the line or above it.
_OTHERS = {0xAD: "-", 0x2212: "-", 0xB7: ".", 0x2024: ".", 0x2027: ".", 0x22C5: "."}


class _Folding(dict[int, str]):
    """`str.translate` asks for each character it meets; what was worked out once is kept."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _folded(code)
        return folded


def _folded(code: int) -> str:
    if code < 128:
        return chr(code)
    if code in _FULL_WIDTH:
        return chr(code - _FULL_WIDTH_TO_ASCII)
    if code in _OTHERS:
        return _OTHERS[code]
    shown = chr(code)
    match unicodedata.category(shown):
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case "Nd":
            return str(unicodedata.decimal(shown))
    return shown


_FOLDING = _Folding()


def fold(text: str) -> str:
    """`text` with blanks, dashes and decimal digits of all scripts, and full-width letters and signs, as ASCII."""
    return text if text.isascii() else text.translate(_FOLDING)


class Ruler:
    """Tells where a byte of the folded text lies in the text itself; asked in rising order it walks both once."""

    def __init__(self, text: str, folded: bytes) -> None:
        self._text, self._folded = text, folded
        self._seen = self._characters = self._bytes = 0

    def place(self, at: int) -> int:
        """The byte of the UTF-8 of the text that stands where byte `at` of the folded text stands. `at` is the first
        byte of a character, and no less than the last one asked for."""
        stop = self._characters + len(self._folded[self._seen : at].decode())
        self._bytes += len(self._text[self._characters : stop].encode())
        self._seen, self._characters = at, stop
        return self._bytes
