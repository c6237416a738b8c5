"""A provider's words without what must not be read by others: the connection's secrets, keys of any kind, people."""

from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from core.logging import redact
from core.masking import Masker, all_builtin

LONGEST = 1_000
HIDDEN = "•••"
SHORTEST_SECRET = 6


def clean_words(text: str, credentials: Mapping[str, str]) -> str:
    """`text` fit to be stored and shown: bounded, no secret whole, in lines or as a URL writes it."""
    parts: set[str] = set()
    for secret in credentials.values():
        for line in (secret, *secret.splitlines(), *secret.split("\\n")):
            parts |= {line, quote(line, safe=""), quote_plus(line)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            text = text.replace(part, HIDDEN)
    shown = "".join(sign if sign.isprintable() else " " for sign in text[: LONGEST * 4])
    return Masker(all_builtin(), budget=0.5).text(redact(shown))[:LONGEST]
